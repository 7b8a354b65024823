"""Labelled answers, shown to the judges that judge the pipeline's: how often both agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from orca_guard.errors import DataAbsent
from orca_guard.items import Item, Kind, Metric, Rejected, id_of
from orca_guard.judging.rubric import Rubric
from orca_guard.labelled import Labelled
from orca_guard.reading import read
from orca_guard.types import Document, Message, Outcome, Question, Segment
from orca_guard_grounded.detectors import SETS, LabelledAnswers
from orca_guard_grounded.rubrics import HALLUCINATION


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLabels:
    """Labelled answers of one set: nobody is asked for them. Members as in `orca_guard.contracts.Benchmark`.

    Attributes:
        of: the set.
    """

    name: str
    summary: str
    of: LabelledAnswers
    version: str = "1"
    kind: Kind = "question"
    scoring: str = "match"
    rubrics: tuple[Rubric, ...] = (HALLUCINATION,)
    metrics: tuple[Metric, ...] = (
        Metric(
            name="balanced-agreement",
            about="agreement",
            aggregate="balanced",
            over="label",
            judges=(HALLUCINATION.name,),
        ),
        Metric(name="agreement", about="agreement", by=("label",), judges=(HALLUCINATION.name,)),
    )

    def files(self, data: Path | None, /) -> Mapping[str, Path]:
        """Those of its files that are there."""
        if data is None:
            raise DataAbsent("data absent: no folder of data is named; name one by --data or ORCA_GUARD_DATA")
        return self.of.find(data, self.of.labelled, some=True, beside=self.of.files)

    def items(self, files: Mapping[str, Path], /) -> Iterable[Item | Rejected]:
        """An item a labelled answer; those on one text share a cluster."""
        where, path = next(iter(files.items()))
        folder = path.parents[len(Path(where).parts) - 1]
        seen: set[str] = set()
        for number, row in enumerate(self.of.rows(folder), 1):
            found = row if isinstance(row, Rejected) else self._item(number, row)
            if isinstance(found, Item) and found.id in seen:
                found = Rejected(number, "it repeats an earlier answer")
            if isinstance(found, Item):
                seen.add(found.id)
            yield found

    def _item(self, number: int, row: Labelled) -> Item | Rejected:
        answer = row.text.strip()
        if read(Segment(text=answer, answer=answer), "free").outcome is not Outcome.EXTRACTED:
            return Rejected(number, "its answer is read as a refusal, and no judge is shown those")
        prompt = row.prompt.strip() or "What is there to say?"
        name = id_of(prompt, *row.context, row.text, str(row.label))
        return Item(
            id=name,
            question=Question(
                messages=(Message("user", prompt),), documents=tuple(map(Document, row.context)), id=name
            ),
            given=(answer,),
            labels={HALLUCINATION.name: (str(float(row.label)),)},
            cluster=row.cluster,
            groups={"label": "yes" if row.label else "no"},
        )


LABELLED = tuple(
    AnswerLabels(name=f"{one.name}-labels", summary=f"{one.summary}: how often a judge agrees", of=one)
    for one in SETS
    if one.grounded
)
"""Of the sets that say what an answer should rest on: without that no judge can say what is made up."""
