"""Label scores of texts of any length: of every label the maximum over windows, and where the worst window lies."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from orca_guard.types import Replies, Requests
from orca_guard.windows import Window, classified

Function: TypeAlias = Literal["auto", "sigmoid", "softmax", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What a classifier says of one text.

    Attributes:
        scores: of every label, the maximum over all windows.
        windows: that the text was read in; one where it could be read at once.
    """

    scores: Mapping[str, float]
    windows: tuple[Window, ...]

    def worst(self, labels: Sequence[str]) -> tuple[float, str, Window]:
        """The highest score among these labels, which of them has it, and in which window."""
        return max(
            ((window.scores[label], label, window) for window in self.windows for label in labels),
            key=lambda found: found[0],
        )

    def hits(self, labels: Sequence[str], threshold: float) -> tuple[tuple[int, int], ...]:
        """Characters of every window that reaches the threshold."""
        return tuple(
            (window.start, window.end)
            for window in self.windows
            if window.end > window.start and any(window.scores[label] >= threshold for label in labels)
        )


def rated(model: str, text: str, *, function: Function = "auto") -> Generator[Requests, Replies, Rating]:
    """The rating of one text, however long it is."""
    windows = yield from classified(model, text, function=function)
    labels = windows[0].scores
    scores = {label: max(window.scores[label] for window in windows) for label in labels}
    return Rating(scores=scores, windows=tuple(windows))


def all_rated(
    model: str, texts: Iterable[str], *, function: Function = "auto"
) -> Generator[Requests, Replies, list[Rating]]:
    """A rating a text, in order: as many as there are texts, also for one and for none."""
    ratings = []
    for text in texts:
        ratings.append((yield from rated(model, text, function=function)))  # noqa: PERF401  # a generator yields inside
    return ratings
