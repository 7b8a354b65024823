"""What a seal says of the shards, and whether they are still what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from orca_guard.journal.chain import Fault
from orca_guard.journal.reading import ShardReader


class SealedShard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A shard as the seal has it.

    Attributes:
        rank: whose.
        file: its name.
        lines: in it.
        head: digest of the last of them; through the chain, of all.
    """

    rank: int
    file: str
    lines: int
    head: str


def sealed_shards(readers: Iterable[ShardReader]) -> list[dict[str, Any]]:
    """`shards` of a seal, from shards that were read to their end."""
    rows = [SealedShard(rank=r.rank, file=r.path.name, lines=r.lines, head=r.head) for r in readers]
    return [msgspec.to_builtins(row) for row in sorted(rows, key=lambda row: row.rank)]


def check_seal(seal: Mapping[str, Any], readers: Iterable[ShardReader], *, plan: str) -> list[Fault]:
    """What is not as it was sealed.

    Args:
        seal: `seal.json`.
        readers: of every shard there is, read to their end; what they found themselves is not said again.
        plan: digest of the plan.
    """
    there = {reader.path.name: reader for reader in readers}
    try:
        shards = {shard.file: shard for shard in msgspec.convert(seal.get("shards"), list[SealedShard])}
    except msgspec.ValidationError as error:
        return [Fault("seal.json", 0, f"its shards are not what a run writes: {error}")]
    faults = [Fault("seal.json", 0, what) for what in _wrong(seal, there, plan=plan)]
    faults += [Fault(name, 0, "is sealed, and is not here") for name in sorted(shards.keys() - there.keys())]
    faults += [Fault(name, 0, "is here, and is not sealed") for name in sorted(there.keys() - shards.keys())]
    for name in sorted(shards.keys() & there.keys()):
        faults += _compare(shards[name], there[name], world=len(shards))
    return faults


def _wrong(seal: Mapping[str, Any], there: Mapping[str, ShardReader], *, plan: str) -> Iterable[str]:
    if seal.get("plan") != plan:
        yield f"it seals plan {seal.get('plan')}, and plan.json is {plan}"
    records = sum(reader.records for reader in there.values())
    if seal.get("records") != records:
        yield f"it counts {seal.get('records')} records, and {records} are here"


def _compare(sealed: SealedShard, reader: ShardReader, *, world: int) -> list[Fault]:
    name, lines = sealed.file, reader.lines
    faults = []
    if sealed.rank != reader.rank:
        faults.append(Fault("seal.json", 0, f"it gives {name} rank {sealed.rank}"))
    if lines < sealed.lines:
        what = f"has {lines} lines where {sealed.lines} were sealed: {sealed.lines - lines} missing"
        faults.append(Fault(name, lines, what))
    elif lines > sealed.lines:
        what = f"has {lines} lines where {sealed.lines} were sealed: {lines - sealed.lines} too many"
        faults.append(Fault(name, sealed.lines + 1, what))
    elif reader.head != sealed.head:
        what = f"the last line was changed: its digest is {reader.head}, and {sealed.head} was sealed"
        faults.append(Fault(name, lines, what))
    elif reader.opened and reader.opened.world != world:
        faults.append(Fault(name, 1, f"it is one of {reader.opened.world} shards, and {world} are sealed"))
    return faults
