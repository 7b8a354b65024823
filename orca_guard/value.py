"""What a guard is worth where it stands: labelled texts replayed as answers, through the pipeline with it and without.

The labels are people's, and only rows of the report part are replayed: neither a classifier nor a threshold was made
from them. A second scorer can judge the same answers beside people: where it is the guard's own, its word says nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orca_guard.assembly import assemble
from orca_guard.configuration import GuardTable, PipelineTable, guards_of, overridden
from orca_guard.contracts import Classifying, Reported
from orca_guard.errors import BadInput, ModelFailed, UsageError
from orca_guard.guards import GuardInPlace
from orca_guard.host import Host
from orca_guard.labelled import Labelled
from orca_guard.paired import Difference, difference
from orca_guard.pipeline import Pipeline
from orca_guard.stats import Sample
from orca_guard.tables import digests_in
from orca_guard.types import Answer, Failure, Generate, Generation, Question, Request
from orca_guard.validation import alone, scored, threshold_of

FEWEST = 20
"""Rows of each kind below which nothing is told."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """A model that writes, whatever it is asked, the text that belongs to the question.

    Attributes:
        texts: by the words of the question's last turn.
    """

    texts: Mapping[str, str]
    name: str = "replayed"
    identity: Mapping[str, str] = field(default_factory=lambda: {"kind": "replayed"})
    requests: frozenset[type] = frozenset({Generate})
    context: int | None = None
    system_messages: Mapping[str, str] = field(default_factory=dict)
    forms: Path | None = None
    notice: str = ""

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        """One after the other."""
        for request in requests:
            marks = [m.content for m in request.messages] if isinstance(request, Generate) else []
            text = next((self.texts[key] for mark in reversed(marks) for key in _keys(mark) if key in self.texts), None)
            if text is None:
                yield request, Failure(ModelFailed("nothing was recorded for this question"))
            else:
                yield request, Generation(text=text, new_tokens=len(text.split()))


def _keys(text: str) -> list[str]:
    return [part for part in text.split() if part.startswith(_MARK)]


_MARK = "[row:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a second scorer says of what one guard changes.

    Attributes:
        judge: its name.
        threshold: at or above it, it calls an answer harm.
        n: answers that it calls harm.
        shown: shares of those that are shown, without and with the guard; None where it cannot tell.
        harm: the difference; likewise.
        circular: why it cannot: it shares the guard's scores.
        sensitivity: share of the answers that people labelled as harm, and that it calls harm.
        specificity: share of the others that it does not.
    """

    judge: str
    threshold: float
    n: int
    shown: tuple[float, float] | None
    harm: Difference | None
    circular: str
    sensitivity: float
    specificity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What one guard changes, with it minus without it.

    Attributes:
        guard: its name.
        labelled: rows that people labelled as harm.
        harmless: rows that they did not.
        harm: difference of the shares of labelled rows that are shown.
        lost: difference of the shares of harmless rows that are not.
        shown: shares of labelled rows shown, without and with it.
        withheld: shares of harmless rows withheld, without and with it.
        ms: median of the milliseconds that it adds to an answer.
        judged: the same by a second scorer, where one was asked.
    """

    guard: str
    labelled: int
    harmless: int
    harm: Difference
    lost: Difference
    shown: tuple[float, float]
    withheld: tuple[float, float]
    ms: float
    judged: Judged | None = None


def worth(
    table: PipelineTable,
    host: Host,
    rows: Sequence[Labelled],
    *,
    judge: GuardTable | None = None,
    step: Callable[[int, int], None] = lambda *_: None,
) -> list[Worth]:
    """Every guard of the pipeline, with it against without it.

    Args:
        table: the pipeline; its model is not loaded.
        host: where names are looked up.
        rows: of which those of the report part are replayed.
        judge: a guard whose scores say what is harm, beside people; it is no part of the pipeline.
        step: told how many answers there are, and of how many.

    Raises:
        BadInput: too few rows of either kind.
        UsageError: a guard asks the pipeline's own model, which does not take part; or there is no guard.
    """
    rows = [row for row in rows if row.part == "report"]
    hits = sum(row.label for row in rows)
    if min(hits, len(rows) - hits) < FEWEST:
        raise BadInput(
            f"the report part has {hits} labelled rows and {len(rows) - hits} others; each has to be {FEWEST} or more. "
            "Rows are divided by their texts, and 20 of 100 are in that part."
        )
    names = [guard.name for guard in guards_of(table)]
    if not names:
        raise UsageError("the pipeline has no guard, so there is nothing to be with or without")
    arms = {"": table, **{name: overridden(table, no_guards=(name,)) for name in names}}
    total, answers = len(arms) * len(rows), dict[str, list[Answer]]()
    for n, (name, arm) in enumerate(arms.items()):
        pipeline = _pipeline(arm, host, rows)
        answers[name] = _answers(pipeline, rows, step=lambda done, n=n: step(n * len(rows) + done, total))  # type: ignore[misc]
    found = [_worth(name, rows, answers[""], answers[name]) for name in names]
    if judge is None:
        return found
    seat = _Seat.of(judge, host, rows)
    shared = {place.name: seat.shared(place, identity) for place, identity in _placed(table, host, rows)}
    return [
        replace(one, judged=seat.judged(one.guard, shared[one.guard], rows, (answers[""], answers[one.guard])))
        for one in found
    ]


def _placed(
    table: PipelineTable, host: Host, rows: Sequence[Labelled]
) -> Iterator[tuple[GuardInPlace, Mapping[str, Any]]]:
    pipeline = _pipeline(table, host, rows)
    return zip(pipeline.guards, pipeline.identity["guards"], strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seat:
    """A judge with what it said of every row: whether it calls it harm."""

    place: GuardInPlace
    threshold: float
    digests: frozenset[str]
    said: Sequence[bool]

    @classmethod
    def of(cls, table: GuardTable, host: Host, rows: Sequence[Labelled]) -> _Seat:
        """Raises `BadInput` where it has no score for a row: what it does not know is no verdict."""
        pipeline = alone(table, host)
        [place], threshold = pipeline.guards, threshold_of(pipeline.guards[0])
        scores = [one.score for one in scored(pipeline, rows)]
        if lost := sum(score is None for score in scores):
            raise BadInput(f"judge {place.name!r} has no score for {lost} of {len(rows)} answers, and judges none")
        said = [score is not None and score >= threshold for score in scores]
        digests = _scored_by(place, [identity.get("classifiers", ()) for identity in pipeline.identity["guards"]])
        return cls(place=place, threshold=threshold, digests=digests, said=said)

    def shared(self, place: GuardInPlace, identity: Mapping[str, Any]) -> str:
        """Why its word on a guard says nothing: they share weights, or what decides their scores."""
        if self.digests & _scored_by(place, identity.get("classifiers", ())):
            return f"CIRCULAR: {self.place.name!r} has the scores of the guard that it would judge"
        return ""

    def judged(
        self, guard: str, circular: str, rows: Sequence[Labelled], answers: tuple[Sequence[Answer], Sequence[Answer]]
    ) -> Judged:
        """What one guard changes, by its word."""
        harm = [n for n, said in enumerate(self.said) if said]
        if not circular and len(harm) < FEWEST:
            raise BadInput(
                f"judge {self.place.name!r} calls {len(harm)} answers harm, and {FEWEST} or more are needed to say "
                f"what guard {guard!r} changes"
            )
        with_it, without = (
            Sample(scores=[float(one[n].answered) for n in harm], clusters=[rows[n].cluster for n in harm])
            for one in answers
        )
        labels = [row.label for row in rows]
        return Judged(
            judge=self.place.name,
            threshold=self.threshold,
            n=len(harm),
            shown=None if circular else (_mean(without), _mean(with_it)),
            harm=None if circular else difference(with_it, without),
            circular=circular,
            sensitivity=statistics.fmean(s for s, label in zip(self.said, labels, strict=True) if label),
            specificity=statistics.fmean(not s for s, label in zip(self.said, labels, strict=True) if not label),
        )


def _scored_by(place: GuardInPlace, classifiers: Any) -> frozenset[str]:
    """Digests of what decides a guard's scores: all of it together, and every trained file."""
    return frozenset({place.scorer, *digests_in(list(classifiers))} - {""})


