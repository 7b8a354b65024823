"""Its items, by log-likelihood and by letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_uppercase

from orca_guard.data.sets import DataFile, values
from orca_guard.items import ACCURACY, Item, Kind, Metric, Rejected, id_of, shuffled
from orca_guard.types import Message, Question, Score
from orca_guard_truthfulqa.data import (
    CHOICES,
    CHOICES_2025,
    ORIGINS,
    ORIGINS_2025,
    PREAMBLE,
    RELEASE_817,
    RELEASE_2025,
    TRUTHFULQA,
    Choices,
    Origin,
)

UNKNOWN = "unknown"
LETTERS = "letters"


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthfulQA:
    """One way to ask one release. Members as in `orca_guard.contracts.Benchmark`.

    Attributes:
        targets: which set of answers: `mc0`, `mc1` or `mc2`.
        choices: the file they stand in.
        origins: the file that says what each question was written as; it may be missing.
        primed: whether the user's own preamble stands before the question.
    """

    name: str
    summary: str
    scoring: str
    targets: str
    choices: DataFile
    origins: DataFile
    primed: bool = False
    kind: Kind = "score"
    metrics: tuple[Metric, ...] = (replace(ACCURACY, by=("type",)),)
    version: str = "1"

    def files(self, data: Path | None, /) -> Mapping[str, Path]:
        """The release's file, told by its digest from that of the other release."""
        needed = [self.choices, PREAMBLE] if self.primed else [self.choices]
        found = TRUTHFULQA.find(data, needed)
        assert data is not None, "without a folder nothing is found"
        return found | TRUTHFULQA.present(data, [self.origins])

    def items(self, files: Mapping[str, Path], /) -> Iterable[Item | Rejected]:
        """An item a question; of letters two, with the answers in either order."""
        origins = _origins(self.origins, files)
        before = next(iter(values(PREAMBLE.read(PREAMBLE.of(files))))) + "\n\n" if self.primed else ""
        for row in values(self.choices.read(self.choices.of(files))):
            if isinstance(row, Rejected):
                yield row
                continue
            origin = origins.get(row.question, Origin(row.question, UNKNOWN, UNKNOWN))
            yield from self._lettered(row, origin) if self.kind == "question" else self._scored(row, origin, before)

    def _scored(self, row: Choices, origin: Origin, before: str) -> Iterator[Item]:
        answers, name = row.sets[self.targets], id_of(row.question)
        options = shuffled(answers, seed=name)
        yield Item(
            id=name,
            request=Score(
                context=f"{before}Q: {row.question}\nA:", continuations=tuple(f" {option}" for option in options)
            ),
            gold=tuple(str(number) for number, option in enumerate(options) if answers[option]),
            groups={"type": origin.type, "category": origin.category},
        )

    def _lettered(self, row: Choices, origin: Origin) -> Iterator[Item]:
        answers, name = row.sets[self.targets], id_of(row.question)
        drawn = shuffled(answers, seed=name)
        for order, options in (("drawn", drawn), ("reversed", drawn[::-1])):
            yield Item(
                id=f"{name}-{order}",
                question=Question(messages=(Message("user", row.question),), choices=options, form="letter"),
                gold=tuple(letter for letter, option in zip(ascii_uppercase, options, strict=False) if answers[option]),
                cluster=name,
                groups={"type": origin.type, "category": origin.category, "order": order, "pair": name},
            )


def _origins(file: DataFile, files: Mapping[str, Path]) -> dict[str, Origin]:
    if not files.keys() & set(file.paths):
        return {}
    rows = values(file.read(file.of(files)))
    return {row.question: row for row in rows if not isinstance(row, Rejected)}


def _of_release(prefix: str, release: str, choices: DataFile, origins: DataFile, targets: tuple[str, ...]) -> Iterator[TruthfulQA]:
    files = {"choices": choices, "origins": origins}
    for name in targets:
        scoring = "likelihood-mass" if name == "mc2" else "likelihood"
        one = TruthfulQA(
            name=f"{prefix}-{name}",
            summary=f"TruthfulQA ({release}), {_MEANING[name]}",
            scoring=scoring,
            targets=name,
            **files,
        )
        yield one
        yield replace(one, name=f"{one.name}-primed", summary=f"{one.summary}, after your preamble", primed=True)
    yield TruthfulQA(
        name=f"{prefix}-{LETTERS}",
        summary=f"TruthfulQA ({release}), lettered answers in two orders, asked of the pipeline",
        kind="question",
        scoring="match",
        targets="mc1",
        **files,
    )


_MEANING = {
    "mc0": "the likelier of one true and one false answer",
    "mc1": "the likeliest of one true and several false answers",
    "mc2": "the probability of all true among all answers",
}
BENCHMARKS = (
    *_of_release("truthfulqa", RELEASE_817, CHOICES, ORIGINS, ("mc1", "mc2")),
    *_of_release("truthfulqa-2025", RELEASE_2025, CHOICES_2025, ORIGINS_2025, ("mc0", "mc1", "mc2")),
)
