"""Who judges: a name from a plan becomes a judge with an identity, the same whether it is loaded or described."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orca_guard.assembly import Opener, described, lasting, resolve
from orca_guard.configuration import GuardTable, ModelTable
from orca_guard.contracts import Benchmark, Model
from orca_guard.correction import Counts
from orca_guard.errors import BadInput, PluginFailed
from orca_guard.host import Host
from orca_guard.identity import canonical, digest_of
from orca_guard.items import Metric, Quality
from orca_guard.judging import hygiene
from orca_guard.judging.asking import ClassifierJudge, GuardJudge, Judge, ModelJudge
from orca_guard.judging.rubric import Rubric, rubric_json, rubric_of, unsound
from orca_guard.plan import JudgeTable
from orca_guard.tables import digests_in
from orca_guard.validation import alone, threshold_of

_HALF = 0.5


def rubrics_of(benchmark: Benchmark) -> tuple[Rubric, ...]:
    """The rubrics that a benchmark's metrics rest on, each checked.

    Raises:
        PluginFailed: one of them is no rubric, has too few sentinels, or a metric wants one that is not there.
    """
    rubrics = tuple(getattr(benchmark, "rubrics", ()))
    for rubric in rubrics:
        why = unsound(rubric) or hygiene.too_few(rubric, hygiene.sentinels(rubric))
        if why:
            raise PluginFailed(f"benchmark {benchmark.name!r} has a rubric {rubric.name!r} that {why}")
    known = [rubric.name for rubric in rubrics]
    if len(set(known)) < len(known):
        raise PluginFailed(f"benchmark {benchmark.name!r} has two rubrics of one name")
    for metric in benchmark.metrics:
        if lost := next((name for name in metric.judges if name not in known), ""):
            raise PluginFailed(f"benchmark {benchmark.name!r} rests a metric on {lost!r}, which is no rubric of its")
    return rubrics


def table_for(rubric: Rubric, tables: Iterable[JudgeTable]) -> JudgeTable | None:
    """Who judges by a rubric: whoever is named for it; else whom it names itself; else who is named for all the rest.

    None is nobody: also where a guard is named for all, and no guard can judge by this one.
    """
    named = {table.rubric: table for table in tables}
    if rubric.name in named:
        return named[rubric.name]
    if rubric.default:
        return JudgeTable.of(rubric.default)
    rest = named.get("")
    return None if rest is not None and rest.guard and rubric.hit is None else rest


def check_named(tables: Iterable[JudgeTable], benchmarks: Iterable[Benchmark]) -> None:
    """That every judge who is named has something to judge: a rubric that is misspelt is none.

    Raises:
        BadInput: one has not.
    """
    known = sorted({rubric.name for benchmark in benchmarks for rubric in rubrics_of(benchmark)})
    for table in tables:
        if table.rubric not in known and (table.rubric or not known):
            by = f"rubric {table.rubric!r}" if table.rubric else "any rubric"
            there = f"There is: {', '.join(known)}." if known else "They are scored by rules."
            raise BadInput(
                f"{table.who} is named as a judge, and no benchmark of this audit is judged by {by}. {there}"
            )


def judge_of(
    rubric: Rubric, table: JudgeTable, host: Host, *, opener: Opener, offline: bool = False, models: Mapping[str, str]
) -> Judge:
    """The judge by a rubric.

    Args:
        rubric: what is judged.
        table: who does.
        host: where names are looked up.
        opener: `described` loads no weights; the identity is the same.
        offline: never touch the network.
        models: digest → name of the models under test, so that one that judges itself is known.

    Raises:
        UsageError: a name that nothing provides, or one that cannot judge this.
        NotReady: it is missing or does not load.
    """
    if table.model:
        return _model_judge(rubric, table, host, opener=opener, models=models)
    if table.guard:
        if rubric.hit is None:
            raise BadInput(
                f"no guard can judge by rubric {rubric.name!r}, {table.who} as little as others: name a model"
            )
        guard = GuardTable(name=table.guard, threshold=table.threshold, options=table.options, timeout_s=600.0)
        pipeline = alone(guard, host, offline=offline).under(f"judge {rubric.name}", target="no model")
        [place] = pipeline.guards
        [told] = pipeline.identity["guards"]
        return GuardJudge(
            rubric=rubric,
            who=table.who,
            identity=told | {"scorer": place.scorer},
            threshold=threshold_of(place),
            pipeline=pipeline,
        )
    server = host.classifiers.find(host.classifiers.names()[0]) if len(host.classifiers.names()) == 1 else None
    if server is None:
        raise BadInput(f"{table.who} needs a plugin that serves classifiers, and there is not exactly one")
    told = dict(server.item.describe(table.classifier, offline=offline, fresh=opener is described))
    return ClassifierJudge(
        rubric=rubric,
        who=table.who,
        identity={"classifier": told, "label": table.label},
        threshold=_HALF if table.threshold is None else table.threshold,
        server=server.item,
        reference=table.classifier,
        label=table.label,
    )


def _model_judge(
    rubric: Rubric, table: JudgeTable, host: Host, *, opener: Opener, models: Mapping[str, str]
) -> ModelJudge:
    named = ModelTable(name=table.model) if isinstance(table.model, str) else table.model
    loader, spec = resolve(named, host)
    model: Model = opener(loader, spec)
    identity = lasting({"model": dict(model.identity)})["model"]
    own = models.get(digest_of(identity))
    return ModelJudge(
        rubric=rubric, who=table.who, identity={"model": identity}, own=(own,) if own else (), model=model
    )


def judge_json(judge: Judge) -> dict[str, Any]:
    """A judge as a plan holds it."""
    return {
        "name": judge.rubric.name,
        "rubric": rubric_json(judge.rubric),
        "who": judge.who,
        "identity": json.loads(canonical(judge.identity)),
        "threshold": judge.threshold,
        "own": list(judge.own),
    }


def placed_again(
    entry: Mapping[str, Any], tables: Sequence[JudgeTable], host: Host, *, opener: Opener, models: Mapping[str, str]
) -> Judge:
    """The judge that a plan's entry tells of, loaded. Raises as `judge_of` does."""
    rubric = rubric_of(entry["rubric"])
    table = table_for(rubric, tables)
    if table is None:
        raise BadInput(f"the plan has a judge by {rubric.name!r}, and nobody is named for it")
    return judge_of(rubric, table, host, opener=opener, models=models)


