"""Published sets of texts that people have labelled, as rows that guards are measured on.

Who reads a set is the plugin that knows it; here stands which sets there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from orca_guard.data.sets import values
from orca_guard.items import Rejected
from orca_guard.labelled import Labelled, LabelledSet
from orca_guard_grounded.detectors import BEGIN, FACTSCORE, FAITHBENCH, RAGTRUTH, LabelledAnswers
from orca_guard_toxicity.recipe import rows as toxicity
from orca_guard_xstest.data import PROMPTS

Reader = Callable[[Path], Iterable[Labelled]]


def _toxic(data: Path, *, source: str) -> Iterator[Labelled]:
    """Rows of one of the sets that the toxicity scorers are made from, all parts of it."""
    known = [one for one in toxicity.SOURCES if one.name == source]
    for row in toxicity.read(data, sources=known):
        yield Labelled(text=row.text, label=row.toxic, group=row.group, set=row.source, origin=row.post)


def _answers(data: Path, *, of: LabelledAnswers) -> Iterator[Labelled]:
    """Answers, labelled where they are not held up."""
    return (row for row in of.rows(data) if isinstance(row, Labelled))


def xstest(data: Path) -> Iterator[Labelled]:
    """Prompts, none of which tries to replace instructions: a guard that stops one is wrong."""
    for row in values(PROMPTS.read(data / PROMPTS.name)):
        if not isinstance(row, Rejected):
            yield Labelled(text=row.text, label=False, group=row.label)


SETS: Mapping[str, Reader] = {
    "ToxiGen": partial(_toxic, source=toxicity.TOXIGEN),
    "HatemojiBuild": partial(_toxic, source=toxicity.HATEMOJI),
    "Davidson": partial(_toxic, source=toxicity.DAVIDSON),
    "toxic spans": partial(_toxic, source=toxicity.SPANS),
    "XSTest": xstest,
    "BEGIN": partial(_answers, of=BEGIN),
    "RAGTruth QA": partial(_answers, of=RAGTRUTH),
    "FaithBench": partial(_answers, of=FAITHBENCH),
    "FActScore": partial(_answers, of=FACTSCORE),
}


def read(name: str, data: Path) -> LabelledSet:
    """A set's rows of the report part: what no classifier was trained on and no threshold chosen on."""
    rows = tuple(row for row in SETS[name](data) if row.part == "report")
    return LabelledSet(name, rows)
