"""Freezes a request into a plan: every name looked up, every file digested, every item measured, nothing loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from orca_guard.assembly import assemble, described, lasting
from orca_guard.baselines import with_baselines
from orca_guard.contamination import Overlap, counts, overlap
from orca_guard.contracts import Benchmark, Described, Model
from orca_guard.declarations import check_possible, sound_items
from orca_guard.errors import BadInput, DataAbsent, NotReady, OrcaGuardError, PluginFailed, UnknownName
from orca_guard.figures import best_case
from orca_guard.gates import gate_json, gates_of, sequential_of, unreachable
from orca_guard.host import Host, Pin, Plugin, Provided, own_identity
from orca_guard.identity import digest_bytes, digest_file, digest_of
from orca_guard.items import TRAINING, Item, Metric, metric_json
from orca_guard.journal.units import place_in_order
from orca_guard.judging import hygiene
from orca_guard.judging.asking import Judge
from orca_guard.judging.placing import check_named, judge_json, judge_of, judged_metrics, rubrics_of, table_for
from orca_guard.listing import lines_of
from orca_guard.measuring import Work, measured
from orca_guard.operating import LEAST_AUROC
from orca_guard.pipeline import Pipeline
from orca_guard.plan import FORMAT, Arm, AuditTable, BenchmarkTable, Request
from orca_guard.policies import Policy, policy_of
from orca_guard.sequential import LEAST_PLANNED

Step = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A benchmark as the plan has it, with the items that will be asked."""

    entry: Mapping[str, Any]
    metrics: tuple[Metric, ...]
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A plan and what it stands for.

    Attributes:
        plan: the document that is hashed; docs/bundle.md says what is in it.
        benchmarks: in the plan's order.
        work: what running it costs, as far as that is known beforehand.
    """

    plan: Mapping[str, Any]
    benchmarks: tuple[Planned, ...]
    work: Work

    @property
    def digest(self) -> str:
        """The anchor: it can be registered elsewhere before the first item is asked."""
        return digest_of(self.plan)

    @property
    def items(self) -> bytes:
        """`items.jsonl`."""
        return item_lines(self.benchmarks)


def freeze(request: Request, host: Host, *, step: Step = lambda _name, _done, _all: None) -> Frozen:
    """Turn a request into a plan.

    Args:
        request: what is asked for.
        host: where its names are looked up.
        step: told of a benchmark, how many of its items are measured, and how many there are.

    Raises:
        UsageError: a name nobody provides, a combination that cannot succeed, a gate on nothing, or one that nobody
            could pass.
        NotReady: a plugin or a model is missing, or all data is.
    """
    table = request.table
    required = [_required(text, host) for text in table.requires]
    pipelines = {arm.name: _described(arm, host) for arm in request.arms}
    _check_different(pipelines)
    _check_sound(table.sound_guards, pipelines)
    subjects = _Subjects(pipelines, models_of(pipelines))
    found, absent = _present(table, host, subjects)
    check_possible([one.benchmark for one in found], [*subjects.models.values()])
    work = Work()
    policies = [policy_of(name) for name in table.policies]
    stopping = sequential_of({"gates": [*table.gates, *(gate for policy in policies for gate in policy.gates)]})
    fitting, unfit = _fitting(found, partial(_planned, table, subjects, stopping, work=work, step=step))
    benchmarks, training = _held_against_training(fitting, table, step)
    plan: dict[str, Any] = {
        "format": FORMAT,
        "name": table.name,
        "nonce": table.nonce,
        "seed": table.seed,
        "unit": table.unit,
        "code": own_identity(),
        "arms": subjects.arm_entries(),
        "models": subjects.model_entries(),
        "benchmarks": [planned.entry for planned in benchmarks],
        "absent": [*absent, *unfit],
        "items": {"count": sum(len(b.items) for b in benchmarks), "digest": digest_bytes(item_lines(benchmarks))},
        "requires": required,
        **({"training": training} if training else {}),
        "records": sum(len(b.items) * subjects.count(b.entry["kind"]) for b in benchmarks),
    }
    plan |= _gates(table, policies, plan, benchmarks)
    frozen = Frozen(plan=plan, benchmarks=tuple(benchmarks), work=work)
    _check_enough(benchmarks, sequential_of(plan))
    _check_passable(frozen)
    return frozen


def _gates(
    table: AuditTable, policies: Iterable[Policy], plan: Mapping[str, Any], benchmarks: Iterable[Planned]
) -> dict[str, Any]:
    """All gates, the request's own and those of policies, with these and the runs that some are held against."""
    asked = {planned.entry["name"]: (planned.entry, planned.items) for planned in benchmarks}
    if strange := next((n for n, gate in enumerate(table.gates, 1) if "policy" in gate), 0):
        raise BadInput(f"gate {strange} names a policy, and is of this audit alone. Policies are named by `policies`")
    own, baselines = with_baselines(table.gates, asked)
    given = {**plan, "baselines": baselines}
    gates = gates_of([*own, *(gate for policy in policies for gate in policy.gates)], given)
    named = [{"name": policy.name, "digest": policy.digest} for policy in policies]
    return {"policies": named, "baselines": baselines, "gates": [gate_json(gate) for gate in gates]}


