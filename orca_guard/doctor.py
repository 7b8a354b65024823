"""Examines plugins, models and benchmarks before anybody relies on them, and says what is well and what is not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from orca_guard import assembly
from orca_guard.assembly import assemble, lasting
from orca_guard.bench import Bench, unit_records
from orca_guard.configuration import PipelineTable
from orca_guard.contracts import Benchmark, Examinable, Model
from orca_guard.drive import Streamed, drive, just
from orca_guard.errors import NameWithdrawn, OrcaGuardError, UnknownName
from orca_guard.freezing import Planned, model_digest, models_of
from orca_guard.host import Host, Plugin, Provided
from orca_guard.identity import differences, digest_text
from orca_guard.items import Disposition, Item, Kind, Metric, gathered, sentinel_key
from orca_guard.judging.rubric import Rubric
from orca_guard.measuring import Work, measured
from orca_guard.pipeline import Pipeline
from orca_guard.reading import read
from orca_guard.testing.suites import check_items
from orca_guard.types import (
    Decoding,
    Failure,
    Finding,
    Generate,
    Generation,
    Health,
    Message,
    Question,
    Request,
    Score,
    Scores,
    Segment,
)

FEW = 2
"""Items of each benchmark that are asked for a trial."""
SAMPLE = 16
"""Items of each benchmark on which models of known scores are tried before an audit."""
MANY = 200
"""Items on which they are tried where nobody waits for an audit."""
RARE = 1e-3
"""A gold that stands in one place in all items is no accident when chance would do that less often than this."""
NAMED = 5
"""Items that are named one by one."""
ROUNDING = 1e-3
"""By which a log-probability of something certain may come out above 0."""

_PROMPT = "What is 2 + 3?"
_SHORT = 8
_SCORED = {
    "after raw text": Score(context="The capital of France is", continuations=(" Paris", " a large city")),
    "within a word": Score(context="The first letters of an answ", continuations=("er", "erable")),
    "in a conversation": Score(messages=(Message("user", "Is water wet?"),), continuations=("Yes", "No, it is not")),
}


def examine(bench: Bench, benchmarks: Sequence[Planned], host: Host) -> list[Finding]:
    """What an audit should know before its first item, from a few of them.

    Args:
        bench: pipelines and models, loaded; that they are the planned ones is known.
        benchmarks: the plan's, with the items that will be asked.
        host: whose plugins are looked over.
    """
    models = [_about(name, model_findings(model)) for name, model in bench.models.items()]
    planned = [_about(one.entry["name"], _of_planned(one, bench)) for one in benchmarks]
    return [*plugin_findings(host), *(finding for part in (*models, *planned) for finding in part)]


def diagnose(
    table: PipelineTable, host: Host, *, suites: Sequence[str] = (), data: Path | None = None
) -> Iterator[Finding]:
    """Everything that can be known of a pipeline and of benchmarks without an audit.

    Args:
        table: the pipeline.
        host: where names are looked up.
        suites: benchmarks, or plugins whose benchmarks are all meant.
        data: folder of the benchmarks' data.

    Raises:
        UnknownName: a name that nobody provides. Whatever else is wrong is a finding.
    """
    benchmarks = [provided for name in suites for provided in _provided(name, host)]
    yield from plugin_findings(host)
    pair: _Pair | None = None
    try:
        pair = _Pair(assemble(table, host, opener=assembly.described), assemble(table, host))
    except UnknownName:
        raise
    except OrcaGuardError as error:
        yield _ill("loads", str(error), "put right what it names; nothing else of it can be known", about="model")
    else:
        yield from _about("model", _pipeline_findings(pair))
    for provided in benchmarks:
        yield from _about(provided.item.name, _benchmark_findings(provided.item, data, pair))


# --- plugins -----------------------------------------------------------------------------------


def plugin_findings(host: Host) -> Iterator[Finding]:
    """Every plugin that is not loaded, every name that is claimed twice, and how many are well."""
    registries = host.everything().values()
    for plugin in host.plugins:
        if plugin.status != "loaded":
            yield _of_plugin(plugin)
    for registry in registries:
        for name, claimants in registry.withdrawn.items():
            error = NameWithdrawn(registry.kind, name, claimants)
            yield _ill(f"{registry.kind} {name!r}", error.what, error.advice, about="plugins")
    loaded = sum(plugin.status == "loaded" for plugin in host.plugins)
    yield _well("load", f"{loaded} of {len(host.plugins)}", about="plugins")


def _of_plugin(plugin: Plugin) -> Finding:
    about = f"{plugin.name} of {plugin.distribution} {plugin.version}"
    if plugin.status == "blocked":
        return _not_applicable("loads", f"left out: {plugin.reason}", about=about)
    advice = f"update it, or leave it out: --no-plugin {plugin.name}; its traceback: orca-guard plugins --details"
    return _ill("loads", plugin.reason, advice, about=about)


# --- the pipeline and its model ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pair:
    """One pipeline around its model, described and loaded."""

    described: Pipeline
    loaded: Pipeline


def _pipeline_findings(pair: _Pair) -> Iterator[Finding]:
    yield _same(pair)
    yield from model_findings(pair.loaded.model)
    yield _goes_through(pair.loaded)


def _same(pair: _Pair) -> Finding:
    """Describing computes every digest from the bytes; loading may remember those of large files."""
    name = "same described and loaded"
    planned, found = lasting(pair.described.identity), lasting(pair.loaded.identity)
    if planned == found:
        return _well(name, pair.loaded.digest)
    what = "; ".join(differences(planned, found))
    return _ill(name, what, "files changed while they were read, or remembered digests are stale: look, and try again")


def _goes_through(pipeline: Pipeline) -> Finding:
    """One question, guards and all, with a short answer."""
    name = "a question goes through"
    short = replace(pipeline, decoding=replace(pipeline.decoding, max_new_tokens=_SHORT))
    answer = short.ask(Question.of(_PROMPT, "Two and three make five."))
    if answer.error:
        return _ill(name, answer.error, "put right what it names: every question would end so")
    return _well(name, f"{answer.action} under {answer.strategy or 'no strategy'}")


def model_findings(model: Model) -> Iterator[Finding]:
    """What a loaded model shows from outside, and what its own plugin can tell."""
    yield _generates(model)
    yield from _rates(model)
    yield from _told_by_itself(model)


def _generates(model: Model) -> Finding:
    name = "generates"
    if Generate not in model.requests:
        return _not_applicable(name, "it does not say that it can")
    reply = _reply(model, Generate(messages=(Message("user", _PROMPT),), decoding=Decoding(max_new_tokens=_SHORT)))
    if isinstance(reply, Generation):
        return _well(name, f"{reply.new_tokens} tokens after {reply.prompt_tokens}")
    return _ill(name, _said(reply), "put right what it names: no question can be answered")


def _rates(model: Model) -> Iterator[Finding]:
    name, counted = "log-likelihoods are numbers", "scored tokens are counted"
    if Score not in model.requests:
        yield _not_applicable(name, "it does not say that it gives any")
        return
    replies = {where: _reply(model, request) for where, request in _SCORED.items()}
    wrong = [f"{where}: {_said(reply)}" for where, reply in replies.items() if not isinstance(reply, Scores)]
    rows = [(where, row) for where, reply in replies.items() if isinstance(reply, Scores) for row in reply.likelihoods]
    wrong += [f"{where}: {row.logprob}" for where, row in rows if not -math.inf < row.logprob <= ROUNDING]
    if wrong:
        yield _ill(name, "; ".join(wrong), "check the weights, or try --dtype float32; a NaN is no score")
    else:
        yield _well(name, f"{len(rows)} of them, from {min(row.logprob for _, row in rows):.4g}")
    if empty := [where for where, row in rows if row.tokens < 1]:
        yield _ill(counted, f"none {empty[0]}", "scores of nothing are equal: the tokens at the join are lost")
    elif rows:
        yield _well(counted, f"{min(row.tokens for _, row in rows)} or more")


def _told_by_itself(model: Model) -> Iterator[Finding]:
    """What only a model's plugin knows: template, special tokens, weights."""
    if not isinstance(model, Examinable):
        yield _not_applicable("template, tokens, weights", "its plugin has no way to look")
        return
    try:
        yield from model.examine()
    except Exception as error:  # noqa: BLE001  # whatever a plugin's own code raises is a finding
        yield _ill("template, tokens, weights", f"its plugin failed: {_named(error)}", "tell the plugin's author")


