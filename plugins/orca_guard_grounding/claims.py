"""An answer as single statements that a document can hold up or not, with where they stand in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from orca_guard.types import Exhibit

FRAGMENT = 4
"""A statement of fewer words says nothing without the question it answers, so it is judged together with it."""

_ABBREVIATED = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|vs|etc|e\.g|i\.e|approx|Inc|Ltd|Jr|Sr)|\b[A-Z])\.$")
_END = re.compile(r"[.!?…][\"'”’)\]]*\s+|\n+|[。！？]+")  # noqa: RUF001  # as Chinese and Japanese end a sentence
_MARK = re.compile(r"\s*(?:[-*•]|\d+[.)])?\s*(?:Answer:|Final answer:)?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Characters `[start, end)` of an answer, and the words that are judged for them."""

    start: int
    end: int
    text: str


def claims(exhibit: Exhibit) -> list[Claim]:
    """The statements of an answer, in order; those without a letter or digit are none."""
    found = []
    for start, end in sentences(exhibit.text):
        words = exhibit.text[start:end]
        if re.search(r"\w", words):
            asked = f"{exhibit.question.prompt.strip()} " if len(words.split()) < FRAGMENT else ""
            found.append(Claim(start=start, end=end, text=f"{asked}{words}"))
    return found


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Characters `[start, end)` of every sentence, without what stands around it: list marks, `Answer:`, blanks."""
    begin = 0
    for match in _END.finditer(text):
        if match.group() != ". " or not _ABBREVIATED.search(text[begin : match.start() + 1]):
            yield from _trimmed(text, begin, match.end())
            begin = match.end()
    yield from _trimmed(text, begin, len(text))


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    mark = _MARK.match(text, start, end)
    start = mark.end() if mark else start
    end = start + len(text[start:end].rstrip())
    if end > start:
        yield start, end
