"""The items held against the data they were made of, where that is a pack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from orca_guard.errors import BadInput
from orca_guard.gates import sequential_of
from orca_guard.identity import digest_file
from orca_guard.items import TAGS, TRAINING, Item, item_digest
from orca_guard.journal.chain import Fault
from orca_guard.journal.units import Section, place_in_order
from orca_guard.packs import read_pack
from orca_guard.verify.planned import Planned
from orca_guard.verify.report import Check, Ledger, Status
from orca_guard.verify.shapes import BenchmarkShape

NAME = "data"


def check_data(planned: Planned, data: Path | None, ledger: Ledger) -> Check:
    """The items, and the choice of them, held against the data.

    Args:
        planned: with the digests of the items.
        data: a pack, or a folder of them; None where there is none.
        ledger: where faults go.

    Raises:
        BadInput: there is nothing at `data`.
    """
    if data is None:
        what = "that the items are those of their data; give it by --data, and they are held against it"
        return ledger.settle(NAME, Status.ASSERTED, what)
    if not data.exists():
        raise BadInput(f"there is no {data}")
    told = {entry.name: _held(entry, planned, data, ledger) for entry in planned.shape.benchmarks}
    status = Status.SKIPPED if any(told.values()) else Status.PROVEN
    words = (why or "its items are those of its pack, and none was passed over" for why in told.values())
    return ledger.settle(NAME, status, "; ".join(f"{name}: {word}" for name, word in zip(told, words, strict=True)))


def _held(entry: BenchmarkShape, planned: Planned, data: Path, ledger: Ledger) -> str:
    """Note the faults of one benchmark. What is returned is why it could not be looked at."""
    found = {name: path for name, digest in entry.data.items() if (path := _find(data, name, digest))}
    if len(found) < len(entry.data) or not found:
        lacking = [name for name in entry.data if name not in found]
        return f"{lacking[0]} is not there" if lacking else "the plan names no data"
    changed = [fault for name, path in found.items() if (fault := _changed(path, entry.data[name]))]
    ledger.add_all(NAME, changed)
    if changed:
        return ""
    try:
        items = [item for path in found.values() for item in read_pack(path)]
    except BadInput:
        return "its data has the planned digest; items are made of it by its plugin, and were not made again here"
    ledger.add_all(NAME, _compared(entry, planned, items))
    return ""


def _find(data: Path, name: str, digest: str) -> Path | None:
    """The file of that name in the folder, and nowhere else; or the one that was given, if it can be meant."""
    if data.is_file():
        return data if data.name == Path(name).name or _changed(data, digest) is None else None
    path = (data / name).resolve()
    return path if path.is_relative_to(data.resolve()) and path.is_file() else None


def _changed(path: Path, digest: str) -> Fault | None:
    try:
        here = digest_file(path, fresh=True)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    return None if here == digest else Fault(path.name, 0, f"its digest is {here}, and the plan has {digest}")


def _compared(entry: BenchmarkShape, planned: Planned, items: Sequence[Item]) -> Iterator[Fault]:
    section = planned.schedule.sections[entry.name]
    tagged = "training" in planned.plan
    yield from _digests(section, {item.id: item for item in items}, tagged=tagged)
    stopping = entry.name in sequential_of(planned.plan)
    yield from _choice(entry, section, items, planned.seed, by_cluster=stopping)


def _digests(section: Section, pack: Mapping[str, Item], *, tagged: bool) -> Iterator[Fault]:
    for position, name in enumerate(section.items):
        if name not in pack:
            yield Fault("items.jsonl", 0, f"{section.benchmark}/{name} is not in the data")
        elif section.digest(position) not in _digests_of(pack[name], tagged=tagged):
            yield Fault("items.jsonl", 0, f"{section.benchmark}/{name} is not the item that the data has")


def _digests_of(item: Item, *, tagged: bool) -> set[str]:
    """What the digest may be: of an item that was held against training data, with one of the tags it can have got."""
    tags = TAGS if tagged else ()
    of_tags = (replace(item, groups={**item.groups, TRAINING: tag}) for tag in tags)
    return {item_digest(one) for one in (of_tags if tagged else (item,))}


def _choice(
    entry: BenchmarkShape, section: Section, items: Sequence[Item], seed: str | int, *, by_cluster: bool
) -> Iterator[Fault]:
    """The planned items, and those left out, are the first in an order that the seed and the ids alone decide."""
    left_out = {row.id for row in entry.not_covered}
    key = partial(place_in_order, seed, by_cluster=by_cluster)
    order = [item.id for item in sorted(items, key=lambda item: key(item.id, item.cluster))]
    asked = [name for name in order[: len(section.items) + len(left_out)] if name not in left_out]
    passed_over = [name for name in asked if name not in section.items]
    if passed_over:
        names = ", ".join(passed_over[:3])
        yield Fault("items.jsonl", 0, f"{section.benchmark}: {len(passed_over)} that come first are left out: {names}")
    elif asked != [*section.items]:
        yield Fault("items.jsonl", 0, f"{section.benchmark}: the items do not stand in the order of the seed")
