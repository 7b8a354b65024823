"""What a plan calls for: its units, and every record that must be there once and once only."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Annotated, Any

import msgspec

from orca_guard.errors import BadInput
from orca_guard.identity import digest_of
from orca_guard.journal.chain import Fault
from orca_guard.journal.dealing import Weight, dealt
from orca_guard.roster import Roster, Twice

_DIGEST = 32
_MOST = 2**40
"""Bytes of an item; none has more."""
SHOWN = 5
"""Records that are named one by one; of the rest their number is said."""


def place_in_order(seed: str | int, name: str, cluster: str, *, by_cluster: bool) -> tuple[str, ...]:
    """What items of a benchmark are sorted by: nonce or seed, and the id; before that perhaps the cluster."""
    own = digest_of([seed, name])
    return (digest_of([seed, cluster, "" if cluster else name]), own) if by_cluster else (own,)


class ItemLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of `items.jsonl`; what an item weighs decides nothing but which process records it."""

    benchmark: str
    id: str
    digest: str
    cluster: str
    groups: dict[str, str]
    length: Annotated[int, msgspec.Meta(ge=0)] = 0
    shared: Annotated[int, msgspec.Meta(ge=0)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Items that one process records together, under every subject.

    Attributes:
        number: from 0, over the whole plan.
        benchmark: they are of this one.
        start, stop: their positions in `items.jsonl`, from 0, the end not included.
        subjects: names of arms or models, in the plan's order.
    """

    number: int
    benchmark: str
    start: int
    stop: int
    subjects: tuple[str, ...]

    @property
    def records(self) -> int:
        """How many records it has."""
        return (self.stop - self.start) * len(self.subjects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a process records together: its part of a round. Where there is one process, that is a unit.

    Attributes:
        number: of the round's first unit.
        benchmark: it is of this one.
        positions: of its items in `items.jsonl`, from 0, in order.
        subjects: names of arms or models, in the plan's order.
    """

    number: int
    benchmark: str
    positions: Sequence[int]
    subjects: tuple[str, ...]

    @property
    def records(self) -> int:
        """How many records it has."""
        return len(self.positions) * len(self.subjects)

    def find(self, position: int) -> int | None:
        """Which of its items stands there; None where it has not got it."""
        place = bisect_left(self.positions, position)
        return place if place < len(self.positions) and self.positions[place] == position else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A benchmark's part of the items.

    Attributes:
        start: position of its first item.
        unit: number of its first unit.
        record: number of its first record, over the whole plan.
        subjects: name → digest of what answers, in the plan's order.
        items: ids, in order.
        digests: of the items, 32 bytes each, in that order.
        weights: of the items, likewise.
    """

    benchmark: str
    start: int
    unit: int
    record: int
    subjects: Mapping[str, str]
    items: Roster
    digests: bytes
    weights: Weights

    def digest(self, position: int) -> str:
        """Of the item there."""
        return f"sha256:{self.digests[_DIGEST * position : _DIGEST * (position + 1)].hex()}"


class Weights:
    """What items weigh, in twenty-four bytes each."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self._clusters: dict[str, int] = {}

    def add(self, line: ItemLine) -> None:
        """The next item."""
        shared = min(line.shared, line.length, _MOST) if line.cluster else 0
        cluster = self._clusters.setdefault(line.cluster, len(self._clusters)) if shared else -1
        self._numbers.extend((min(line.length, _MOST), shared, cluster))

    def __getitem__(self, places: range) -> list[Weight]:
        """Of the items at these places."""
        return [Weight(*self._numbers[3 * place : 3 * place + 3]) for place in places]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The units and records that a plan and its items call for.

    Attributes:
        unit: most items in a unit.
        units: in order; number u stands at place u.
        records: how many there must be over all shards.
        sections: benchmark → its part, in the plan's order.
    """

    unit: int
    units: tuple[Unit, ...]
    records: int
    sections: Mapping[str, Section]

    def unit_at(self, section: Section, position: int) -> int:
        """Number of the unit that the item at a position in `items.jsonl` is in."""
        return section.unit + (position - section.start) // self.unit

    def share(self, section: Section, number: int, *, rank: int, world: int) -> Share:
        """What a process has of the round that a unit is in.

        Args:
            section: of the unit's benchmark.
            number: of the unit.
            rank: of the process, from 0.
            world: how many processes there are, and so most units of a round.
        """
        turn = (number - section.unit) // world
        places = range(turn * world * self.unit, min((turn + 1) * world * self.unit, len(section.items)))
        if world == 1:
            positions: Sequence[int] = range(section.start + places.start, section.start + places.stop)
        else:
            found = dealt(section.weights[places], world, turn=turn).get(rank, ())
            positions = [section.start + places[place] for place in found]
        first, subjects = section.unit + turn * world, tuple(section.subjects)
        return Share(number=first, benchmark=section.benchmark, positions=positions, subjects=subjects)

    def shares(self, *, rank: int = 0, world: int = 1) -> Iterator[Share]:
        """What rank `rank` of `world` records, a round after the other; of rounds of which it has any."""
        for section in self.sections.values():
            units = range(section.unit, section.unit + -(-len(section.items) // self.unit), world)
            found = (self.share(section, unit, rank=rank, world=world) for unit in units)
            yield from (share for share in found if share.records)

    def sizes(self, *, rank: int = 0, world: int = 1) -> dict[int, int]:
        """Number of a share → how many records it has, of the shares of rank `rank` of `world`."""
        return {share.number: share.records for share in self.shares(rank=rank, world=world)}

    def rounds(self, world: int) -> dict[int, int]:
        """Unit → the first unit of the round it is in, which is the number of its shares."""
        starts = {name: section.unit for name, section in self.sections.items()}
        return {unit.number: unit.number - (unit.number - starts[unit.benchmark]) % world for unit in self.units}


def schedule_of(plan: Mapping[str, Any], items: Iterable[ItemLine]) -> Schedule:
    """What must be recorded.

    Args:
        plan: as `plan.json` has it.
        items: as `items.jsonl` has them, in its order; read once.

    Raises:
        BadInput: the plan is none, or the items are not those it counts.
    """
    try:
        sections = _sections(plan, items)
        unit, wanted = int(plan["unit"]), int(plan["records"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadInput(f"plan.json is no plan: {type(error).__name__}: {error}") from error
    records = sum(len(section.items) * len(section.subjects) for section in sections)
    if records != wanted:
        raise BadInput(f"plan.json counts {wanted} records, and its items under its arms and models make {records}")
    return Schedule(unit, tuple(_units(sections, unit)), records, {s.benchmark: s for s in sections})


def _sections(plan: Mapping[str, Any], items: Iterable[ItemLine]) -> list[Section]:
    if plan["unit"] < 1:
        raise BadInput(f"plan.json has units of {plan['unit']} items")
    runs = groupby(items, key=lambda item: item.benchmark)
    sections: list[Section] = []
    start = unit = record = 0
    for entry in plan["benchmarks"]:
        found, digests, weights = _items(entry, next(runs, None))
        subjects = _subjects(plan, entry)
        where = {"start": start, "unit": unit, "record": record}
        sections.append(
            Section(benchmark=entry["name"], subjects=subjects, items=found, digests=digests, weights=weights, **where)
        )
        start += len(found)
        unit += -(-len(found) // plan["unit"])
        record += len(found) * len(subjects)
    extra = next(runs, None)
    if extra is not None or len({s.benchmark for s in sections}) != len(sections):
        name = repr(extra[0]) if extra else "one"
        raise BadInput(f"items.jsonl: items of {name} stand where plan.json has no such benchmark, or has it twice")
    return sections


def _items(entry: Mapping[str, Any], run: tuple[str, Iterator[ItemLine]] | None) -> tuple[Roster, bytes, Weights]:
    """A benchmark's items, their digests and weights. One without items has no run, and a plan never holds one."""
    name, lines = run or ("nothing", iter(()))
    if name != entry["name"]:
        raise BadInput(f"items.jsonl: {name!r} stands where plan.json has benchmark {entry['name']!r}")
    digests, weights = bytearray(), Weights()
    try:
        items = Roster(_noting(lines, digests, weights))
    except Twice as error:
        raise BadInput(f"items.jsonl: item {error.name!r} of {name!r} stands there twice") from error
    if len(items) != entry["items"]:
        raise BadInput(f"items.jsonl has {len(items)} items of {name!r}, and plan.json counts {entry['items']}")
    return items, bytes(digests), weights


def _noting(lines: Iterable[ItemLine], digests: bytearray, weights: Weights) -> Iterator[str]:
    for line in lines:
        digest = bytes.fromhex(line.digest.removeprefix("sha256:"))
        if len(digest) != _DIGEST:
            raise BadInput(f"items.jsonl: item {line.id!r} of {line.benchmark!r} has the digest {line.digest!r}")
        digests += digest
        weights.add(line)
        yield line.id


def _subjects(plan: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, str]:
    """Who answers a benchmark's items, and the digest of each."""
    rows, key = (plan["arms"], "pipeline") if entry["kind"] == "question" else (plan["models"], "digest")
    subjects = {row["name"]: row[key] for row in rows}
    if not subjects or len(subjects) != len(rows):
        raise BadInput(f"plan.json: benchmark {entry['name']!r} has nobody to ask, or two of one name")
    return subjects


def _units(sections: Iterable[Section], size: int) -> Iterator[Unit]:
    for section in sections:
        for number, first in enumerate(range(0, len(section.items), size), section.unit):
            yield Unit(
                number=number,
                benchmark=section.benchmark,
                start=section.start + first,
                stop=section.start + min(first + size, len(section.items)),
                subjects=tuple(section.subjects),
            )


# --- every record once -------------------------------------------------------------------------


@dataclass(slots=True)
class _Tally:
    """Records of which the same is wrong: how many, and the first of them."""

    what: str
    count: int = 0
    first: list[tuple[str, int, str]] = field(default_factory=list)

    def add(self, file: str, line: int, name: str) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append((file, line, name))

    def fault(self) -> Fault:
        file, line, _ = self.first[0]
        named = [f"{name} ({place}, line {number})" for place, number, name in self.first]
        return Fault(file, line, f"{_records(self.count)} {self.what}: {_listed(named, self.count)}")


class Census:
    """Counts records against a plan. It holds a byte for every planned record, and none of the records.

    Args:
        schedule: what the plan calls for.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._seen = bytearray(schedule.records)
        self._unplanned = _Tally("that the plan does not call for")
        self._again = _Tally("standing a second time")
        self._other = _Tally("not as the plan says")

    def see(self, record: Mapping[str, Any], *, file: str, line: int) -> None:
        """One record, the fields of a journal line of kind `item`."""
        benchmark, item, subject = record.get("benchmark"), record.get("item"), record.get("subject")
        name = f"{benchmark}/{item} under {subject}"
        section = self._schedule.sections.get(benchmark) if isinstance(benchmark, str) else None
        position = section.items.find(item) if section and isinstance(item, str) else None
        if section is None or position is None or not isinstance(subject, str) or subject not in section.subjects:
            self._unplanned.add(file, line, name)
            return
        number = section.record + position * len(section.subjects) + [*section.subjects].index(subject)
        wanted = {
            "unit": section.unit + position // self._schedule.unit,
            "digest": section.digest(position),
            "identity": section.subjects[subject],
        }
        if self._seen[number]:
            self._again.add(file, line, name)
        self._seen[number] = 1
        for key, value in wanted.items():
            if record.get(key) != value:
                self._other.add(file, line, f"{name}, whose {key} is {record.get(key)!r} and not {value!r}")

    def faults(self, stops: Mapping[str, int]) -> list[Fault]:
        """What is missing, there twice, not called for, or of another item, pipeline or unit than the plan says.

        Args:
            stops: benchmarks that stop before their last item, and after how many: there must be no more of them.
        """
        faults = self.unsound()
        beyond = [range(*self._beyond(name, stop)) for name, stop in stops.items()]
        missing = self._seen.count(0) - sum(self._seen.count(0, part.start, part.stop) for part in beyond)
        if missing:
            named = [self._name(number) for number in islice(self._missing(beyond), SHOWN)]
            wanted = len(self._seen) - sum(map(len, beyond))
            what = f"{_records(missing)} of {wanted} missing: {_listed(named, missing)}"
            faults.append(Fault("journal-*.jsonl", 0, what))
        for part in beyond:
            if extra := self._seen.count(1, part.start, part.stop):
                first = self._name(self._seen.find(1, part.start))
                what = f"{_records(extra)} beyond where its gates had ruled and asking had to stop: {first} and after"
                faults.append(Fault("journal-*.jsonl", 0, what))
        return faults

    def unsound(self) -> list[Fault]:
        """Those of `faults` that are wrong with records that are here, wherever asking stopped."""
        return [tally.fault() for tally in (self._unplanned, self._again, self._other) if tally.count]

    def _beyond(self, benchmark: str, stop: int) -> tuple[int, int]:
        section = self._schedule.sections[benchmark]
        subjects = len(section.subjects)
        return section.record + stop * subjects, section.record + len(section.items) * subjects

    def _missing(self, beyond: Sequence[range]) -> Iterator[int]:
        number = self._seen.find(0)
        while number >= 0:
            part = next((part for part in beyond if number in part), None)
            if part is None:
                yield number
            number = self._seen.find(0, number + 1 if part is None else part.stop)

    def _name(self, number: int) -> str:
        sections = self._schedule.sections.values()
        section = max((s for s in sections if s.record <= number), key=lambda s: s.record)
        position, subject = divmod(number - section.record, len(section.subjects))
        return f"{section.benchmark}/{section.items[position]} under {[*section.subjects][subject]}"


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count} records"


def _listed(names: list[str], count: int) -> str:
    more = count - len(names)
    return ", ".join(names) + (f", and {more} more" if more else "")
