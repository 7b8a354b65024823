"""The contracts every plugin is held to, as functions that a plugin's own tests call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from orca_guard.bench import Bench, unit_records
from orca_guard.case import Case
from orca_guard.contracts import AskingGuard, Benchmark, ReportForm, Scorer, Strategy, Target, TextGuard
from orca_guard.drive import Streamed, drive
from orca_guard.freezing import Planned
from orca_guard.guards import checked
from orca_guard.identity import digest_text
from orca_guard.items import GOLD, OUTSIDE, Disposition, Item, Metric, Worth, gathered, item_json, item_of
from orca_guard.judging.placing import rubrics_of
from orca_guard.reading import read
from orca_guard.reports.hostile import shown
from orca_guard.reports.summary import Summary
from orca_guard.testing.judges import known_judges
from orca_guard.testing.known import KnownModel, expected, known_models
from orca_guard.testing.scripted import ScriptedClassifiers, ScriptedModel, pipeline_of
from orca_guard.types import Action, Document, Exhibit, Generate, Message, Outcome, Question, Segment, Stage, Verdict

AWKWARD = (
    "",
    " ",
    "A plain sentence.",
    "x" * 20_000,
    "\u05e9\u05dc\u05d5\u05dd \u0627\u0644\u0633\u0644\u0627\u0645 \u05e2\u05d5\u05dc\u05dd",
    "\U0001f469\u200d\U0001f680 \U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "\x00\x01\x1b[31mred\x1b[0m\x7f",
    "\ufffd\ufeff\u202emirrored\u202c",
    "line\nline\r\nline\ttab",
    "\udc80 half a character",
)
"""Texts that break naive code: empty, huge, right to left, joined emoji, controls, byte-like, surrogates."""

CALLERS = 32


def exhibits(texts: Sequence[str] = AWKWARD) -> list[Exhibit]:
    """Each text once as a question and once as an answer."""
    question = Question.of("Is it so?", "A document.")
    places: tuple[tuple[Stage, str], ...] = (("input", "user"), ("output", "answer"))
    return [Exhibit(text=text, stage=stage, part=part, question=question) for text in texts for stage, part in places]


def check_guard(guard: TextGuard) -> None:
    """Sound verdicts on awkward texts; a batch equals its parts; deterministic; the same under 32 callers."""
    assert isinstance(guard, TextGuard), f"{guard!r} lacks a member of TextGuard"
    assert guard.stages, "a guard is shown something"
    assert guard.stages <= {"input", "output"}
    assert guard.scope in {"window", "whole"}
    shown = [exhibit for exhibit in exhibits() if exhibit.stage in guard.stages]
    batch = checked(guard.judge(shown), shown, guard=guard.name)
    assert list(guard.judge([])) == [], "nothing shown, nothing judged"
    assert _alike([guard.judge([exhibit])[0] for exhibit in shown], batch), "batch is not single"
    with ThreadPoolExecutor(CALLERS) as pool:
        for again in pool.map(lambda _: guard.judge(shown), range(CALLERS)):
            assert _alike(again, batch), "callers disturb each other"


def check_asking_guard(guard: AskingGuard, server: Target) -> None:
    """Sound verdicts on awkward texts; many at once equal one by one, and under 32 callers; no pass on a failure.

    Args:
        guard: under test.
        server: answers its `Classify` requests.
    """
    assert isinstance(guard, AskingGuard), f"{guard!r} lacks a member of AskingGuard"
    assert guard.stages, "a guard is shown something"
    assert guard.stages <= {"input", "output"}
    shown = [exhibit for exhibit in exhibits() if exhibit.stage in guard.stages]
    together = _examined(guard, shown, server)
    assert not [v for v in together if v.action is Action.ERROR], "it judges awkward texts"
    single = [_examined(guard, [exhibit], server)[0] for exhibit in shown]
    assert _alike(single, together), "batch is not single"
    with ThreadPoolExecutor(CALLERS) as pool:
        for again in pool.map(lambda _: _examined(guard, shown[:6], server), range(CALLERS)):
            assert _alike(again, together[:6]), "callers disturb each other"
    broken = ScriptedClassifiers(script=lambda _: RuntimeError("no classifier"))
    judged = [exhibit for exhibit, verdict in zip(shown, together, strict=True) if verdict.score is not None]
    assert judged, "some of these it judges"
    failed = _examined(guard, judged, broken)
    assert {verdict.action for verdict in failed} == {Action.ERROR}, "it passes a text that nothing judged"


def _examined(guard: AskingGuard, shown: Sequence[Exhibit], server: Target) -> list[Verdict]:
    """Its verdicts, in order, by the code that pipelines run."""
    pipeline = pipeline_of(guards=[guard], classifiers=server, timeout_s=60)
    asked = enumerate(Case(pipeline, exhibit.question).verdict(pipeline.guards[0], exhibit) for exhibit in shown)
    done = {e.key: e.result for e in drive(asked, pipeline.targets()) if not isinstance(e, Streamed)}
    verdicts = [done[n] for n in range(len(shown))]
    return [verdict for verdict in verdicts if isinstance(verdict, Verdict)]


def check_scorer(scorer: Scorer) -> None:
    """Finite scores on awkward texts; a batch equals its parts; the same under 32 callers."""
    assert isinstance(scorer, Scorer), f"{scorer!r} lacks a member of Scorer"
    shown = exhibits()
    batch = list(scorer.score(shown))
    assert len(batch) == len(shown), "one score an exhibit"
    assert all(0 <= score <= 1 for score in batch), "a score lies between 0 and 1"
    assert 0 <= scorer.threshold <= 1, "and so does a threshold"
    singles = [scorer.score([exhibit])[0] for exhibit in shown]
    assert all(math.isclose(a, b, abs_tol=1e-5) for a, b in zip(batch, singles, strict=True)), "batch is not single"
    with ThreadPoolExecutor(CALLERS) as pool:
        for again in pool.map(lambda _: list(scorer.score(shown)), range(CALLERS)):
            assert all(math.isclose(a, b, abs_tol=1e-5) for a, b in zip(batch, again, strict=True))


def check_strategy(strategy: Strategy) -> None:
    """It asks, marks one pass as final, leaves the user's words whole, and survives whatever comes back."""
    assert isinstance(strategy, Strategy), f"{strategy!r} lacks a member of Strategy"
    question = Question(
        messages=(Message("user", "First?"), Message("assistant", "Yes."), Message("user", "Which one is it?")),
        documents=(Document("The red one."),),
        choices=("red", "blue"),
        form="letter",
    )
    for text in ("A", "Answer: A", "Recall: it is red.\nAnswer: A. red", "", *AWKWARD):
        model = ScriptedModel(script=partial(_say, text))
        answer = pipeline_of(model, strategies=[strategy]).ask(question)
        assert not answer.error, f"{strategy.name} fails on {text!r}: {answer.error}"
        _check_asked(model.asked, strategy)
    reached = pipeline_of(ScriptedModel(script=lambda _: "Answer: A"), strategies=[strategy]).ask(question)
    assert (reached.outcome, reached.value) == (Outcome.EXTRACTED, "A"), "a marked answer is found"


