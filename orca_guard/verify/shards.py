"""The one time that the shards are read: chain, census, order and results are followed, and no record is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from orca_guard.errors import BadInput
from orca_guard.identity import canonical, digest_bytes
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.chain import Fault, Line
from orca_guard.journal.reading import ShardReader
from orca_guard.journal.units import Census, Section, Share
from orca_guard.verify.derive import Deriver, Place
from orca_guard.verify.planned import Planned
from orca_guard.verify.report import Ledger
from orca_guard.verify.shapes import Record, shaped

_VOLATILE = frozenset({"n", "prev", "seconds", "sureness"})
_SIZE = hashlib.sha256().digest_size
_encoder = msgspec.json.Encoder(order="sorted")


class Shards:
    """Every shard of a bundle, read once.

    Args:
        bundle: whose.
        digest: of its plan.
        planned: the plan with its items.
        deriver: for every record of the plan.
        ledger: where faults go.

    Attributes:
        readers: a shard each, read to their ends after `records`.
        census: of all records.
        results: of all records.
        seen: how many planned records are here.
    """

    def __init__(self, bundle: Bundle, planned: Planned, deriver: Deriver, ledger: Ledger) -> None:
        self.readers = [ShardReader(path, plan=planned.digest, rank=rank) for rank, path in bundle.journals().items()]
        self.census = Census(planned.schedule)
        self.results = Results()
        self._planned = planned
        self._deriver = deriver
        self._ledger = ledger
        self._here = bytearray(planned.schedule.records)

    @property
    def seen(self) -> int:
        """How many planned records are here."""
        return self._here.count(1)

    def records(self) -> Iterator[Mapping[str, Any]]:
        """Every planned record once, if it is sound enough to be counted. Raises `BadInput`: a shard cannot be read."""
        for reader in self.readers:
            order = _Order(self._planned, reader)
            for line in reader:
                if line.kind == "item" and self._sound(line, reader, order):
                    yield line.fields

    def _sound(self, line: Line, reader: ShardReader, order: _Order) -> bool:
        place = Place(reader.path.name, line.number)
        self.census.see(line.fields, file=place.file, line=place.line)
        self.results.add(line)
        try:
            record = shaped(line.fields, Record)
        except BadInput as error:
            self._ledger.add("records", Fault(place.file, place.line, f"is no record: {error}"))
            return False
        number = self._planned.number(record)
        if why := order.fault(number, record):
            self._ledger.add("units", Fault(place.file, place.line, why))
        if number is None or self._here[number]:
            return False
        self._here[number] = 1
        self._deriver.derive(record, place)
        return record.scores.keys() == {metric.name for metric in self._planned.benchmarks[record.benchmark].metrics}


class _Order:
    """Follows one shard: shares stand whole and in order, each in the shard of its rank."""

    def __init__(self, planned: Planned, reader: ShardReader) -> None:
        self._schedule = planned.schedule
        self._reader = reader
        self._share: Share | None = None
        self._next = 0
        self._dealt: dict[int, Share] = {}

    def fault(self, number: int | None, record: Record) -> str:
        """What is wrong with the place of the next record; what is not planned has none."""
        if number is None:
            return ""
        section = self._schedule.sections[record.benchmark]
        place, subject = divmod(number - section.record, len(section.subjects))
        share, within = self._shared(section, section.start + place)
        name = f"{record.benchmark}/{record.item} under {record.subject}"
        if within is None:
            return f"{name}: {self._whose(record)}"
        at = within * len(section.subjects) + subject
        good = at == (self._next if share is self._share else 0) and (share is self._share or not self._next)
        self._share, self._next = share, (at + 1) % share.records
        return "" if good else f"{name}: it is not the next of its unit"

    def _shared(self, section: Section, position: int) -> tuple[Share, int | None]:
        """The share of this shard's rank of the round of an item, and which of its items it is."""
        if self._share is not None and (found := self._share.find(position)) is not None:
            return self._share, found
        opened, unit = self._reader.opened, self._schedule.unit_at(section, position)
        rank, world = (opened.rank, opened.world) if opened else (self._reader.rank, 1)
        first = unit - (unit - section.unit) % world
        if first not in self._dealt:
            self._dealt[first] = self._schedule.share(section, unit, rank=rank, world=world)
        return self._dealt[first], self._dealt[first].find(position)

    def _whose(self, record: Record) -> str:
        opened = self._reader.opened
        of = f"{opened.rank} of {opened.world}" if opened else f"{self._reader.rank}"
        return f"this item of unit {record.unit} is not for rank {of}"


class Results:
    """Digest of what a run found, as `figures.results_digest` has it, with 32 bytes kept of every record.

    They are kept by their first byte, so that no more than a part of them has to be sorted at a time.
    """

    def __init__(self) -> None:
        self._parts = tuple(bytearray() for _ in range(256))

    def add(self, line: Line) -> None:
        """One record.

        Where the fast encoder spells a whole line as it stands, it spells what is left of it as RFC 8785 does, too.
        """
        left = {key: value for key, value in line.fields.items() if key not in _VOLATILE}
        plain = digest_bytes(_encoder.encode(line.fields)) == line.digest
        data = _encoder.encode(left) if plain else canonical(left)
        found = hashlib.sha256(data).digest()
        self._parts[found[0]].extend(found)

    def digest(self) -> str:
        """Of all together, sorted."""
        whole = hashlib.sha256()
        for part in self._parts:
            whole.update(b"".join(sorted(part[at : at + _SIZE] for at in range(0, len(part), _SIZE))))
        return f"sha256:{whole.hexdigest()}"
