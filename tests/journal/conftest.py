"""Small runs, written for real."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orca_guard.identity import canonical, digest_bytes, digest_text
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.chain import Fault
from orca_guard.journal.reading import ShardReader
from orca_guard.journal.seal import check_seal, sealed_shards
from orca_guard.journal.shard import Shard
from orca_guard.journal.texts import Texts
from orca_guard.journal.units import Census, ItemLine, Schedule, schedule_of

SECRET = bytes(range(32))


@dataclass
class Run:
    """A run of a made-up plan."""

    bundle: Bundle
    plan: dict[str, Any]
    items: list[ItemLine]
    digest: str
    world: int

    @property
    def schedule(self) -> Schedule:
        return schedule_of(self.plan, self.items)

    def shard(self, rank: int = 0) -> Shard:
        sizes, rounds = self.schedule.sizes(rank=rank, world=self.world), self.schedule.rounds(self.world)
        where: Any = {"rank": rank, "world": self.world, "sizes": sizes, "rounds": rounds}
        return Shard(self.bundle.journal(rank), plan=self.digest, **where)

    def texts(self, rank: int = 0) -> Texts:
        return Texts(self.bundle.texts(rank), secret=SECRET, plan=self.digest)

    def records(self, unit: int, address: Callable[[str], str] = digest_text) -> list[dict[str, Any]]:
        """What a unit would be recorded as."""
        wanted = self.schedule.units[unit]
        return self.records_at(range(wanted.start, wanted.stop), address)

    def records_at(self, positions: Iterable[int], address: Callable[[str], str] = digest_text) -> list[dict[str, Any]]:
        """What the items at these positions would be recorded as."""
        schedule = self.schedule
        return [
            {
                "benchmark": item.benchmark,
                "unit": schedule.unit_at(section, position),
                "item": item.id,
                "digest": item.digest,
                "subject": subject,
                "identity": identity,
                "question": address(f"question {item.id}"),
                "scores": {"accuracy": 1.0, "logprob": -1.5e-7},
                "seconds": 0.25,
            }
            for position in positions
            for item in [self.items[position]]
            for section in [schedule.sections[item.benchmark]]
            for subject, identity in section.subjects.items()
        ]

    def write(self) -> None:
        """Everything that is not there yet, then the seal."""
        for rank in range(self.world):
            with self.shard(rank) as shard, self.texts(rank) as texts:
                for share in self.schedule.shares(rank=rank, world=self.world):
                    if share.number not in shard.done:
                        records = self.records_at(share.positions, texts.add)
                        texts.flush()
                        shard.write(share.number, records)
        self.bundle.write_seal(
            {
                "format": 1,
                "plan": self.digest,
                "records": self.schedule.records,
                "shards": sealed_shards(self.readers()),
            }
        )

    def readers(self, census: Census | None = None) -> list[ShardReader]:
        readers = []
        for rank, path in self.bundle.journals().items():
            reader = ShardReader(path, plan=self.digest, rank=rank)
            for line in reader:
                if census and line.kind == "item":
                    census.see(line.fields, file=path.name, line=line.number)
            readers.append(reader)
        return readers

    def chain_faults(self) -> list[Fault]:
        return [fault for reader in self.readers() for fault in reader.faults]

    def seal_faults(self) -> list[Fault]:
        return check_seal(self.bundle.read_seal(), self.readers(), plan=self.digest)

    def census_faults(self) -> list[Fault]:
        census = Census(self.schedule)
        self.readers(census)
        return census.faults({})

    def faults(self) -> list[Fault]:
        return self.chain_faults() + self.seal_faults() + self.census_faults()


def make(
    folder: Path,
    benchmarks: Sequence[tuple[str, int]] = (("question", 3), ("score", 2)),
    *,
    arms: int = 2,
    models: int = 1,
    unit: int = 2,
    world: int = 1,
    name: str = "made",
) -> Run:
    """A run with a plan and items on disk and nothing recorded. `benchmarks` are pairs of kind and number of items."""
    items = [
        ItemLine(f"b{b}", f"i{n}", digest_text(f"{b} {n}"), "", {"group": str(n % 2)}, length=7 * n % 5)
        for b, (_, count) in enumerate(benchmarks)
        for n in range(count)
    ]
    data = b"".join(canonical({f: getattr(i, f) for f in ItemLine.__struct_fields__}) + b"\n" for i in items)
    plan = {
        "format": 1,
        "name": name,
        "unit": unit,
        "arms": [{"name": f"arm-{n}", "pipeline": digest_text(f"arm {n}")} for n in range(arms)],
        "models": [{"name": f"model-{n}", "digest": digest_text(f"model {n}")} for n in range(models)],
        "benchmarks": [{"name": f"b{b}", "kind": kind, "items": count} for b, (kind, count) in enumerate(benchmarks)],
        "items": {"count": len(items), "digest": digest_bytes(data)},
        "records": sum(count * (arms if kind == "question" else models) for kind, count in benchmarks),
    }
    bundle = Bundle(folder)
    return Run(bundle, plan, items, bundle.begin(plan, data), world)


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Run]:
    return make


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make(tmp_path / "run")


@pytest.fixture
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that write thousands of files and pull no plug."""
    monkeypatch.setattr("os.fsync", lambda _: None)