def _pipeline(table: PipelineTable, host: Host, rows: Sequence[Labelled]) -> Pipeline:
    model = Replayed(texts={_key(n): row.text for n, row in enumerate(rows)})
    pipeline = assemble(table, host, opener=lambda _found, _spec: model)
    for place in pipeline.guards:
        if isinstance(place.guard, Classifying) and "model" in place.guard.scored_by:
            raise UsageError(
                f"guard {place.name!r} asks the pipeline's own model, which takes no part where texts are replayed. "
                f"Leave it out: --no-guard {place.name}."
            )
    return pipeline


def _key(n: int) -> str:
    return f"{_MARK}{n}]"


def _answers(pipeline: Pipeline, rows: Sequence[Labelled], *, step: Callable[[int], None]) -> list[Answer]:
    questions = [_question(n, row) for n, row in enumerate(rows)]
    found: dict[str, Answer] = {}
    for question, answer in pipeline.batch(questions):
        found[question.id] = answer
        step(len(found))
    return [found[question.id] for question in questions]


def _question(n: int, row: Labelled) -> Question:
    """The row's question with a mark that says which text answers it: strategies may word the rest as they like."""
    question = row.exhibit("output").question
    last = replace(question.messages[-1], content=f"{question.prompt} {_key(n)}")
    return replace(question, messages=(*question.messages[:-1], last), id=str(n))


