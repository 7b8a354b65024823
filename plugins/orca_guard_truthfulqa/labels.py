"""Answers that people have labelled, shown to the judges that judge the pipeline's: how often both agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orca_guard.data.sets import DataFile, values
from orca_guard.items import Item, Kind, Metric, Rejected, id_of
from orca_guard.judging.rubric import Rubric
from orca_guard.types import Message, Question
from orca_guard_truthfulqa.answers import refuses
from orca_guard_truthfulqa.data import INFORMATIVE_OR_NOT, ORIGINS, TRUE_OR_NOT, TRUTHFULQA, Labelled
from orca_guard_truthfulqa.rubrics import INFORMATIVE, TRUTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Labelled answers for one rubric: nobody is asked for them. Members as in `orca_guard.contracts.Benchmark`.

    Attributes:
        rows: the file of labelled answers.
        rubric: by which they are judged again.
    """

    name: str
    summary: str
    rows: DataFile
    rubric: Rubric
    version: str = "1"
    kind: Kind = "question"
    scoring: str = "match"

    @property
    def rubrics(self) -> tuple[Rubric, ...]:
        """The one."""
        return (self.rubric,)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Agreement balanced over both labels, and as it is."""
        judges = (self.rubric.name,)
        return (
            Metric(name="balanced-agreement", about="agreement", judges=judges, aggregate="balanced", over="label"),
            Metric(name="agreement", about="agreement", judges=judges, by=("label",)),
        )

    def files(self, data: Path | None, /) -> Mapping[str, Path]:
        """The labelled answers; and true ones to show beside them, where the rubric does and the file is there."""
        return TRUTHFULQA.find(data, [self.rows], beside=[ORIGINS])

    def items(self, files: Mapping[str, Path], /) -> Iterable[Item | Rejected]:
        """An item a labelled answer; those to one question share a cluster."""
        known = _true_answers(files)
        for number, row in enumerate(values(self.rows.read(self.rows.of(files))), 1):
            yield row if isinstance(row, Rejected) else self._item(number, row, known.get(row.question, ()))

    def _item(self, number: int, row: Labelled, true: tuple[str, ...]) -> Item | Rejected:
        answer = row.answer.strip()
        if refuses(answer):
            return Rejected(number, "its answer is read as a refusal, and no judge is shown those")
        name = id_of(row.question, row.answer, str(row.label))
        return Item(
            id=name,
            question=Question(messages=(Message("user", row.question),), id=name),
            given=(answer,),
            gold=true,
            labels={self.rubric.name: (str(float(row.label)),)},
            cluster=id_of(row.question),
            groups={"label": "yes" if row.label else "no"},
        )


def _true_answers(files: Mapping[str, Path]) -> dict[str, tuple[str, ...]]:
    if not files.keys() & set(ORIGINS.paths):
        return {}
    return {row.question: row.true for row in values(ORIGINS.read(ORIGINS.of(files))) if not isinstance(row, Rejected)}


LABELLED = (
    Labels(
        name="truthfulqa-truth-labels",
        summary="answers that people called true or not: how often a judge agrees",
        rows=TRUE_OR_NOT,
        rubric=TRUTH,
    ),
    Labels(
        name="truthfulqa-informative-labels",
        summary="answers that people called informative or not: how often a judge agrees",
        rows=INFORMATIVE_OR_NOT,
        rubric=INFORMATIVE,
    ),
)