def check_report_form(form: ReportForm, run: Path, report: Summary) -> None:
    """A text, the same every time; nothing in it acts on a terminal.

    Args:
        form: under test.
        run: a sealed run's folder.
        report: what there is to say of it.
    """
    assert isinstance(form, ReportForm), f"{form!r} lacks a member of ReportForm"
    assert form.summary
    assert form.suffix
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    text = form.render(run, report)
    assert isinstance(text, str), f"{form.name} renders a text, not {type(text).__name__}"
    assert text == form.render(run, report), f"{form.name} is not the same every time"
    assert shown(text) == text, f"{form.name} lets characters through that act on a terminal"
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == before, "it changes the run"


def check_benchmark(benchmark: Benchmark, files: Mapping[str, Path]) -> None:
    """Rubrics with enough sentinels, and all that `check_items` wants."""
    assert isinstance(benchmark, Benchmark), f"{benchmark!r} lacks a member of Benchmark"
    rubrics_of(benchmark)
    check_items(benchmark, files)


def check_items(benchmark: Benchmark, files: Mapping[str, Path]) -> None:
    """Sound items, the same each time; and to models whose score is known, exactly that score.

    The oracle is right everywhere; who writes nothing or refuses gets what the metrics declare for that; of requests,
    always-first, always-last and uniform get what theory says, and what is no number is never scored. Judges who know
    the gold score what they should.
    """
    items, rejected = gathered(benchmark.items(files))
    assert items, "a benchmark has items"
    assert (items, rejected) == gathered(benchmark.items(files)), "and the same ones each time"
    assert len({item.id for item in items}) == len(items), "each with an id of its own"
    assert {item.kind for item in items} == {benchmark.kind}, "all of one kind"
    assert all(item_of(item_json(item)) == item for item in items), "and each survives being written down"
    asked = [item for item in items if not item.given]
    assert all(set(metric.by) <= item.groups.keys() for metric in benchmark.metrics for item in asked), "grouped"
    for name, model in known_models(asked).items():
        found = _scores_of(benchmark, asked, model)
        for metric in benchmark.metrics:
            scores = [scores[metric.name] for scores in found]
            if benchmark.kind == "score":
                _check_scores(
                    f"{name} by {metric.name}", scores, expected(model, asked, metric=metric, scoring=benchmark.scoring)
                )
            else:
                _check_questions(name, scores, asked, metric)
        if name == "oracle" and asked:
            _check_oracle([scores[benchmark.metrics[0].name] for scores in found], benchmark)
    _check_given([item for item in items if item.given], benchmark)