def _worth(name: str, rows: Sequence[Labelled], full: Sequence[Answer], less: Sequence[Answer]) -> Worth:
    harm = [n for n, row in enumerate(rows) if row.label]
    rest = [n for n, row in enumerate(rows) if not row.label]

    def sample(answers: Sequence[Answer], which: Sequence[int], *, shown: bool) -> Sample:
        scores = [float(answers[n].answered is shown) for n in which]
        return Sample(scores=scores, clusters=[rows[n].cluster for n in which])

    def both(which: Sequence[int], *, shown: bool) -> tuple[Sample, Sample]:
        return sample(full, which, shown=shown), sample(less, which, shown=shown)

    harms, losses = both(harm, shown=True), both(rest, shown=False)
    return Worth(
        guard=name,
        labelled=len(harm),
        harmless=len(rest),
        harm=difference(*harms),
        lost=difference(*losses),
        shown=(_mean(harms[1]), _mean(harms[0])),
        withheld=(_mean(losses[1]), _mean(losses[0])),
        ms=1000
        * statistics.median(with_it.seconds - without.seconds for with_it, without in zip(full, less, strict=True)),
    )


def _mean(sample: Sample) -> float:
    return statistics.fmean(score for score in sample.scores if score is not None)


def built(one: Worth) -> dict[str, Any]:
    """As JSON holds it."""
    changes = {"harm": one.harm, "lost": one.lost}
    return {
        "guard": one.guard,
        "labelled": one.labelled,
        "harmless": one.harmless,
        "shown": {"without": one.shown[0], "with": one.shown[1]},
        "withheld": {"without": one.withheld[0], "with": one.withheld[1]},
        **{name: _change(change) for name, change in changes.items()},
        "ms": one.ms,
        "judged": None if one.judged is None else _built_judged(one.judged),
    }


def _built_judged(found: Judged) -> dict[str, Any]:
    return {
        "judge": found.judge,
        "threshold": found.threshold,
        "n": found.n,
        "circular": found.circular,
        "shown": None if found.shown is None else {"without": found.shown[0], "with": found.shown[1]},
        "harm": None if found.harm is None else _change(found.harm),
        "sensitivity": found.sensitivity,
        "specificity": found.specificity,
    }


def _change(d: Difference) -> dict[str, Any]:
    low, high = d.interval(0.95)
    return {"value": d.value, "low": low, "high": high, "p": d.p}
