"""What gates say that people's labels take part in: computed again from the sealed run and the labels beside it.

Such a gate is inconclusive in the seal, for labels come later. It rules on the outer ones of two pairs of bounds: those
of the scores, and those of the rate that people would give all answers, by prediction-powered inference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from orca_guard.errors import BadInput
from orca_guard.figures import Measured
from orca_guard.gates import Found, Gate, GateResult, Ruling, evaluate, gates_of, verdict
from orca_guard.identity import digest_of
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.reading import ShardReader
from orca_guard.journal.statements import Stated, statements
from orca_guard.reports.agreement import Bounded, Scored, corrected
from orca_guard.reports.gather import MARKS, NOT_SEEN, Gathered, Table, gather
from orca_guard.reports.labels import VALUES, Sheet, sheet_of, strata_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """What all gates say with the labels.

    Attributes:
        results: of every gate, in the seal's order.
        verdict: of all of them.
        key: public key, as hex, that the labels are signed with; empty where there are none that hold.
    """

    results: tuple[GateResult, ...]
    verdict: Ruling
    key: str = ""

    @property
    def told(self) -> Mapping[int, str]:
        """Number of a gate in the seal, from 0 → what it says with labels, of those that take some."""
        rows = ((n, result) for n, result in enumerate(self.results) if result.gate.labels)
        return {n: f"{result.ruling.value}: {result.reason}" for n, result in rows}


def takes_labels(plan: Mapping[str, Any]) -> bool:
    """Whether any gate of the plan does."""
    return any(gate.get("labels") for gate in plan["gates"])


def review(folder: Path) -> Reviewed:
    """Rule on everything again, with the labels that were stated last, hold, and are signed.

    Raises:
        BadInput: the run is not sealed, no gate takes labels, or a file cannot be read.
    """
    bundle = Bundle(folder)
    plan = bundle.read_plan()
    if not bundle.seal.is_file():
        raise BadInput(f"{folder} is not sealed: there is nothing yet that labels could be about")
    if not takes_labels(plan):
        raise BadInput(f"no gate of {folder} takes labels; its verdict is the one in its seal")
    shards = (ShardReader(path, plan=digest_of(plan), rank=rank) for rank, path in bundle.journals().items())
    records = (line.fields for shard in shards for line in shard)
    measured = Measured(plan, map(msgspec.to_builtins, bundle.read_items(plan)), records)
    stated, why = _labels(list(statements(bundle)))
    sheet = None if stated is None else sheet_of(bundle, stated.fields)
    looking = _Looking(measured, gather(bundle, plan), sheet, why)
    results = tuple(evaluate(gates_of(plan["gates"], plan), looking.found, plan))
    key = "" if stated is None else str(stated.fields["public_key"])
    return Reviewed(results=results, verdict=verdict(results, absent=bool(plan["absent"])), key=key)


def _labels(said: Sequence[Stated]) -> tuple[Stated | None, str]:
    """The last ones that were stated, if a gate may rest on them; else why not."""
    found = [stated for stated in said if stated.fields.get("kind") == "labels" or stated.fault]
    if not found:
        return None, "people have labelled nothing yet: orca-guard review export"
    last = found[-1]
    if last.fault or last.doubt:
        return None, f"the labels do not hold: {last.fault or last.doubt}"
    return (last, "") if "signature" in last.fields else (None, "the labels are not signed: review import --key")


@dataclass(frozen=True, slots=True)
class _Looking:
    measured: Measured
    gathered: Gathered
    sheet: Sheet | None
    why: str

    def found(self, gate: Gate, subject: str) -> Found | None:
        """What a gate looks at, with labels where it takes some."""
        seen = self.measured.found(gate, subject)
        if not gate.labels or seen is None:
            return seen
        table = self.gathered.tables[gate.benchmark]
        if circular := self.measured.circular(gate, subject):
            return replace(seen, void=circular)
        if self.sheet is None:
            return replace(seen, void=self.why)
        rows = [row for row in self.sheet.rows if (row.benchmark, row.subject) == (gate.benchmark, subject)]
        settled = sum(row.final in VALUES for row in rows)
        if settled < gate.labels:
            return replace(seen, void=f"{settled} answers have a label that holds, and the gate takes {gate.labels}")
        sides = 2 * gate.confidence - 1
        sheet = replace(self.sheet, rows=tuple(rows))
        both = [_rate(table, subject, sheet, missing=missing, confidence=sides) for missing in (0.0, 1.0)]
        least, most = both if not _lower(table) else [one and _turned(one) for one in reversed(both)]
        if least is None or most is None:
            return replace(seen, void="a stratum has fewer than 10 labelled clusters, and so no bounds")
        value = (least.value + most.value) / 2
        note = f"{settled} labels make it {value:.4f}, between {least.low:.4f} and {most.high:.4f}"
        low, high = min(seen.low, least.low), max(seen.high, most.high)
        return replace(seen, low=low, high=high, void="", note=f"{note}, and both bounds count")


def _lower(table: Table) -> bool:
    return bool(table.entry["metrics"][0]["lower_is_better"])


def _turned(rate: Bounded) -> Bounded:
    return Bounded(value=1 - rate.value, low=1 - rate.high, high=1 - rate.low)


def _rate(table: Table, subject: str, sheet: Sheet, *, missing: float, confidence: float) -> Bounded | None:
    """Of passes, as people would give them, with this for every label that should be there and is not."""
    strata: dict[str, list[Scored]] = {}
    labels = {row.item: VALUES.get(row.final or "", missing) for row in sheet.rows}
    named, passed = strata_of(table, subject, sheet.stratify), MARKS.index("pass")
    marks = table.columns[subject].mark
    drawn = _drawn(table, subject, named, labels, sheet.seed)
    for at, item in enumerate(table.items):
        if marks[at] != NOT_SEEN:
            label = labels.get(item, missing if item in drawn else None)
            row = Scored(score=float(marks[at] == passed), label=label, cluster=table.clusters[at])
            strata.setdefault(named[at], []).append(row)
    return corrected(strata, confidence=confidence)


def _drawn(table: Table, subject: str, named: Sequence[str], labels: Mapping[str, float], seed: int) -> frozenset[str]:
    """Items that the draw came to before the last one that has a label: to leave out the hard ones gains nothing."""
    strata: dict[str, list[str]] = {}
    marks = table.columns[subject].mark
    for at, item in enumerate(table.items):
        if marks[at] != NOT_SEEN:
            strata.setdefault(named[at], []).append(item)
    return frozenset(item for items in strata.values() for item in _until(items, labels, table, subject, seed))


def _until(items: Sequence[str], labels: Mapping[str, float], table: Table, subject: str, seed: int) -> Iterator[str]:
    order = sorted(items, key=lambda item: digest_of([seed, table.entry["name"], item, subject]))
    last = max((place for place, item in enumerate(order) if item in labels), default=-1)
    yield from order[: last + 1]
