"""How well both sides agree, and each with itself in single precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def agreement(kind: str, ours: Sequence[Any], theirs: Sequence[Any]) -> dict[str, Any]:
    """How far the last round's results lie apart."""
    if kind == "generate":
        return {"identical": sum(a == b for a, b in zip(ours, theirs, strict=True)), "of": len(ours)}
    if kind == "classify":
        return {
            "largest": max(abs(a - b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True))
        }
    return agreement_of_scores(ours, theirs)


def agreement_of_scores(ours: Sequence[Any], theirs: Sequence[Any]) -> dict[str, Any]:
    """Of log-probabilities and greedy flags: largest difference, equal flags, and same likeliest choice."""
    pairs = [(a, b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True)]
    best = [_best(x) == _best(y) for x, y in zip(ours, theirs, strict=True)]
    return {
        "largest": max(abs(a[0] - b[0]) for a, b in pairs),
        "greedy": sum(a[1] == b[1] for a, b in pairs) / len(pairs),
        "same choice": sum(best) / len(best),
    }


def errors(half: Sequence[Any], single: Sequence[Any]) -> dict[str, float]:
    """How far log-probabilities of choices lie from those in single precision, in nats: on average and at most."""
    apart = [abs(a[0] - b[0]) for x, y in zip(half, single, strict=True) for a, b in zip(x, y, strict=True)]
    return {"mean": sum(apart) / len(apart), "largest": max(apart)}


def _best(rows: Sequence[Sequence[Any]]) -> int:
    return max(range(len(rows)), key=lambda n: rows[n][0])
