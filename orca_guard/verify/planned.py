"""The plan and its items, checked for sense, with everything that is looked up while records go by."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orca_guard.errors import BadInput
from orca_guard.gates import sequential_of
from orca_guard.items import Item
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.units import ItemLine, Schedule, place_in_order, schedule_of
from orca_guard.scoring import LIKELIHOOD_RULES, QUESTION_RULES
from orca_guard.stats import AGGREGATORS
from orca_guard.verify.shapes import BenchmarkShape, PlanShape, Record

_MOST_RECORDS = 10_000_000
_LEAST_BYTES = 256
"""No record is shorter. A plan that calls for more records than its journals could hold may be made to fill memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What must be there.

    Attributes:
        plan: as it stands in the file.
        shape: the same, checked.
        digest: of the plan.
        schedule: its units and records.
        benchmarks: by name.
        marks: benchmark → a number for cluster and groups of each of its items.
    """

    plan: Mapping[str, Any]
    shape: PlanShape
    digest: str
    schedule: Schedule
    benchmarks: Mapping[str, BenchmarkShape]
    marks: Mapping[str, array[int]]

    @property
    def judged(self) -> bool:
        """Whether any benchmark has judges."""
        return any(entry.judges for entry in self.shape.benchmarks)

    @property
    def seed(self) -> str | int:
        """What decides the order of items."""
        return self.shape.nonce or self.shape.seed

    def number(self, record: Record) -> int | None:
        """Position of a record among all planned ones; None where it is not planned."""
        section = self.schedule.sections.get(record.benchmark)
        position = section.items.find(record.item) if section else None
        if section is None or position is None or record.subject not in section.subjects:
            return None
        return section.record + position * len(section.subjects) + [*section.subjects].index(record.subject)

    def is_marked(self, record: Record, item: Item) -> bool:
        """Whether an item's cluster and groups are those of its line in `items.jsonl`."""
        position = self.schedule.sections[record.benchmark].items.find(record.item)
        assert position is not None, "only records of the plan are asked about"
        return self.marks[record.benchmark][position] == _mark(item.cluster, item.groups)


def planned_of(bundle: Bundle, plan: Mapping[str, Any], shape: PlanShape, digest: str) -> Planned:
    """The plan with its items.

    Raises:
        BadInput: the items are not those of the plan, or the plan does not make sense with them.
    """
    marks: dict[str, array[int]] = {entry.name: array("q") for entry in shape.benchmarks}
    _check_size(bundle, shape)
    schedule = schedule_of(plan, _ordered(_marking(bundle.read_items(plan), marks), plan, shape))
    count = sum(map(len, marks.values()))
    if count != shape.items.count:
        raise BadInput(f"items.jsonl has {count} items, and plan.json counts {shape.items.count}")
    benchmarks = {entry.name: entry for entry in shape.benchmarks}
    return Planned(plan=plan, shape=shape, digest=digest, schedule=schedule, benchmarks=benchmarks, marks=marks)


def check_known(shape: PlanShape) -> None:
    """Raise `BadInput` for a rule or an aggregate that this version does not have."""
    for entry in shape.benchmarks:
        rules = QUESTION_RULES if entry.kind == "question" else LIKELIHOOD_RULES
        named = (entry.scoring, *(metric.rule for metric in entry.metrics if metric.rule))
        unknown = [f"scoring rule {rule!r}" for rule in named if rule not in rules]
        unknown += [f"aggregate {m.aggregate!r}" for m in entry.metrics if m.aggregate not in AGGREGATORS]
        if unknown:
            raise BadInput(f"this version of orca-guard has no {unknown[0]} for {entry.name!r}. Install a newer one.")


def _check_size(bundle: Bundle, shape: PlanShape) -> None:
    room = sum(path.stat().st_size for path in bundle.journals().values()) // _LEAST_BYTES
    wanted = sum(e.items * len(shape.arms if e.kind == "question" else shape.models) for e in shape.benchmarks)
    if wanted > max(room, _MOST_RECORDS):
        raise BadInput(f"plan.json calls for {wanted} records, and the journal has room for {room}")


def _marking(items: Iterable[ItemLine], marks: Mapping[str, array[int]]) -> Iterator[ItemLine]:
    for item in items:
        if item.benchmark in marks:
            marks[item.benchmark].append(_mark(item.cluster, item.groups))
        yield item


def _ordered(items: Iterable[ItemLine], plan: Mapping[str, Any], shape: PlanShape) -> Iterator[ItemLine]:
    """Raises `BadInput` where an item that may not be asked does not stand where nonce or seed put it."""
    stopping = sequential_of(plan)
    last: dict[str, tuple[str, ...]] = {entry.name: ("",) for entry in shape.benchmarks}
    for item in items:
        by_cluster = item.benchmark in stopping
        place = place_in_order(shape.nonce or shape.seed, item.id, item.cluster, by_cluster=by_cluster)
        if by_cluster and place <= last[item.benchmark]:
            raise BadInput(f"items.jsonl: {item.benchmark}/{item.id} does not stand where the nonce or seed puts it")
        last[item.benchmark] = place
        yield item


def _mark(cluster: str, groups: Mapping[str, str]) -> int:
    """Python's hash of texts is keyed anew in every process: nobody can prepare two that are alike."""
    return hash((cluster, *sorted(groups.items())))