def _check_given(items: Sequence[Item], benchmark: Benchmark) -> None:
    """Judges who know every verdict agree with all of them, and no model plays a part."""
    for scores in _scores_of(benchmark, items, next(iter(known_models([]).values()))):
        wrong = {m.name: scores[m.name] for m in benchmark.metrics if scores[m.name] not in {1.0, OUTSIDE}}
        assert not wrong, f"a judge who knows the verdict of an answer that is given gets {wrong}"


def _scores_of(benchmark: Benchmark, items: Sequence[Item], model: KnownModel) -> list[dict[str, Worth]]:
    """Scores of every item under every metric, by the code that audits run."""
    entry = {"name": benchmark.name, "kind": benchmark.kind, "scoring": benchmark.scoring}
    pipeline = replace(pipeline_of(), model=model, target="model")
    bench = Bench(
        arms={"plain": pipeline},
        models={"model": model},
        identities={"question": {"plain": ""}, "score": {"model": ""}},
        judges={benchmark.name: known_judges(getattr(benchmark, "rubrics", ()), items, benchmark.metrics)},
    )
    planned = Planned(entry=entry, metrics=tuple(benchmark.metrics), items=tuple(items))
    return [record["scores"] for record in unit_records(planned, items, bench, address=digest_text)]


def _check_scores(what: str, found: Sequence[Worth], wanted: Sequence[Worth]) -> None:
    for number, (score, theory) in enumerate(zip(found, wanted, strict=True)):
        if isinstance(score, float | int) and isinstance(theory, float | int):
            good = math.isclose(score, theory, abs_tol=1e-9)
        else:
            good = score == theory
        assert good, f"{what}: item {number} scores {score}, and theory says {theory}"


def _check_questions(name: str, scores: Sequence[Worth], items: Sequence[Item], metric: Metric) -> None:
    """Who writes nothing or refuses gets what the metric declares; who always writes A, what A is worth."""
    silent = {"empty": Disposition.EMPTY, "refuser": Disposition.REFUSED}
    if name in silent:
        _check_scores(f"{name} by {metric.name}", scores, [metric.credit.get(silent[name])] * len(items))
    elif name == "always-first" and all(item.question and item.question.form == "letter" for item in items):
        _check_scores(f"{name} by {metric.name}", scores, [_worth_of("A", item, metric) for item in items])


def _worth_of(letter: str, item: Item, metric: Metric) -> Worth:
    labels = {GOLD: item.gold, **item.labels}
    worth = metric.worth or {GOLD: 1.0}
    if not any(labels.get(label) for label in worth):
        return None
    carried = [value for label, value in worth.items() if letter in {_letter(g, item) for g in labels.get(label, ())}]
    return OUTSIDE if OUTSIDE in carried else min(1.0, math.fsum(value for value in carried if value != OUTSIDE))


def _letter(gold: str, item: Item) -> str | None:
    """Gold may be the text of a choice: it is read in the question's form, as answers are."""
    assert item.question, "letters answer questions"
    return read(Segment(text=gold, answer=gold), "letter", choices=item.question.choices).value


def _check_oracle(scores: Sequence[Worth], benchmark: Benchmark) -> None:
    """Right everywhere. Of a share of probability it has all but what its rates leave to the others."""
    first = benchmark.metrics[0]
    if (first.rule or benchmark.scoring) != "likelihood-mass":
        assert set(scores) == {0.0 if first.lower_is_better else 1.0}, (
            f"the oracle scores {sorted(set(map(str, scores)))}"
        )


def _say(text: str, _request: Generate) -> str:
    return text


def _check_asked(asked: Sequence[Generate], strategy: Strategy) -> None:
    assert asked, f"{strategy.name} asks nothing"
    assert [request.final for request in asked] == [False] * (len(asked) - 1) + [True], "the last pass alone is final"
    assert len({(r.name, r.sample) for r in asked}) == len(asked), "passes have names of their own"
    for request in asked:
        assert "Which one is it?" in request.messages[-1].content, "the question's words are asked"
        assert [m.content for m in request.messages if m.role != "system"][:2] == ["First?", "Yes."]


def _alike(some: Sequence[Verdict], others: Sequence[Verdict]) -> bool:
    """Whether verdicts are the same but for a score's last digits, which a batch of another shape may change."""
    return len(some) == len(others) and all(map(_same, some, others))


def _same(one: Verdict, other: Verdict) -> bool:
    if (one.action, one.reason, one.spans) != (other.action, other.reason, other.spans):
        return False
    if one.score is None or other.score is None:
        return one.score is other.score
    return math.isclose(one.score, other.score, abs_tol=1e-5)


__all__ = [
    "AWKWARD",
    "check_asking_guard",
    "check_benchmark",
    "check_guard",
    "check_scorer",
    "check_strategy",
    "exhibits",
]
