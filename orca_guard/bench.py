"""The bench: pipelines and models of a plan, loaded and checked against it, and what they make of a unit of items."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from orca_guard.assembly import Opener, assemble, lasting, opened
from orca_guard.cache import AnswerCache
from orca_guard.case import Case
from orca_guard.contracts import Model, ModelLoader, ModelSpec, Target
from orca_guard.drive import Streamed, drive, just
from orca_guard.errors import ConfigurationChanged
from orca_guard.freezing import Planned, model_digest
from orca_guard.host import Host, Provided
from orca_guard.identity import canonical, differences, digest_of
from orca_guard.items import Item, Kind
from orca_guard.judging.asking import Heard, Judge, heard, targets_of
from orca_guard.judging.placing import judge_json, placed_again
from orca_guard.pipeline import Pipeline
from orca_guard.plan import Arm, JudgeTable
from orca_guard.reading import read
from orca_guard.recording import Address, question_record, score_record
from orca_guard.scoring import Rules
from orca_guard.types import Action, Answer, Outcome, Question, Replies, Requests, Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything that a plan's items are put through, loaded and checked against the plan.

    Attributes:
        arms: pipelines by name, under one driver.
        models: by the plan's names.
        identities: kind of item → name of the arm or model → its digest, as records carry it.
        tolerated: what is not as in the plan and was let pass.
        before: what is asked instead of a model: a cache over it.
        judges: benchmark → those that judge its answers.
    """

    arms: Mapping[str, Pipeline]
    models: Mapping[str, Model]
    identities: Mapping[Kind, Mapping[str, str]]
    tolerated: tuple[str, ...] = ()
    before: Mapping[str, Target] = field(default_factory=dict)
    judges: Mapping[str, tuple[Judge, ...]] = field(default_factory=dict)


def load_bench(
    arms: Iterable[Arm],
    plan: Mapping[str, Any],
    host: Host,
    *,
    tolerated: Callable[[str], bool] = lambda _path: False,
    cache: AnswerCache | None = None,
    judges: Sequence[JudgeTable] | None = None,
) -> Bench:
    """Load every model once, and put the arms together around them.

    Args:
        arms: of the plan, with their pipelines.
        plan: what they must be.
        host: where names are looked up.
        tolerated: whether the identity may differ at a path; in an audit it may nowhere.
        cache: of answers of earlier runs.
        judges: who judges, as the plan was asked for; None loads no judge, for whoever asks none.

    Raises:
        ConfigurationChanged: something is not what it was when the plan was frozen; the difference is shown.
        OrcaGuardError: a model does not load.
    """
    opener = _once(opened)
    entries = {entry["name"]: entry for entry in plan["arms"]}
    pipelines, models, passed = {}, {}, dict[str, None]()
    before: dict[str, Target] = {}
    for arm in arms:
        pipeline = assemble(arm.table, host, opener=opener, isolate=True)
        entry = entries[arm.name]
        if pipeline.digest != entry["pipeline"]:
            told = differences(_as_written(entry["identity"]), _as_written(lasting(pipeline.identity)))
            passed |= dict.fromkeys(line for line in told if tolerated(line.partition(": ")[0]))
            if not told or any(line not in passed for line in told):
                raise ConfigurationChanged(f"arm {arm.name!r} is not what the plan says:", told)
        models[entry["model"]] = pipeline.model
        if cache is not None:
            before[entry["model"]] = cache.over(pipeline.model)
        pipeline = replace(pipeline, before=before.get(entry["model"]))
        pipelines[arm.name] = pipeline.under(arm.name, target=entry["model"])
    of_arms = {name: entries[name]["pipeline"] for name in pipelines}
    of_models = {name: model_digest(model) for name, model in models.items()}
    identities: Mapping[Kind, Mapping[str, str]] = {"question": of_arms, "score": of_models}
    return Bench(
        arms=pipelines,
        models=models,
        identities=identities,
        tolerated=tuple(passed),
        before=before,
        judges={}
        if judges is None
        else _judges(plan, judges, host, opener, {d: name for name, d in of_models.items()}),
    )


def _judges(
    plan: Mapping[str, Any], tables: Sequence[JudgeTable], host: Host, opener: Opener, models: Mapping[str, str]
) -> dict[str, tuple[Judge, ...]]:
    """Every benchmark's judges, each what the plan says it is."""
    found: dict[str, tuple[Judge, ...]] = {}
    for benchmark in plan["benchmarks"]:
        for entry in benchmark.get("judges", ()):
            judge = placed_again(entry, tables, host, opener=opener, models=models)
            if told := differences(_as_written(entry), _as_written(judge_json(judge))):
                raise ConfigurationChanged(f"judge {entry['name']!r} is not what the plan says:", told)
            found[benchmark["name"]] = (*found.get(benchmark["name"], ()), judge)
    return found


