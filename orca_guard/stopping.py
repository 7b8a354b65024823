"""When a sequential benchmark stops being asked: after the first unit with which all gates on it have ruled."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from orca_guard.gates import Found, Gate, rules
from orca_guard.sequential import Stakes, cluster_means
from orca_guard.tables import Table

_NEAR = 1e-6
"""Bets that are this near to paying are looked at as a gate does."""


@dataclass(slots=True)
class _Bets:
    """Those on both sides of a gate's limit, for one subject: they say when looking closely is worth it."""

    gate: Gate
    subject: str
    below: Stakes
    above: Stakes
    position: int = 0

    def follow(self, table: Table) -> None:
        """Up to the last whole cluster."""
        cell = table.cell(self.subject, self.gate.metric, "")
        assert cell is not None, "a gate is checked against the plan"
        sample = replace(cell, positions=range(self.position, table.whole)).plain_sample()
        for mean in cluster_means(sample, 1.0):
            self.below.add(mean)
        for mean in cluster_means(sample, 0.0):
            self.above.add(mean)
        self.position = table.whole

    @property
    def near(self) -> bool:
        """Whether one side may have paid."""
        return max(self.below.log, self.above.log) >= -math.log(1 - self.gate.confidence) - _NEAR


@dataclass(slots=True)
class Watch:
    """Follows a benchmark from unit to unit.

    Args:
        table: whose records are entered up to where one looks.
        asked: gates on the benchmark, each with a subject.
        look: what a gate would see.
    """

    table: Table
    asked: Sequence[tuple[Gate, str]]
    look: Callable[[Gate, str], Found | None]
    _bets: list[_Bets] = field(init=False)

    def __post_init__(self) -> None:
        signed = {m["name"] for m in self.table.benchmark["metrics"] if m["scale"] == "signed"}
        self._bets = [
            _Bets(gate, subject, Stakes(limit, -1), Stakes(limit, 1))
            for gate, subject in self.asked
            for limit in [(gate.threshold + 1) / 2 if gate.metric in signed else gate.threshold]
        ]

    def stops(self, items: int) -> bool:
        """Whether all gates have ruled after so many items; to be asked at the end of every unit, in order."""
        self.table.asked = items
        for bets in self._bets:
            bets.follow(self.table)
        if not all(bets.near for bets in self._bets):
            return False
        return all(rules(bets.gate, self.look(bets.gate, bets.subject)) for bets in self._bets)
