"""An audit from its request to its seal: begun or gone on with, run unit by unit, and closed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from filelock import Timeout

from orca_guard.bench import Bench, load_bench, unit_records
from orca_guard.cache import AnswerCache
from orca_guard.errors import BadInput, ConfigurationChanged, NotReady
from orca_guard.figures import Measured
from orca_guard.freezing import Frozen, Step, freeze
from orca_guard.gates import sequential_of
from orca_guard.host import Host
from orca_guard.identity import canonical, differences, digest_of
from orca_guard.journal.bundle import Bundle, RunStore, Status
from orca_guard.journal.disk import is_locked, lock_of, write_whole, writing
from orca_guard.journal.reading import ShardReader
from orca_guard.journal.shard import Shard
from orca_guard.journal.texts import Texts
from orca_guard.journal.units import Schedule, Share, schedule_of
from orca_guard.plan import Request, request_json, request_of
from orca_guard.sealing import earlier_runs, seal

REQUEST = "request.json"
"""What was asked for, kept to go on with; no evidence, and not sealed."""
POLL_S = 1.0
PATIENCE_S = 60.0
"""How long a process that nobody sees at work is waited for."""

Told: TypeAlias = Callable[[Share, Sequence[Mapping[str, Any]]], None]
"""What is told of every share and its records, once they are on disk; of one that was there before, without records."""


@dataclass(frozen=True, slots=True)
class Rank:
    """Which of how many processes this is; each writes a shard of its own."""

    rank: int = 0
    world: int = 1

    @classmethod
    def here(cls, *, wanted: int | None = None) -> Rank:
        """As `torchrun` and `accelerate launch` say it in the environment.

        Args:
            wanted: how many processes there must be; None is as many as there are.

        Raises:
            BadInput: they say something that cannot be, or that was not asked for.
        """
        try:
            rank, world = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
        except ValueError as error:
            raise BadInput(f"RANK and WORLD_SIZE are whole numbers: {error}") from error
        if not 0 <= rank < world:
            raise BadInput(f"RANK is {rank} and WORLD_SIZE is {world}: that cannot be")
        if world > 1 and "RANK" not in os.environ:
            raise BadInput(f"WORLD_SIZE is {world}, and no RANK says which of them this is. Set both, or neither.")
        if wanted not in {None, world}:
            raise BadInput(
                f"{wanted} processes were asked for, and there {'is' if world == 1 else 'are'} {world}. Start as many "
                f"by `torchrun --nproc-per-node {wanted}` or `accelerate launch --num_processes {wanted}`."
            )
        return cls(rank, world)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """A frozen plan in its folder.

    Attributes:
        request: what was asked for.
        frozen: what became of it.
        store: where the run lies.
        bundle: its folder.
    """

    request: Request
    frozen: Frozen
    store: RunStore
    bundle: Bundle

    @property
    def schedule(self) -> Schedule:
        """The units and records that the plan calls for."""
        return schedule_of(self.frozen.plan, self.bundle.read_items(self.frozen.plan))


def begin(request: Request, frozen: Frozen, *, store: RunStore, name: str, place: Rank = Rank()) -> Audit:
    """Put a plan into a folder of its own; the first process does, and the others wait for it.

    Raises:
        BadInput: there is such a run already, it cannot be written, or the first process has another plan.
        NotReady: the first process does not come.
    """
    _check_alone(frozen.plan, place)
    bundle = store.run(name)
    if place.rank:
        _join(bundle, frozen)
        return Audit(request=request, frozen=frozen, store=store, bundle=bundle)
    if bundle.plan.exists() or _foreign(bundle.root):
        raise BadInput(f"{bundle.root} is there already; go on with it by --resume {bundle.root}, or name another")
    with writing(bundle.root):
        bundle.root.mkdir(parents=True, exist_ok=True)
    write_whole(bundle.root / REQUEST, request_json(request))
    bundle.begin(frozen.plan, frozen.items)  # the plan comes last: with it there is all that a resumed run needs
    return Audit(request=request, frozen=frozen, store=store, bundle=bundle)


def _check_alone(plan: Mapping[str, Any], place: Rank) -> None:
    """Whether to stop is decided unit by unit, in order, and so by one process."""
    if place.world > 1 and (names := sequential_of(plan)):
        raise BadInput(
            f"a gate on {', '.join(sorted(names))} is sequential: its items are asked one unit after the other by one "
            f"process, and here are {place.world}. Start one, or take `sequential` from the gate."
        )


def _foreign(root: Path) -> bool:
    """Whether there is more in a folder than beginning leaves when it is killed."""
    names = {path.name for path in root.iterdir()} if root.exists() else set()
    return any(name not in {REQUEST, "items.jsonl"} and not name.startswith(".") for name in names)


def _join(bundle: Bundle, frozen: Frozen) -> None:
    waited = 0.0
    while not bundle.plan.exists():
        if waited > PATIENCE_S:
            raise NotReady(f"the first process has put no plan into {bundle.root}")
        waited += POLL_S
        time.sleep(POLL_S)
    bundle.begin(frozen.plan, frozen.items)  # changes nothing, and refuses another plan


def resume(folder: Path, host: Host, *, step: Step) -> Audit:
    """Go on with a run that was cut: the plan is frozen again, and must come out the same.

    Raises:
        ConfigurationChanged: weights, data, code, plugins or settings are not what they were; the difference is shown.
        BadInput: it is no run, or a sealed one.
    """
    bundle = Bundle(folder)
    if bundle.status() is Status.SEALED:
        raise BadInput(f"{folder} is complete and sealed; there is nothing to go on with")
    before = bundle.read_plan()
    try:
        data = (folder / REQUEST).read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {folder / REQUEST}: {error.strerror}") from error
    request = request_of(data, source=str(folder / REQUEST))
    frozen = freeze(request, host, step=step)
    if frozen.digest != digest_of(before):
        changed = differences(before, json.loads(canonical(frozen.plan)))
        raise ConfigurationChanged(f"{folder} cannot be gone on with: what it measures has changed.", changed)
    return Audit(request=request, frozen=frozen, store=RunStore(folder.parent), bundle=bundle)


def run(
    audit: Audit,
    host: Host,
    *,
    place: Rank,
    told: Told,
    examined: Callable[[Bench], None] = lambda _bench: None,
    cache: AnswerCache | None = None,
) -> None:
    """Load what the plan names and record every unit of this process that is not recorded yet.

    Args:
        audit: begun, or gone on with.
        host: where its names are looked up.
        place: which process this is.
        told: of every unit.
        examined: is shown what was loaded before anything is asked; what it raises ends the run.
        cache: of answers of earlier runs; records that rest on them are marked.

    Raises:
        ConfigurationChanged: what was loaded is not what was planned.
        BadInput: the bundle cannot be written or gone on with; what is in it is safe.
    """
    _check_alone(audit.frozen.plan, place)
    _check_world(audit.bundle, audit.frozen.digest, place)
    with _at_work(audit.bundle, place):
        judges = audit.request.table.judges
        bench = load_bench(audit.request.arms, audit.frozen.plan, host, cache=cache, judges=judges)
        examined(bench)
        _record(audit, bench, place, told)


def _check_world(bundle: Bundle, plan: str, place: Rank) -> None:
    """Shards of one run are of one number of processes: one more could never be sealed."""
    for rank, path in bundle.journals().items():
        reader = ShardReader(path, plan=plan, rank=rank)
        next(iter(reader), None)
        if reader.opened and reader.opened.world != place.world:
            raise BadInput(
                f"{bundle.root} was begun with {_processes(reader.opened.world)}, and now there "
                f"{'is' if place.world == 1 else 'are'} {place.world}. Go on with as many as before."
            )


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _working(bundle: Bundle, rank: int) -> Path:
    """What a process holds a lock on, from before it loads anything until its shard is whole."""
    return bundle.root / f"process-{rank}"


@contextmanager
def _at_work(bundle: Bundle, place: Rank) -> Iterator[None]:
    lock = lock_of(_working(bundle, place.rank))
    with writing(bundle.root):
        try:
            lock.acquire()
        except Timeout:
            raise BadInput(f"another process {place.rank} is at work on {bundle.root}") from None
    try:
        yield
    finally:
        lock.release()


def _record(audit: Audit, bench: Bench, place: Rank, told: Told) -> None:
    """Every share of this process that is not on disk yet."""
    plan, schedule = audit.frozen.digest, audit.schedule
    shares = list(schedule.shares(rank=place.rank, world=place.world))
    sizes, rounds = {share.number: share.records for share in shares}, schedule.rounds(place.world)
    where: Any = {"plan": plan, "rank": place.rank, "world": place.world, "sizes": sizes, "rounds": rounds}
    bundle = audit.bundle
    with (
        Texts(bundle.texts(place.rank), secret=audit.store.secret(), plan=plan) as texts,
        Shard(bundle.journal(place.rank), **where) as shard,
    ):
        stopping = _Stopping(audit, schedule)
        for share in shares:
            left = share.number not in shard.done and not stopping.is_over(share)
            records = _recorded(share, schedule, audit.frozen, bench, texts) if left else []
            if records:
                texts.flush()
                shard.write(share.number, records)
            stopping.see(share, records)
            told(share, records)


class _Stopping:
    """Follows the sequential benchmarks of a run, one unit after the other, those included that were there before.

    Nothing is asked before it has seen all units that come first, so no record lies beyond a stop.
    """

    def __init__(self, audit: Audit, schedule: Schedule) -> None:
        plan, bundle = audit.frozen.plan, audit.bundle
        names = sequential_of(plan) & schedule.sections.keys()
        self._starts = {name: schedule.sections[name].start for name in names}
        self._over: set[str] = set()
        if names:
            reader = ShardReader(bundle.journal(0), plan=audit.frozen.digest, rank=0)
            items = map(msgspec.to_builtins, bundle.read_items(plan))
            self._measured = Measured(plan, items, (line.fields for line in reader))
            self._watches = {name: self._measured.watch(name) for name in names}

    def is_over(self, share: Share) -> bool:
        """Whether all gates on its benchmark have ruled."""
        return share.benchmark in self._over

    def see(self, share: Share, records: Sequence[Mapping[str, Any]]) -> None:
        """The next unit, whose records are new or were there."""
        if share.benchmark not in self._starts or self.is_over(share):
            return
        for record in records:
            self._measured.enter(record)
        if self._watches[share.benchmark].stops(share.positions[-1] + 1 - self._starts[share.benchmark]):
            self._over.add(share.benchmark)


def _recorded(share: Share, schedule: Schedule, frozen: Frozen, bench: Bench, texts: Texts) -> list[dict[str, Any]]:
    planned = next(planned for planned in frozen.benchmarks if planned.entry["name"] == share.benchmark)
    section = schedule.sections[share.benchmark]
    items = [planned.items[position - section.start] for position in share.positions]
    units = [schedule.unit_at(section, position) for position in share.positions for _ in share.subjects]
    records = unit_records(planned, items, bench, address=texts.add)
    return [{**record, "unit": unit} for record, unit in zip(records, units, strict=True)]


def close(audit: Audit, *, place: Rank) -> dict[str, Any] | None:
    """Wait for the other processes and seal the run; only the first process does, and returns the seal.

    Raises:
        NotReady: another process stopped before its shard was whole.
        BadInput: the run cannot be sealed.
    """
    if place.rank:
        return None
    for rank in range(1, place.world):
        _await(audit, Rank(rank, place.world))
    return seal(audit.bundle, earlier=earlier_runs(audit.store, audit.bundle, audit.frozen.digest))


def _await(audit: Audit, place: Rank) -> None:
    path, working = audit.bundle.journal(place.rank), _working(audit.bundle, place.rank)
    wanted = sum(audit.schedule.sizes(rank=place.rank, world=place.world).values())
    idle = 0.0
    while _written(path, audit.frozen.digest, place.rank) < wanted:
        idle = 0.0 if is_locked(working) else idle + POLL_S
        if idle > PATIENCE_S:
            raise NotReady(
                f"process {place.rank} has stopped before {path} was whole. What is recorded is safe; go on with "
                f"{_processes(place.world)} and --resume {audit.bundle.root}"
            )
        time.sleep(POLL_S)


def _written(path: Path, plan: str, rank: int) -> int:
    return sum(line.kind == "item" for line in ShardReader(path, plan=plan, rank=rank)) if path.exists() else 0
