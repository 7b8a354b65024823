"""Reads a shard as a stream and checks it on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orca_guard.errors import BadInput
from orca_guard.identity import digest_bytes
from orca_guard.journal.chain import Chain, Fault, Line, check_form, decode

TORN = "torn: the file ends within this line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a shard's first line says.

    Attributes:
        rank: of the process that wrote it.
        world: how many processes there were.
        started: ISO 8601, UTC.
    """

    rank: int
    world: int
    started: str


class ShardReader:
    """The lines of a shard, in the order of the file; what is wrong is in `faults` when the last one has come.

    Lines that cannot be read are named and left out. Iterate over it once; memory does not grow with the file.

    Args:
        path: `journal-R.jsonl`.
        plan: digest of the plan it must belong to.
        rank: R.

    Attributes:
        path, rank: as given.
        faults: whole after the last line.
        lines: how many whole lines there are so far, readable or not.
        head: digest of the last of them; of none, the plan's.
        records: how many of them are of kind `item`.
        opened: what the first line says, if it could be read.

    Raises:
        BadInput: while iterating: the file cannot be read.
    """

    def __init__(self, path: Path, *, plan: str, rank: int) -> None:
        self.path = path
        self.faults: list[Fault] = []
        self.lines = 0
        self.head = plan
        self.records = 0
        self.opened: Opened | None = None
        self._plan = plan
        self.rank = rank
        self._chain = Chain(path.name, plan=plan)

    def __iter__(self) -> Iterator[Line]:
        end = 0
        for raw in raw_lines(self.path):
            end += len(raw)
            line = self._read(raw, end)
            if line is not None:
                yield line
        if not end:
            self._chain.name(0, "is empty: it has no first line")
        self.faults = self._chain.finish()

    def _read(self, raw: bytes, end: int) -> Line | None:
        number = self.lines + 1
        if not raw.endswith(b"\n"):
            self._chain.unreadable(number, TORN)
            return None
        self.lines, self.head = number, digest_bytes(raw[:-1])
        try:
            fields = decode(raw[:-1])
            check_form(fields)
        except ValueError as error:
            self._chain.unreadable(number, str(error))
            return None
        line = Line(number, end, fields["n"], fields["prev"], fields["kind"], fields, self.head)
        self._chain.follow(line)
        self.records += line.kind == "item"
        if line.n == 0 or line.kind == "open":
            self._open(line)
        return line

    def _open(self, line: Line) -> None:
        """The first line, and no other, says where the shard belongs."""
        plan, rank, world, started = (line.fields.get(key) for key in ("plan", "rank", "world", "started"))
        if (line.n == 0) != (line.kind == "open"):
            self._chain.name(line.number, f"n is {line.n}, and kind is {line.kind!r}: the first line is the open one")
        elif plan != self._plan:
            self._chain.name(line.number, f"it belongs to plan {plan}, not to {self._plan}")
        elif rank != self.rank:
            self._chain.name(line.number, f"it is the shard of rank {rank}, under the name of rank {self.rank}")
        elif type(rank) is not int or type(world) is not int or not rank < world or not isinstance(started, str):
            self._chain.name(line.number, f"rank {rank} of {world} processes, started {started!r}, cannot be")
        else:
            self.opened = self.opened or Opened(rank=rank, world=world, started=started)


def raw_lines(path: Path) -> Iterator[bytes]:
    """A file's lines with their ends. Raises `BadInput` when it cannot be read."""
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def check_shard(path: Path, *, plan: str, rank: int) -> ShardReader:
    """Read a shard to its end, for its `faults`, `lines` and `head`. Raises `BadInput` when it cannot be read."""
    reader = ShardReader(path, plan=plan, rank=rank)
    for _ in reader:
        pass
    return reader