def _reply(model: Model, request: Request) -> Any:
    """Its reply, or a `Failure`."""
    for event in drive([("", just(replace(request, target="model")))], {"model": model}):
        if not isinstance(event, Streamed):
            return event.result
    raise AssertionError("a task has an end")


def _said(reply: Any) -> str:
    if isinstance(reply, Failure):
        return str(reply.error) if isinstance(reply.error, OrcaGuardError) else _named(reply.error)
    return f"it answered with {type(reply).__name__}"


# --- benchmarks --------------------------------------------------------------------------------


def _provided(name: str, host: Host) -> list[Provided[Benchmark]]:
    """The benchmark of that name, or all of the suite or of the plugin that is called so."""
    registry = host.benchmarks
    if name in host.suites.names() and name not in registry.names():
        return [registry.find(member) for member in host.suites.get(name).benchmarks]
    plugins = {provided.plugin.name for _, provided in registry}
    if name in (*registry.names(), *registry.withdrawn):
        return [registry.find(name)]
    if name not in plugins:
        raise UnknownName("suite", name, {*registry.names(), *plugins, *host.suites.names()})
    return [provided for _, provided in registry if provided.plugin.name == name]


def _benchmark_findings(benchmark: Benchmark, data: Path | None, pair: _Pair | None) -> Iterator[Finding]:
    try:
        files = benchmark.files(data)
        items, _ = gathered(benchmark.items(files))
    except OrcaGuardError as error:
        yield _ill("has items", str(error), "put its data where --data points")
        return
    except Exception as error:  # noqa: BLE001  # whatever a plugin's own code raises is a finding
        yield _ill("has items", _named(error), "tell the benchmark's author")
        return
    sound = _sound(items)
    yield sound
    yield _places(items)
    if sound.health is not Health.WELL:
        return
    entry = {"name": benchmark.name, "kind": benchmark.kind, "scoring": benchmark.scoring}
    planned = Planned(entry=entry, metrics=tuple(benchmark.metrics), items=tuple(items))
    rubrics = getattr(benchmark, "rubrics", ())
    yield _known(benchmark, files) if len(items) <= MANY else _known(_Sample.of(planned, rubrics, most=MANY), {})
    if pair is not None:
        yield _fits(items, pair.described)
        yield _asked(planned, _bench_of(pair.loaded))