def _check_passable(frozen: Frozen) -> None:
    """That a model without fault would pass every gate."""
    plan = frozen.plan
    gates = gates_of(plan["gates"], plan)
    if impossible := unreachable(gates, best_case(plan, map(json.loads, frozen.items.splitlines())), plan):
        more = "ask more items, or loosen the gate"
        raise BadInput("\n".join((f"{len(impossible)} of {len(gates)} gates cannot be passed; {more}:", *impossible)))


def _held_against_training(
    benchmarks: list[Planned], table: AuditTable, step: Step
) -> tuple[list[Planned], dict[str, Any]]:
    """Benchmarks with every item tagged and every metric by the tag, where there is training data; and what that is."""
    if not table.training_data:
        return benchmarks, {}
    items = {planned.entry["name"]: planned.items for planned in benchmarks}
    found = overlap(items, Path(table.training_data).expanduser(), step=step)
    return [_tagged(planned, found) for planned in benchmarks], found.plan()


def _tagged(planned: Planned, found: Overlap) -> Planned:
    items = found.tagged(planned.entry["name"], planned.items)
    metrics = tuple(
        replace(metric, by=(*metric.by, TRAINING)) if metric.about == "answers" else metric
        for metric in planned.metrics
    )
    told = {"metrics": [metric_json(metric) for metric in metrics], "overlap": counts(items)}
    return Planned(entry={**planned.entry, **told}, metrics=metrics, items=items)


def _check_enough(benchmarks: Iterable[Planned], stopping: Collection[str]) -> None:
    """That a benchmark which may stop early has clusters enough for that to be worth it, and no judges."""
    for planned in benchmarks:
        if planned.entry["name"] in stopping and planned.entry.get("judges"):
            raise BadInput(
                f"{planned.entry['name']} has judges, whose sentinels are all to be asked, and cannot stop early; "
                "take `sequential` from the gate, or the judges from the benchmark"
            )
        names = [item.cluster for item in planned.items if not item.given]
        clusters = len(set(names) - {""}) + names.count("")
        if planned.entry["name"] in stopping and clusters < LEAST_PLANNED:
            raise BadInput(
                f"{planned.entry['name']} has {clusters} clusters here, and a sequential gate takes {LEAST_PLANNED}; "
                "ask more items, or take `sequential` from the gate"
            )


def item_lines(benchmarks: Iterable[Planned]) -> bytes:
    """`items.jsonl`: a line an item, in the order of the run."""
    return b"".join(lines_of(planned.entry["name"], planned.items) for planned in benchmarks)


# --- arms and models ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Subjects:
    """What answers: pipelines by arm, and the different models among them."""

    pipelines: Mapping[str, Pipeline]
    models: Mapping[str, Described]

    def count(self, kind: str) -> int:
        return len(self.pipelines if kind == "question" else self.models)

    def arm_entries(self) -> list[dict[str, Any]]:
        names = {model_digest(model): name for name, model in self.models.items()}
        return [
            {
                "name": name,
                "pipeline": pipeline.digest,
                "model": names[model_digest(pipeline.model)],
                "identity": lasting(pipeline.identity),
            }
            for name, pipeline in self.pipelines.items()
        ]

    def model_entries(self) -> list[dict[str, Any]]:
        return [{"name": n, "digest": model_digest(m), "identity": _lasting(m)} for n, m in self.models.items()]


def models_of(pipelines: Mapping[str, Pipeline]) -> dict[str, Described]:
    """The different models of described arms, named `model`, `model-2` and so on."""
    different: dict[str, Any] = {model_digest(pipeline.model): pipeline.model for pipeline in pipelines.values()}
    return {"model" if n == 1 else f"model-{n}": model for n, model in enumerate(different.values(), 1)}


def model_digest(model: Model) -> str:
    """Of everything about it that decides its answers."""
    return digest_of(_lasting(model))


def _lasting(model: Model) -> dict[str, str]:
    identity: dict[str, str] = lasting({"model": dict(model.identity)})["model"]
    return identity


