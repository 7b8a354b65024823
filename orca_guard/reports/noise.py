"""The noise floor: items that come out differently in two runs of one plan whose batches were composed differently."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orca_guard.identity import digest_of
from orca_guard.paired import FLIPPED
from orca_guard.reports.gather import NOT_SEEN, Column, Table
from orca_guard.stats import Sample, mean

_BATCHES = ("unit", "name", "requires")
"""What two plans may differ in that ask the same of the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """A subject of a benchmark, asked twice.

    Attributes:
        benchmark, subject: which.
        share: of items that ended otherwise, or whose first score lies more than 0.001 apart; None of none.
        low, high: its 95 % bounds; None under 10 clusters.
        flipped: how many items.
        n, clusters: items that both runs have, and clusters among them.
    """

    benchmark: str
    subject: str
    share: float | None
    low: float | None
    high: float | None
    flipped: int
    n: int
    clusters: int


def is_repeated(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two plans are one but for how many items are recorded together, and so are batched."""
    one, other = ({key: value for key, value in plan.items() if key not in _BATCHES} for plan in (first, second))
    return digest_of(one) == digest_of(other)


def noise_of(table: Table, subject: str, columns: tuple[Column, Column], pairs: Sequence[tuple[int, int]]) -> Noise:
    """Of items at these positions of the first and of the second run."""
    one, other = columns
    seen = [(at, to) for at, to in pairs if NOT_SEEN not in {one.mark[at], other.mark[to]}]
    flips = [_is_flipped(one, at, other, to) for at, to in seen]
    found = mean(Sample(scores=[float(flip) for flip in flips], clusters=[table.clusters[at] for at, _ in seen]))
    known = found.interval(0.95) != (0.0, 1.0)
    return Noise(
        benchmark=table.entry["name"],
        subject=subject,
        share=found.value,
        low=found.low if known else None,
        high=found.high if known else None,
        flipped=sum(flips),
        n=found.n,
        clusters=found.clusters,
    )


def _is_flipped(one: Column, at: int, other: Column, to: int) -> bool:
    a, b = one.score[at], other.score[to]
    unscored = (math.isnan(a), math.isnan(b))
    apart = unscored[0] is not unscored[1] or (not any(unscored) and abs(a - b) > FLIPPED)
    return apart or one.disposition[at] != other.disposition[to]