def _of_planned(planned: Planned, bench: Bench) -> Iterator[Finding]:
    """Of items that freezing found sound and fitting."""
    yield _places(planned.items)
    rubrics = [judge.rubric for judge in bench.judges.get(planned.entry["name"], ())]
    yield _known(_Sample.of(planned, rubrics), {})
    yield _asked(planned, bench)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """The first items of a planned benchmark, as a benchmark."""

    name: str
    kind: Kind
    scoring: str
    metrics: tuple[Metric, ...]
    first: tuple[Item, ...]
    summary: str = ""
    version: str = ""
    rubrics: tuple[Rubric, ...] = ()

    @classmethod
    def of(cls, planned: Planned, rubrics: Sequence[Rubric], *, most: int = SAMPLE) -> _Sample:
        told = {key: planned.entry[key] for key in ("name", "kind", "scoring")}
        names = {sentinel_key(rubric.name) for rubric in rubrics}
        asked = tuple(item for item in planned.items if names.isdisjoint(item.groups))
        return cls(**told, metrics=planned.metrics, first=asked[:most], rubrics=tuple(rubrics))

    def files(self, _data: Path | None, /) -> Mapping[str, Path]:
        return {}

    def items(self, _files: Mapping[str, Path], /) -> Iterable[Item]:
        return self.first


def _sound(items: Sequence[Item]) -> Finding:
    """There are some, and each has an id of its own."""
    name = "ids are unique"
    twice = sorted(number for number, count in Counter(item.id for item in items).items() if count > 1)
    if not items:
        return _ill("has items", "none", "tell the benchmark's author, or look at its data")
    if twice:
        return _ill(name, f"{_listed(twice)} there more than once", "tell the benchmark's author")
    return _well(name, f"{len(items)} items")


