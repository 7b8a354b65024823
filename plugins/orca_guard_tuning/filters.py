"""Which triples are fit to train on; whatever is left out is left out for a reason, and counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orca_guard.contamination import WORDS
from orca_guard.identity import digest_text
from orca_guard_tuning.triples import Triple

_SHOWN = 5
"""Overlaps that a report quotes for each source."""

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """The words of a text as overlaps see it: case, blanks and punctuation do not count."""
    return _WORD.findall(text.casefold())


@dataclass
class Overlaps:
    """Evaluation texts as n-grams of words, to be found again in training texts.

    A text that is shorter than `size` words counts as found where all of it stands in a row, if it has at least
    `least` words.

    Args:
        sources: evaluation texts by the name of where they come from.
        size: words of an n-gram.
        least: words of the shortest text that is looked for.
    """

    sources: Mapping[str, Sequence[str]]
    size: int = WORDS
    least: int = 4
    too_short: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._grams: dict[tuple[str, ...], str] = {}
        for source, texts in self.sources.items():
            for text in texts:
                found = words(text)
                if len(found) < self.least:
                    self.too_short[source] += 1
                for gram in _grams(found, min(self.size, len(found))) if len(found) >= self.least else ():
                    self._grams.setdefault(gram, source)
        self._sizes = sorted({len(gram) for gram in self._grams})

    def find(self, text: str) -> tuple[str, str] | None:
        """Source and words of the first n-gram that stands in a text."""
        found = words(text)
        for size in self._sizes:
            for gram in _grams(found, size):
                if gram in self._grams:
                    return self._grams[gram], " ".join(gram)
        return None


def _grams(found: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(found[n : n + size]) for n in range(len(found) - size + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a triple has to be.

    Attributes:
        known: whether it must be known to be right; else it must only not be known to be wrong.
        min_words: fewest words of an answer.
        max_words: most of them.
    """

    known: bool = False
    min_words: int = 0
    max_words: int = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered:
    """What became of a file.

    Attributes:
        kept: the triples that are left, in their order.
        dropped: reason → how many.
        overlaps: source → how many triples overlap with it, with the words of some.
        too_short: source → evaluation texts too short to be looked for.
        read: triples there were.
    """

    kept: list[Triple]
    dropped: Mapping[str, int]
    overlaps: Mapping[str, Mapping[str, Any]]
    too_short: Mapping[str, int]
    read: int

    def report(self) -> dict[str, Any]:
        """As JSON: everything but the triples."""
        return {
            "read": self.read,
            "kept": len(self.kept),
            "dropped": dict(sorted(self.dropped.items())),
            "overlaps": {name: dict(found) for name, found in self.overlaps.items()},
            "too_short": dict(self.too_short),
        }


def filtered(triples: Iterable[Triple], *, limits: Limits, overlaps: Overlaps) -> Filtered:
    """Drop what is not fit, each triple for the first reason that applies."""
    kept: list[Triple] = []
    dropped = Counter[str]()
    told: dict[str, dict[str, Any]] = {name: {"triples": 0, "examples": []} for name in overlaps.sources}
    seen: set[str] = set()
    read = 0
    for triple in triples:
        read += 1
        reason = _unfit(triple, limits) or _again(triple, seen)
        if not reason and (found := overlaps.find(_text(triple))):
            reason = f"overlap with {found[0]}"
            told[found[0]]["triples"] += 1
            if len(told[found[0]]["examples"]) < _SHOWN:
                told[found[0]]["examples"].append({"id": triple.id, "words": found[1]})
        if reason:
            dropped[reason] += 1
        else:
            kept.append(triple)
    return Filtered(kept=kept, dropped=dropped, overlaps=told, too_short=overlaps.too_short, read=read)


def _text(triple: Triple) -> str:
    """Everything that would be trained on, but the system message."""
    parts = [*(m.content for m in triple.history), triple.user, triple.answer]
    return "\n".join((*parts, *(text for turn in triple.passes for text in (turn.user, turn.answer))))


def _unfit(triple: Triple, limits: Limits) -> str:
    """Why a triple is unfit by itself."""
    count = len(words(triple.answer))
    rules: tuple[tuple[str, Callable[[], bool]], ...] = (
        (triple.fault, lambda: bool(triple.fault)),
        ("wrong", lambda: triple.right is False),
        ("not known to be right", lambda: limits.known and triple.right is None),
        ("empty", lambda: triple.empty),
        ("too short", lambda: count < limits.min_words),
        ("too long", lambda: count > limits.max_words),
    )
    return next((reason for reason, holds in rules if holds()), "")


def _again(triple: Triple, seen: set[str]) -> str:
    """Whether the same was asked and answered under the same message before, but for case and blanks."""
    parts = (triple.system, *(m.content for m in triple.history), triple.user, triple.answer)
    digest = digest_text("\n\n".join(_normal(part) for part in parts))
    if digest in seen:
        return "duplicate"
    seen.add(digest)
    return ""


def _normal(text: str) -> str:
    """Case and blanks do not count; punctuation does: 3 + 4 and 3 - 4 are different questions."""
    return " ".join(text.casefold().split())
