"""Writes a rank's shard of the journal, a whole share at a time, and goes on with one that was cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from orca_guard.errors import BadInput
from orca_guard.identity import digest_bytes
from orca_guard.journal.chain import Line, encode
from orca_guard.journal.disk import AppendFile
from orca_guard.journal.reading import ShardReader


def utc_now() -> str:
    """The time as ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(slots=True)
class _Kept:
    """What stays of a shard: everything up to the end of its last whole share."""

    lines: int = 0
    size: int = 0
    n: int = 0
    head: str = ""
    units: set[int] = field(default_factory=set)
    _unit: int | None = None
    _count: int = 0

    def see(self, line: Line, sizes: Mapping[int, int], rounds: Mapping[int, int]) -> None:
        """The next line; one that completes a share makes everything before it stay."""
        if line.kind != "item":
            if not self._count:
                self._keep(line)
            return
        unit = line.fields.get("unit")
        unit = rounds.get(unit, unit) if type(unit) is int else None
        self._count = self._count + 1 if unit == self._unit else 1
        self._unit = unit
        if self._unit is not None and sizes.get(self._unit) == self._count:
            self.units.add(self._unit)
            self._keep(line)
            self._unit, self._count = None, 0

    def _keep(self, line: Line) -> None:
        self.lines, self.size, self.n, self.head = line.number, line.end, line.n + 1, line.digest


class Shard:
    """One rank's shard, open for writing: `with Shard(...) as shard: shard.write(number, records)`.

    Opening it keeps every whole share, cuts off what follows the last of them, and says in a line of its own that the
    run goes on.

    Args:
        path: `journal-R.jsonl`.
        plan: digest of the plan.
        rank: R.
        world: how many processes write shards of this run.
        sizes: number of a share → how many records it has; of this rank's. With one process shares are units.
        rounds: unit → number of the share that its items are in; of a unit that is not named, its own number.

    Attributes:
        done: shares that are on disk.
        dropped: lines cut off when it was opened, a torn one included.
        started: when the run began: ISO 8601, UTC.
        lines: in the file.
        head: digest of the last of them.

    Raises:
        BadInput: on entering and on writing: another process writes it, it cannot be written, the run is sealed, or
            what stays of it is not as it was written.
    """

    def __init__(
        self,
        path: Path,
        *,
        plan: str,
        rank: int,
        world: int,
        sizes: Mapping[int, int],
        rounds: Mapping[int, int] = MappingProxyType({}),
    ) -> None:
        self.path = path
        self.done: set[int] = set()
        self.dropped = 0
        self.started = ""
        self.lines = 0
        self.head = plan
        self._plan = plan
        self._rank = rank
        self._world = world
        self._sizes = sizes
        self._rounds = rounds
        self._file = AppendFile(path)

    def __enter__(self) -> Self:
        if self.path.with_name("seal.json").exists():
            raise BadInput(f"{self.path.parent} is sealed: nothing can be added to it. Start another run.")
        self._file.open()
        try:
            self._recover()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, number: int, records: Sequence[Mapping[str, Any]]) -> None:
        """Append a share's records, in order; when this returns all of them are on disk.

        Their texts must be there before: see `Texts.flush`. `kind`, `n` and `prev` are put in here, and `unit` where a
        record does not say it.

        Raises:
            BadInput: the disk refuses, or a record cannot be JSON. No share is half there at the next opening.
            ValueError: the share is done, is not this rank's, or has another number of records.
        """
        if number in self.done or len(records) != self._sizes.get(number):
            raise ValueError(f"unit {number} is done or not this shard's, or {len(records)} are not its records")
        self._append([{"unit": number, **record, "kind": "item"} for record in records])
        self.done.add(number)

    def _append(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """All or, as far as the next opening is concerned, nothing; what this object says moves on only then."""
        n, head, lines = self.lines, self.head, []
        for entry in entries:
            line = encode(entry, n=n, prev=head)
            n, head = n + 1, digest_bytes(line)
            lines.append(line + b"\n")
        self._file.append(b"".join(lines))
        self.lines, self.head = n, head

    def _recover(self) -> None:
        reader = ShardReader(self.path, plan=self._plan, rank=self._rank)
        kept = _Kept()
        for line in reader:
            kept.see(line, self._sizes, self._rounds)
        self._check(reader, kept)
        torn = any(fault.line > reader.lines for fault in reader.faults)
        if not kept.lines:
            self._file.cut(0)
            self.started = utc_now()
            where = {"plan": self._plan, "rank": self._rank, "world": self._world}
            self._append([{"kind": "open", "started": self.started, **where}])
            return
        assert reader.opened is not None, "a shard without faults has an open line"
        self.done, self.started = kept.units, reader.opened.started
        self.dropped = reader.lines - kept.lines + torn
        self._file.cut(kept.size)
        self.lines, self.head = kept.n, kept.head
        self._append([{"kind": "resumed", "dropped": self.dropped, "at": utc_now()}])

    def _check(self, reader: ShardReader, kept: _Kept) -> None:
        """Whatever stays must be sound, and so must the first line, if it is whole: it may be somebody else's file."""
        if not reader.lines:
            return
        faults = [fault for fault in reader.faults if fault.line <= max(kept.lines, 1)]
        if faults:
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            raise BadInput(
                f"{self.path.parent} cannot be gone on with: {faults[0]}{more}. Nothing was changed; start another run."
            )
        if reader.opened and reader.opened.world != self._world:
            raise BadInput(
                f"{self.path} was begun with {reader.opened.world} processes, and now there are {self._world}. "
                "Go on with as many as before."
            )
