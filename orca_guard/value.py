"""What a guard is worth where it stands: labelled texts replayed as answers, through the pipeline with it and without.

The labels are people's, never a scorer's, and only rows of the report part are replayed: neither a classifier nor a
threshold was made from them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orca_guard.assembly import assemble
from orca_guard.configuration import PipelineTable, guards_of, overridden
from orca_guard.contracts import Classifying, Reported
from orca_guard.errors import BadInput, ModelFailed, UsageError
from orca_guard.host import Host
from orca_guard.labelled import Labelled
from orca_guard.paired import Difference, difference
from orca_guard.pipeline import Pipeline
from orca_guard.stats import Sample
from orca_guard.types import Answer, Failure, Generate, Generation, Question, Request

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
    """

    guard: str
    labelled: int
    harmless: int
    harm: Difference
    lost: Difference
    shown: tuple[float, float]
    withheld: tuple[float, float]
    ms: float


def worth(
    table: PipelineTable,
    host: Host,
    rows: Sequence[Labelled],
    *,
    step: Callable[[int, int], None] = lambda *_: None,
) -> list[Worth]:
    """Every guard of the pipeline, with it against without it.

    Args:
        table: the pipeline; its model is not loaded.
        host: where names are looked up.
        rows: of which those of the report part are replayed.
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
    return [_worth(name, rows, answers[""], answers[name]) for name in names]


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
        **{
            name: {"value": d.value, "low": d.interval(0.95)[0], "high": d.interval(0.95)[1], "p": d.p}
            for name, d in changes.items()
        },
        "ms": one.ms,
    }