def _as_written(identity: Mapping[str, Any]) -> Any:
    """As it comes out of a file: 1.0 is 1 there."""
    return json.loads(canonical(identity))


def _once(opener: Opener) -> Opener:
    """Open each model once, however many arms ask for it."""
    known: dict[tuple[str, str], Model] = {}

    def open_once(found: Provided[ModelLoader], spec: ModelSpec) -> Model:
        key = (found.item.name, digest_of(asdict(spec)))
        if key not in known:
            known[key] = opener(found, spec)
        return known[key]

    return open_once


# --- one unit ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """One item under one arm or model."""

    item: Item
    subject: str
    case: Case | None


def unit_records(planned: Planned, items: Sequence[Item], bench: Bench, *, address: Address) -> list[dict[str, Any]]:
    """The records of a unit: item by item, under every arm or model in the plan's order.

    Equal requests of different arms that wait together are asked once.
    """
    record = partial(_record, planned=planned, bench=bench, address=address)
    if planned.entry["kind"] == "question":
        judges = bench.judges.get(planned.entry["name"], ())
        targets = {name: target for arm in bench.arms.values() for name, target in arm.targets().items()}
        done = _driven(_cases(items, bench, judges), {**targets_of(judges), **targets})
        return [record(*done[item.id, arm]) for item in items for arm in bench.arms]
    done = _driven(_scores(items, bench), {**bench.models, **bench.before})
    return [record(*done[item.id, model]) for item in items for model in bench.models]


@dataclass(frozen=True, slots=True)
class _Judged:
    """An answer, and what its judges say of it."""

    answer: Answer
    heard: list[Heard]


def _cases(
    items: Iterable[Item], bench: Bench, judges: Sequence[Judge]
) -> Iterator[tuple[_Asked, Generator[Requests, Replies, Any]]]:
    for item in items:
        for name, arm in bench.arms.items():
            assert item.question is not None, "a unit of questions holds questions"
            case = arm.case(item.question)
            yield _Asked(item, name, case), _judged(item, item.question, case, arm, judges)


def _judged(
    item: Item, question: Question, case: Case, arm: Pipeline, judges: Sequence[Judge]
) -> Generator[Requests, Replies, _Judged]:
    """The answer to a question, or the one that is given, and what judges say of it. Only what was read is judged."""
    answer = given(question, item.given[0], arm) if item.given else (yield from case.solve())
    judged = answer.answered and answer.outcome is Outcome.EXTRACTED and answer.value is not None
    return _Judged(answer, (yield from heard(judges, item, answer.value or "")) if judged else [])


def given(question: Question, text: str, arm: Pipeline) -> Answer:
    """The answer that an item comes with, as if the pipeline had let it through."""
    segment = Segment(text=text, answer=text)
    reading = read(segment, question.form, choices=question.choices)
    return Answer(
        id=question.id,
        action=Action.ALLOW,
        final=text.strip(),
        text=text.strip(),
        segment=segment,
        outcome=reading.outcome,
        value=reading.value,
        pipeline=arm.digest,
    )


def _scores(items: Iterable[Item], bench: Bench) -> Iterator[tuple[_Asked, Generator[Requests, Replies, Any]]]:
    for item in items:
        for name in bench.models:
            assert item.request is not None, "a unit of requests holds requests"
            yield _Asked(item, name, None), just(replace(item.request, target=name))


def _driven(
    tasks: Iterator[tuple[_Asked, Generator[Requests, Replies, Any]]], targets: Mapping[str, Target]
) -> dict[tuple[str, str], tuple[_Asked, Any]]:
    """Results by item and subject. All tasks of a unit are under way at once, so that equal requests always meet."""
    waiting = list(tasks)
    ready = drive(waiting, targets, width=len(waiting))
    done = ((event.key, event.result) for event in ready if not isinstance(event, Streamed))
    return {(asked.item.id, asked.subject): (asked, result) for asked, result in done}


def _record(asked: _Asked, result: Any, *, planned: Planned, bench: Bench, address: Address) -> dict[str, Any]:
    more: Any = {"rules": Rules(planned.entry["scoring"], planned.metrics), "address": address}
    if asked.case is not None:
        assert asked.item.question is not None, "a case has a question"
        judged = isinstance(result, _Judged)
        answer = bench.arms[asked.subject].settled(asked.item.question, result.answer if judged else result)
        more["heard"] = result.heard if judged else []
        made = question_record(asked.item, answer, asked.case, **more)
    else:
        made = score_record(asked.item, result, **more)
    subject = {"subject": asked.subject, "identity": bench.identities[asked.item.kind][asked.subject]}
    return {"benchmark": planned.entry["name"], **subject, **made}
