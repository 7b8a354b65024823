"""Its items, by log-likelihood and by letters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def _metric(name: str) -> Metric:
    """Over one set of answers: all of its probability that true ones have, or whether a true one has the most."""
    rule = "likelihood-mass" if name == "mc2" else "likelihood"
    return Metric(name=name, rule=rule, worth={f"{name}-true": 1.0}, among=name, by=("type",))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Release(ABC):
    """One release of the questions. Members as in `orca_guard.contracts.Benchmark`.

    Attributes:
        choices: the file of questions and answers.
        origins: the file that says what each question was written as; it may be missing.
    """

    name: str
    summary: str
    choices: DataFile
    origins: DataFile
    version: str = "1"
    covers: tuple[str, ...] = (
        "nist-ai-600-1/confabulation",
        "nist-ai-600-1/information-integrity",
        "owasp-llm-2025/llm09",
    )

    def files(self, data: Path | None, /) -> Mapping[str, Path]:
        """The release's file, told by its digest from that of the other release."""
        return self._found(data, self.choices)

    def items(self, files: Mapping[str, Path], /) -> Iterable[Item | Rejected]:
        """Of every question what is made of it."""
        origins = _origins(self.origins, files)
        for row in values(self.choices.read(self.choices.of(files))):
            if isinstance(row, Rejected):
                yield row
            else:
                yield from self._made(row, origins.get(row.question, Origin(row.question, UNKNOWN, UNKNOWN)), files)

    def _found(self, data: Path | None, *needed: DataFile) -> dict[str, Path]:
        return TRUTHFULQA.find(data, needed, beside=[self.origins])

    @abstractmethod
    def _made(self, row: Choices, origin: Origin, files: Mapping[str, Path], /) -> Iterator[Item]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipleChoice(_Release):
    """Log-probabilities of all answers to a question, each asked once and compared within its own sets.

    Attributes:
        metrics: one a set; the first decides whether an item passes.
        primed: whether the user's own preamble stands before the question.
    """

    metrics: tuple[Metric, ...]
    primed: bool = False
    kind: Kind = "score"
    scoring: str = "likelihood"

    def files(self, data: Path | None, /) -> Mapping[str, Path]:
        """The release's file, and the preamble where one is wanted."""
        return self._found(data, self.choices, *([PREAMBLE] if self.primed else []))

    def _made(self, row: Choices, origin: Origin, files: Mapping[str, Path], /) -> Iterator[Item]:
        before = next(iter(values(PREAMBLE.read(PREAMBLE.of(files))))) + "\n\n" if self.primed else ""
        name, sets = id_of(row.question), {metric.name: row.sets[metric.name] for metric in self.metrics}
        options = shuffled({answer for answers in sets.values() for answer in answers}, seed=name)
        labels = {}
        for which, answers in sets.items():
            labels[which] = _numbers(options, answers)
            labels[f"{which}-true"] = _numbers(options, [answer for answer, true in answers.items() if true])
        yield Item(
            id=name,
            request=Score(
                context=f"{before}Q: {row.question}\nA:", continuations=tuple(f" {option}" for option in options)
            ),
            gold=labels[f"{self.metrics[0].name}-true"],
            labels=labels,
            groups={"type": origin.type, "category": origin.category},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters(_Release):
    """The question with lettered answers, asked of the pipeline: in an order drawn by the item, and in its reverse."""

    metrics: tuple[Metric, ...] = (replace(ACCURACY, by=("order", "type")),)
    kind: Kind = "question"
    scoring: str = "match"

    def _made(self, row: Choices, origin: Origin, _files: Mapping[str, Path], /) -> Iterator[Item]:
        answers, name = row.sets["mc1"], id_of(row.question)
        drawn = shuffled(answers, seed=name)
        for order, options in (("drawn", drawn), ("reversed", drawn[::-1])):
            message, which = Message("user", row.question), f"{name}-{order}"
            yield Item(
                id=which,
                question=Question(messages=(message,), choices=options, form="letter", id=which),
                gold=tuple(letter for letter, option in zip(ascii_uppercase, options, strict=False) if answers[option]),
                cluster=name,
                groups={"type": origin.type, "category": origin.category, "order": order},
            )


def _numbers(options: Sequence[str], wanted: Iterable[str]) -> tuple[str, ...]:
    known = frozenset(wanted)
    return tuple(str(number) for number, option in enumerate(options) if option in known)


def _origins(file: DataFile, files: Mapping[str, Path]) -> dict[str, Origin]:
    if not files.keys() & set(file.paths):
        return {}
    rows = values(file.read(file.of(files)))
    return {row.question: row for row in rows if not isinstance(row, Rejected)}


# --- both releases -----------------------------------------------------------------------------

_MC = MultipleChoice(
    name="truthfulqa-mc",
    summary=f"TruthfulQA ({RELEASE_817}): true answers likelier than false ones (MC1, MC2)",
    metrics=(_metric("mc1"), _metric("mc2")),
    choices=CHOICES,
    origins=ORIGINS,
)
_MC_2025 = MultipleChoice(
    name="truthfulqa-2025-mc",
    summary=f"TruthfulQA ({RELEASE_2025}): true answers likelier than false ones (MC0, MC1, MC2)",
    metrics=(_metric("mc1"), _metric("mc2"), _metric("mc0")),
    choices=CHOICES_2025,
    origins=ORIGINS_2025,
)
_LETTERS = Letters(
    name="truthfulqa-letters",
    summary=f"TruthfulQA ({RELEASE_817}): lettered answers in two orders",
    choices=CHOICES,
    origins=ORIGINS,
)
_LETTERS_2025 = Letters(
    name="truthfulqa-2025-letters",
    summary=f"TruthfulQA ({RELEASE_2025}): lettered answers in two orders",
    choices=CHOICES_2025,
    origins=ORIGINS_2025,
)


def _primed(one: MultipleChoice) -> MultipleChoice:
    return replace(one, name=f"{one.name}-primed", summary=f"{one.summary}, after your preamble", primed=True)


CHOOSING: tuple[MultipleChoice | Letters, ...] = (
    _MC,
    _MC_2025,
    _primed(_MC),
    _primed(_MC_2025),
    _LETTERS,
    _LETTERS_2025,
)