def _places(items: Sequence[Item]) -> Finding:
    """Whether whoever always picks the same place gets full marks."""
    name = "gold stands in different places"
    found = [gold for item in items if (gold := _gold(item))]
    if not found:
        return _not_applicable(name, "no item has options to choose among")
    common = frozenset.intersection(*(right for right, _ in found))
    chance = math.prod(len(right) / count for right, count in found)
    if not common:
        return _well(name, f"{sum(0 in right for right, _ in found)} of {len(found)} have it first")
    if chance > RARE:
        return _not_applicable(name, f"{len(found)} are too few to tell")
    what = f"in all {len(found)} items option {min(common) + 1} is right, so whoever always picks it is always right"
    return _ill(name, what, "shuffle the options by a seed from the item's id, or ask every order")


def _gold(item: Item) -> tuple[frozenset[int], int] | None:
    """Which of how many options are right; None where there is nothing to choose among."""
    if item.request is not None:
        count, right = len(item.request.continuations), {int(gold) for gold in item.gold if gold.isdigit()}
    else:
        assert item.question is not None, "an item has a question or a request"
        count, right = len(item.question.choices), _right(item.question, item.gold)
    return (frozenset(right), count) if count > 1 and right else None


def _right(question: Question, gold: Iterable[str]) -> set[int]:
    """Gold is read in the question's form, as it is when answers are scored."""
    options = ascii_uppercase if question.form == "letter" else question.choices
    values = {read(Segment(text=g, answer=g), question.form, choices=question.choices).value for g in gold}
    return {n for n, option in enumerate(options[: len(question.choices)]) if option in values}


def _known(benchmark: Benchmark, files: Mapping[str, Path]) -> Finding:
    """Models whose score is known get that score."""
    name = "known models get their scores"
    if not __debug__:
        return _not_applicable(name, "python -O leaves the check out")
    try:
        check_items(benchmark, files)
    except AssertionError as error:
        return _ill(name, str(error), "do not trust its scores; tell the benchmark's author")
    except Exception as error:  # noqa: BLE001  # whatever a plugin's own code raises is a finding
        return _ill(name, _named(error), "do not trust its scores; tell the benchmark's author")
    return _well(name, "right, first, last, nothing, NaN, refusal: as theory says")


def _fits(items: Sequence[Item], described: Pipeline) -> Finding:
    """What does not fit is named in the plan and asked of nobody, so it is no illness unless nothing fits."""
    name = "items fit the model"
    arms = {"default": described}
    items = [item for item in items if not item.given]
    found = measured(items, pipelines=arms, models=models_of(arms), work=Work())
    reasons = {item.id: why for item, why in found if why}
    if reasons and len(reasons) == len(items):
        return _ill(name, f"none does: {next(iter(reasons.values()))}", "choose a model with a longer context")
    if reasons:
        what = f"{len(reasons)} of {len(items)} do not and will not be asked: {_listed(list(reasons))}"
        return replace(_well(name, what), advice="a model with a longer context would be asked them too")
    return _well(name, f"all {len(items)}")


def _asked(planned: Planned, bench: Bench) -> Finding:
    """A few items, asked as an audit asks them."""
    name, few = "a few items can be asked", planned.items[:FEW]
    try:
        records = unit_records(planned, few, bench, address=digest_text)
    except Exception as error:  # noqa: BLE001  # whatever a plugin's own code raises is a finding
        return _ill(name, _named(error), "an audit would stop here; tell the benchmark's author")
    failed = [record for record in records if record["disposition"] == Disposition.ERROR]
    if failed:
        what = f"{len(failed)} of {len(records)} end in an error: {failed[0]['item']}: {failed[0]['reason']}"
        return _ill(name, what, "put right what it names: such items are not scored")
    return _well(name, f"{len(records)} answers from {len(few)} items")


def _bench_of(pipeline: Pipeline) -> Bench:
    arm = pipeline.under("default", target="model")
    return Bench(
        arms={"default": arm},
        models={"model": pipeline.model},
        identities={"question": {"default": pipeline.digest}, "score": {"model": model_digest(pipeline.model)}},
    )


# --- findings ----------------------------------------------------------------------------------


def _about(what: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    return (replace(finding, about=finding.about or what) for finding in findings)


def _finding(health: Health, name: str, detail: str, advice: str = "", *, about: str = "") -> Finding:
    return Finding(name=name, health=health, detail=detail, advice=advice, about=about)


_well = partial(_finding, Health.WELL)
_ill = partial(_finding, Health.ILL)
_not_applicable = partial(_finding, Health.NOT_APPLICABLE)


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