def _described(arm: Arm, host: Host) -> Pipeline:
    try:
        return assemble(arm.table, host, opener=described, isolate=True)
    except OrcaGuardError as error:
        if len(error.args) == 1:
            error.args = (f"arm {arm.name!r}: {error}",)
        raise


def _check_different(pipelines: Mapping[str, Pipeline]) -> None:
    """Two arms that are the same would be one measurement told twice."""
    seen: dict[str, str] = {}
    for name, pipeline in pipelines.items():
        if pipeline.digest in seen:
            raise BadInput(f"arms {seen[pipeline.digest]!r} and {name!r} are the same pipeline; leave one out")
        seen[pipeline.digest] = name


def _check_sound(names: Iterable[str], pipelines: Mapping[str, Pipeline]) -> None:
    """That guards which the audit relies on are there, and known to be good enough to be relied on."""
    for arm, pipeline in pipelines.items():
        places = {place.name: place for place in pipeline.guards}
        for name in names:
            if name not in places:
                raise NotReady(f"arm {arm!r} has no guard {name!r}, which this audit requires to be sound")
            point = places[name].point
            if point is None:
                raise NotReady(
                    f"this audit requires guard {name!r} to be sound, and in arm {arm!r} how good it is has not been "
                    "measured. Measure it with `orca-guard guards calibrate`."
                )
            if not point.sound:
                raise NotReady(
                    f"this audit requires guard {name!r} to be sound, and in arm {arm!r} it is {point.weak}; "
                    f"{LEAST_AUROC} is asked of it"
                )


def _required(text: str, host: Host) -> dict[str, str]:
    """The plugins of a distribution that must be there, all of them loaded and as the pin says."""
    pin = Pin.parse(text)
    plugins = [p for p in host.plugins if p.distribution == pin.distribution]
    for plugin in plugins:
        if plugin.status != "loaded":
            raise PluginFailed(f"required: {plugin} is {plugin.status}: {plugin.reason}")
        if plugin.version != pin.version or pin.digest not in {"", plugin.digest}:
            raise PluginFailed(f"required is {text}, and here is version {plugin.version}, {plugin.digest}")
    if not plugins:
        raise PluginFailed(f"required: no plugin of {pin.distribution} is installed")
    return {"distribution": pin.distribution, "version": pin.version, "digest": pin.digest}


# --- benchmarks --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    benchmark: Benchmark
    plugin: Plugin
    limit: int | None
    files: Mapping[str, Path]
    judges: tuple[Judge, ...] = ()
    unjudged: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those that can be had."""
        return judged_metrics(self.benchmark.metrics, self.judges)

    @property
    def sentinels(self) -> list[Item]:
        """Of all its judges."""
        return [item for judge in self.judges for item in hygiene.sentinels(judge.rubric)]


def _present(table: AuditTable, host: Host, subjects: _Subjects) -> tuple[list[_Found], list[dict[str, str]]]:
    """The benchmarks whose data is here, and the others with what they lack."""
    data = Path(table.data).expanduser() if table.data else None
    found: dict[str, _Found] = {}
    absent = []
    every = list(_asked(table.benchmarks, host))
    check_named(table.judges, [provided.item for _, provided in every])
    for asked, provided in every:
        name = provided.item.name
        if name in found:
            raise BadInput(f"benchmark {name!r} is asked for twice, once of them through its plugin")
        try:
            files = provided.item.files(data)
            judges, unjudged = _judges(provided.item, table, host, subjects)
            found[name] = _Found(provided.item, provided.plugin, asked.limit, files, judges, unjudged)
        except DataAbsent as error:
            absent.append({"benchmark": name, "reason": str(error)})
    if not found:
        raise DataAbsent(f"nothing to run: {_together(absent)}")
    return list(found.values()), absent


def _judges(
    benchmark: Benchmark, table: AuditTable, host: Host, subjects: _Subjects
) -> tuple[tuple[Judge, ...], tuple[str, ...]]:
    """Who judges a benchmark's answers, and the rubrics by which nobody does.

    Raises:
        DataAbsent: nothing of the benchmark can be told without a judge.
    """
    named = [(rubric, table_for(rubric, table.judges)) for rubric in rubrics_of(benchmark)]
    models = {model_digest(model): name for name, model in subjects.models.items()}
    judges = tuple(
        judge_of(rubric, who, host, opener=described, models=models) for rubric, who in named if who is not None
    )
    lacking = tuple(rubric.name for rubric, who in named if who is None)
    if lacking and not any({*metric.judges}.isdisjoint(lacking) for metric in benchmark.metrics):
        raise DataAbsent(f"nobody is named to judge {' and '.join(lacking)}: name a model by --judge")
    return judges, lacking


def _together(absent: Iterable[Mapping[str, str]]) -> str:
    """Each reason once, after the benchmarks that it holds for."""
    names: dict[str, list[str]] = {}
    for row in absent:
        names.setdefault(row["reason"], []).append(row["benchmark"])
    return "; ".join(f"{', '.join(of_reason)}: {reason}" for reason, of_reason in names.items())


def _asked(tables: Iterable[BenchmarkTable], host: Host) -> Iterator[tuple[BenchmarkTable, Provided[Benchmark]]]:
    registry = host.benchmarks
    for table in tables:
        of_plugin = [name for name, provided in registry if provided.plugin.name == table.name]
        known = table.name in (*registry.names(), *registry.withdrawn)
        if not known and not of_plugin:
            suites = {provided.plugin.name for _, provided in registry}
            raise UnknownName("suite", table.name, {*registry.names(), *suites, *host.suites.names()})
        for name in (table.name,) if known else of_plugin:
            yield table, registry.find(name)


class _NothingFits(BadInput):
    """A benchmark all of whose items are longer than a model's context."""


