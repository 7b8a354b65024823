"""Classifies a text of any length: what a classifier cannot read at once it reads in windows that overlap."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from orca_guard.errors import ModelFailed, TextTooLong
from orca_guard.types import Classification, Classify, Replies, Requests, TokenSpan

LARGEST = 32_768
"""Characters that are ever put before a classifier at once, whatever it reads, so that memory stays bounded."""

TOGETHER = 16
"""Windows of one text in one request."""

PAIRS = 64
"""Pairs in one request."""

SMALLEST = 2
"""Characters of a window that must fit: below that, what it is paired with fills the classifier."""

OVERLAP = 4
"""Neighbouring windows share one in so many of their characters: what one cuts in two, the next has whole."""

_MARGIN = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Characters `[start, end)` of a text, with what the classifier says of them.

    `scores` are by label; `spans` are a token classifier's, in characters of the whole text.
    """

    start: int
    end: int
    scores: Mapping[str, float]
    spans: tuple[TokenSpan, ...] = ()


def classified(
    model: str,
    text: str,
    *,
    function: Literal["auto", "sigmoid", "softmax", "none"] = "auto",
    target: str = "",
) -> Generator[Requests, Replies, list[Window]]:
    """Label scores of the whole text if the classifier can read it at once, else of windows that cover it.

    Args:
        model: directory or hub id of the classifier.
        text: of any length; an empty one is one empty window.
        function: how logits become scores.
        target: as in `Classify`.

    Raises:
        TextTooLong: the classifier cannot read two characters.
        ModelFailed: the reply is none of these texts.
    """
    waiting, done = cut(text, (0, len(text)), LARGEST), list[Window]()
    while waiting:
        batch, later = waiting[:TOGETHER], waiting[TOGETHER:]
        texts = tuple(_readable(text[start:end]) for start, end in batch)
        try:
            reply = yield Classify(model=model, texts=texts, function=function, target=target)
        except TextTooLong as error:
            size = _fitting(batch[error.number], error)
            waiting = [part for window in waiting for part in cut(text, window, size)]
        else:
            done += _windows(reply, batch)
            waiting = later
    return done


def _readable(text: str) -> str:
    """The text as tokenizers can read it: half of a character pair is a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def classified_beside(
    model: str, documents: Sequence[str], statements: Sequence[str]
) -> Generator[Requests, Replies, list[list[Window]]]:
    """For every statement, what a classifier of pairs says of it beside every window of every document.

    Windows are as large as the classifier can read beside the longest statement. Spans are in characters of the
    statement; `start` and `end` in those of its document.

    Raises:
        TextTooLong: a statement leaves no room for any document.
        ModelFailed: the replies do not fit the pairs.
    """
    size = LARGEST
    while True:
        places = [(text, *place) for text in documents for place in cut(text, (0, len(text)), size)]
        pairs = [(_readable(text[a:b]), _readable(said)) for said in statements for text, a, b in places]
        try:
            found = yield from _pairs(model, pairs)
        except TextTooLong as error:
            size = _fitting((0, max(b - a for _, a, b in places)), error)
            continue
        windows = [
            Window(start=a, end=b, scores=scores, spans=spans)
            for (scores, spans), (_, a, b) in zip(found, places * len(statements), strict=True)
        ]
        return [windows[at : at + len(places)] for at in range(0, len(windows), len(places))]


def _pairs(
    model: str, pairs: Sequence[tuple[str, str]]
) -> Generator[Requests, Replies, list[tuple[Mapping[str, float], tuple[TokenSpan, ...]]]]:
    found: list[tuple[Mapping[str, float], tuple[TokenSpan, ...]]] = []
    for at in range(0, len(pairs), PAIRS):
        batch = tuple(pairs[at : at + PAIRS])
        found += _sound((yield Classify(model=model, texts=batch)), len(batch))
    return found


def _fitting(window: tuple[int, int], error: TextTooLong) -> int:
    """Characters that should fit, if tokens lie about as thick everywhere; at any rate fewer than now."""
    size = window[1] - window[0]
    smaller = int(size * min(error.longest / error.tokens, 1.0) * _MARGIN)
    if smaller < SMALLEST:
        raise error
    return smaller


def cut(text: str, window: tuple[int, int], size: int) -> list[tuple[int, int]]:
    """The window in parts of at most `size` characters that overlap, each ending between words where it can."""
    start, end = window
    parts = []
    while end - start > size:
        stop = _between_words(text, start + size - size // 10, start + size)
        parts.append((start, stop))
        start = max(start + 1, stop - max(1, size // OVERLAP))
    return [*parts, (start, end)]


def _between_words(text: str, least: int, most: int) -> int:
    """The last end of a word in a range, or the end of the range."""
    return next((at for at in range(most, least, -1) if text[at - 1].isspace() or text[at : at + 1].isspace()), most)


def _windows(reply: Replies, places: list[tuple[int, int]]) -> list[Window]:
    return [
        Window(start=start, end=end, scores=scores, spans=tuple(_moved(span, start) for span in spans))
        for (start, end), (scores, spans) in zip(places, _sound(reply, len(places)), strict=True)
    ]


def _sound(reply: Replies, texts: int) -> list[tuple[Mapping[str, float], tuple[TokenSpan, ...]]]:
    """Scores and spans of every text; a number that is none would be lost in the first comparison."""
    if not isinstance(reply, Classification) or texts not in {len(reply.scores), len(reply.spans)}:
        raise ModelFailed("the classifier did not answer for every text")
    scores: tuple[Mapping[str, float], ...] = reply.scores or ({},) * texts
    spans: tuple[tuple[TokenSpan, ...], ...] = reply.spans or ((),) * texts
    marked = (span.scores for of_text in spans for span in of_text)
    if not all(math.isfinite(score) for one in (*scores, *marked) for score in one.values()):
        raise ModelFailed("the classifier gave a score that is no number")
    return list(zip(scores, spans, strict=True))


def _moved(span: TokenSpan, by: int) -> TokenSpan:
    return TokenSpan(start=span.start + by, end=span.end + by, scores=span.scores)