def judged_metrics(metrics: Iterable[Metric], judges: Sequence[Judge]) -> tuple[Metric, ...]:
    """Metrics that can be had with these judges, and those that tell how far each of them can be believed.

    The rate that one scorer alone gives is corrected for what that scorer is known to miss and to make up.
    """
    known = {judge.rubric.name: judge for judge in judges}
    kept = (metric for metric in metrics if known.keys() >= set(metric.judges))
    of_answers = tuple(_corrected(metric, [known[name] for name in metric.judges]) for metric in kept)
    return (*of_answers, *(metric for judge in judges for metric in hygiene.metrics(judge.rubric)))


def _corrected(metric: Metric, judges: Sequence[Judge]) -> Metric:
    alone = judges[0] if len(judges) == 1 else None
    if metric.quality or metric.about != "answers" or not isinstance(alone, GuardJudge):
        return metric
    return replace(metric, quality=_quality(alone)) if (metric.aggregate, metric.scale) == ("mean", "unit") else metric


def _quality(judge: GuardJudge) -> Quality | None:
    """What its operating point says of a scorer that stands where it was measured."""
    [place] = judge.pipeline.guards
    point = place.point
    if point is None or point.threshold != judge.threshold or judge.rubric.hit != 1.0:
        return None
    known = point.decisive
    hits, others = known.tpr.n, known.fpr.n
    found, wrong = round(known.tpr.value * hits), round(known.fpr.value * others)
    return Quality(
        scorer=judge.who,
        weights=tuple(sorted(digests_in(judge.identity.get("classifiers", ())))),
        rows=(point.dev.digest,),
        measured_on=(known.rows.digest,),
        counts={"": Counts(tp=found, fn=hits - found, tn=others - wrong, fp=wrong)},
    )
