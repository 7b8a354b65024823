"""What was measured, as a table, and how well both sides agree."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.engine.work import Work

LAYERS = {"15M": 6 * 12 * 288 * 288, "110M": 12 * 12 * 768 * 768, "BERT-base": 12 * 12 * 768 * 768}
"""Weights in the layers, to the nearest per cent."""
HEADS = {"15M": 288 * 16_384, "110M": 768 * 16_384, "BERT-base": 0}
COLUMNS = ("work", "model", "dtype", "peer", "peer s", "ours s", "ratio", "tokens", "peak, peer / ours", "agreement")


def conditions(peaks: Mapping[str, float]) -> dict[str, Any]:
    """Machine, date and versions; `peaks` are FLOP/s by dtype."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    names = ("torch", "transformers", "tokenizers")
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": f"{model}, {os.cpu_count()} cores, one thread",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in names},
        "peak": {name.removeprefix("torch."): value for name, value in peaks.items()},
        "load before": os.getloadavg()[0],
    }


def agreement(work: Work, ours: Sequence[Any], theirs: Sequence[Any]) -> dict[str, Any]:
    """How far the last round's results lie apart."""
    if work.kind == "generate":
        return {"identical": sum(a == b for a, b in zip(ours, theirs, strict=True)), "of": len(ours)}
    if work.kind == "classify":
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


def _best(rows: Sequence[Sequence[Any]]) -> int:
    return max(range(len(rows)), key=lambda n: rows[n][0])


def written_into(page: Path, marks: tuple[str, str], text: str) -> None:
    """Put a text between two marks of a page."""
    before, rest = page.read_text("utf-8").split(marks[0])
    page.write_text(f"{before}{marks[0]}{text}\n{marks[1]}{rest.split(marks[1])[1]}", "utf-8")


def markdown(results: Sequence[Mapping[str, Any]], where: Mapping[str, Any], *, header: bool) -> str:
    """The table, and above it where it was measured."""
    lines = [_where(where), "", _row(COLUMNS), _row(["---"] * len(COLUMNS))] if header else []
    return "\n".join([*lines, *(_row(_cells(one, where["peak"])) for one in results)])


def _where(where: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in where["packages"].items())
    peaks = ", ".join(f"{name} {value / 1e9:.0f}" for name, value in where["peak"].items())
    return (
        f"{where['date']}; {where['processor']}; {packages}; {where['rounds']} rounds. Products of matrices alone: "
        f"{peaks} GFLOP/s. Load of the machine before and after: {where['load before']:.1f}, {where['load after']:.1f}."
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(one: Mapping[str, Any], peak: Mapping[str, float]) -> list[str]:
    seconds = {side: sorted(values)[len(values) // 2] for side, values in one["seconds"].items()}
    ratio = one["ratio"]
    cells = [one["work"], one["model"], one["dtype"], f"{one['peer']} ({one['batch']})"]
    cells += [f"{seconds['peer']:.2f}", f"{seconds['ours']:.2f}"]
    cells.append(f"{ratio['median']:.1f} ({ratio['low']:.1f}-{ratio['high']:.1f})")
    if "tokens" not in one:
        return [*cells, "", "", ""]
    tokens = one["tokens"]
    cells.append(f"{tokens['peer']:,} / {tokens['ours']:,} = {tokens['peer'] / tokens['ours']:.1f}")
    shares = [_share(one, side, seconds[side], peak) for side in ("peer", "ours")]
    return [*cells, " / ".join(f"{share:.0%}" for share in shares), _agreed(one["agreement"])]


def _share(one: Mapping[str, Any], side: str, seconds: float, peak: Mapping[str, float]) -> float:
    """Of the measured peak that the products of layers and output layer come to, attention left out."""
    flops = 2 * (one["tokens"][side] * LAYERS[one["model"]] + one["rows"][side] * HEADS[one["model"]])
    dtype = "float32" if side == "peer" and one["kind"] == "classify" else one["dtype"]
    return float(flops / seconds / peak[dtype])


def _agreed(agreed: Mapping[str, Any]) -> str:
    if "identical" in agreed:
        return f"{agreed['identical']} of {agreed['of']} identical"
    more = f", same choice {agreed['same choice']:.1%}" if "same choice" in agreed else ""
    return f"≤ {agreed['largest']:.1e}{more}"
