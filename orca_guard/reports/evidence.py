"""One subject's records of one benchmark as findings look at them: rates over items, and whether two lie apart."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from orca_guard.items import Item
from orca_guard.reports.gather import DISPOSITIONS, MARKS, Column, Table
from orca_guard.stats import Sample, mean

CONFIDENCE = 0.99
FEWEST = 10
"""Items below which nothing is said of a group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share of items between its bounds."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class View:
    """A subject's records of a benchmark.

    Attributes:
        table, subject: which.
        items: position → item, of those whose text was looked up.
        values: key of a value → its text, likewise.
    """

    table: Table
    subject: str
    items: Mapping[int, Item]
    values: Mapping[int, str]

    @property
    def column(self) -> Column:
        """The numbers."""
        return self.table.columns[self.subject]

    @cached_property
    def seen(self) -> array[int]:
        """Positions with a record."""
        return self.column.seen()

    @cached_property
    def failed(self) -> bytearray:
        """By position: 1 where the first metric makes it a fail."""
        number = MARKS.index("fail")
        return bytearray(mark == number for mark in self.column.mark)

    @cached_property
    def scored(self) -> array[int]:
        """Positions with a score."""
        scores = self.column.score
        return array("l", (position for position in self.seen if not math.isnan(scores[position])))

    def ended(self, disposition: str) -> bytearray:
        """By position: 1 where the record has this disposition."""
        number = DISPOSITIONS.index(disposition)
        return bytearray(found == number for found in self.column.disposition)

    def rate(self, flags: Sequence[int], among: Sequence[int], *, confidence: float = CONFIDENCE) -> Rate:
        """Of a flag over these positions, with an interval that heeds clusters."""
        clusters = [self.table.clusters[position] for position in among]
        found = mean(Sample(scores=[float(flags[position]) for position in among], clusters=clusters))
        low, high = found.interval(confidence)
        return Rate(value=found.value or 0.0, low=low, high=high, n=found.n)

    def above(self, flags: Sequence[int], among: Sequence[int], bound: float) -> Rate | None:
        """The rate, where its whole interval lies above the bound."""
        if len(among) < FEWEST or share(flags, among) <= bound:
            return None
        found = self.rate(flags, among)
        return found if found.low > bound else None

    def apart(
        self, flags: Sequence[int], those: Sequence[int], rest: Sequence[int], *, gap: float, times: int = 1
    ) -> tuple[Rate, Rate] | None:
        """Both rates, where the first is higher by `gap` and their intervals have nothing in common.

        Args:
            flags: by position.
            those: positions.
            rest: positions that they are compared with.
            gap: the least difference that is worth a word.
            times: how many such comparisons are made; the confidence of each grows with it (Bonferroni).
        """
        if min(len(those), len(rest)) < FEWEST or share(flags, those) - share(flags, rest) < gap:
            return None
        confidence = 1 - (1 - CONFIDENCE) / times
        high, low = (self.rate(flags, among, confidence=confidence) for among in (those, rest))
        return (high, low) if high.low > low.high else None


def share(flags: Sequence[int], among: Iterable[int]) -> float:
    """Of a flag over positions; 0 of none."""
    found = [flags[position] for position in among]
    return sum(found) / len(found) if found else 0.0


def without(positions: Sequence[int], those: Sequence[int]) -> list[int]:
    """The positions that are not among those."""
    gone = set(those)
    return [position for position in positions if position not in gone]


def most_common(numbers: Iterable[int]) -> tuple[int, int]:
    """The number that occurs most often, and how often; 0 and 0 of none. Zeros are nothing and do not count."""
    counts: dict[int, int] = {}
    for number in numbers:
        if number:
            counts[number] = counts.get(number, 0) + 1
    return max(counts.items(), key=lambda pair: (pair[1], -pair[0]), default=(0, 0))


def flags_of(count: int, where: Callable[[int], bool], among: Iterable[int]) -> array[int]:
    """By position: 1 where it holds, of those that are asked about."""
    flags = array("b", bytes(count))
    for position in among:
        flags[position] = where(position)
    return flags


def percent(value: float) -> str:
    """A share for people."""
    return f"{100 * value:.3g} %"


def told(rate: Rate) -> str:
    """A rate for people, with its interval."""
    return f"{percent(rate.value)} ({percent(rate.low).removesuffix(' %')} to {percent(rate.high)} of {rate.n})"