def _fitting(found: Iterable[_Found], plan: Callable[[_Found], Planned]) -> tuple[list[Planned], list[dict[str, str]]]:
    """What can be asked, and what is not run because nothing of it fits: that stops no other benchmark."""
    planned, faults = list[Planned](), dict[str, _NothingFits]()
    for one in found:
        try:
            planned.append(plan(one))
        except _NothingFits as error:
            faults[one.benchmark.name] = error
    if not planned:
        raise next(iter(faults.values()))
    return planned, [{"benchmark": name, "reason": str(error)} for name, error in faults.items()]


def _planned(
    table: AuditTable, subjects: _Subjects, stopping: Collection[str], found: _Found, *, work: Work, step: Step
) -> Planned:
    benchmark = found.benchmark
    sound, rejected = sound_items(benchmark, found.files)
    by_cluster = benchmark.name in stopping
    asked = chosen(sound, nonce=table.nonce, seed=table.seed, limit=found.limit, by_cluster=by_cluster)
    items = chosen([*asked, *found.sentinels], nonce=table.nonce, seed=table.seed, limit=None, by_cluster=by_cluster)
    step(benchmark.name, 0, len(items))
    reasons = {item.id: "" for item in items if item.given}
    open_ones = [item for item in items if not item.given]
    for item, reason in measured(open_ones, pipelines=subjects.pipelines, models=subjects.models, work=work):
        reasons[item.id] = reason
        step(benchmark.name, len(reasons), len(items))
    kept = tuple(item for item in items if not reasons[item.id])
    left_out = [{"id": item.id, "reason": reasons[item.id]} for item in items if reasons[item.id]]
    if len(kept) == len(found.sentinels):
        raise _NothingFits(f"no item of {benchmark.name!r} can be asked: {left_out[0]['reason']}")
    return Planned(entry=_entry(found, len(kept), left_out, rejected), metrics=found.metrics, items=kept)


def chosen(items: Sequence[Item], *, nonce: str, seed: int, limit: int | None, by_cluster: bool = False) -> list[Item]:
    """The first `limit` items in an order that depends on nonce or seed and on every item's id, and nothing else.

    Where clusters are asked one after the other, it depends on their names, too.
    """
    key = partial(place_in_order, nonce or seed, by_cluster=by_cluster)
    return sorted(items, key=lambda item: key(item.id, item.cluster))[:limit]


def _entry(found: _Found, items: int, not_covered: list[dict[str, str]], rejected: Mapping[str, int]) -> dict[str, Any]:
    benchmark = found.benchmark
    return {
        "name": benchmark.name,
        "version": benchmark.version,
        "plugin": found.plugin.identity(),
        "kind": benchmark.kind,
        "scoring": benchmark.scoring,
        "metrics": [metric_json(metric) for metric in found.metrics],
        "data": {name: digest_file(path, fresh=True) for name, path in sorted(found.files.items())},
        "items": items,
        "not_covered": not_covered,
        **_declared(benchmark),
        **({"judges": [judge_json(judge) for judge in found.judges]} if found.judges else {}),
        **({"sentinels": len(found.sentinels)} if found.judges else {}),
        **({"unjudged": list(found.unjudged)} if found.unjudged else {}),
        "rejected": dict(rejected),
    }


def _declared(benchmark: Benchmark) -> dict[str, Any]:
    """What a benchmark may say of itself beyond its contract."""
    covers, protocol = getattr(benchmark, "covers", ()), getattr(benchmark, "protocol", "")
    found = {"covers": sorted(map(str, covers))} if covers else {}
    return found | ({"protocol": str(protocol)} if protocol else {})
