"""One answer before its judges: a generator of requests, whoever judges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orca_guard.case import CLASSIFIERS
from orca_guard.contracts import ClassifierServer, Model, Target
from orca_guard.errors import ModelFailed, OrcaGuardError
from orca_guard.identity import canonical
from orca_guard.items import Item, Opinion
from orca_guard.judging.rubric import Rubric, verdict
from orca_guard.pipeline import Pipeline
from orca_guard.types import (
    Classification,
    Classify,
    Decoding,
    Exhibit,
    Generate,
    Generation,
    Message,
    Replies,
    Requests,
)

Hearing = Generator[Requests, Replies, "Heard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a judge was shown and what came back.

    Attributes:
        judge: the rubric's name.
        of: as in `Opinion`.
        asked: everything that was shown.
        said: a model's reply; of a scorer what it told, as JSON.
        raw: a scorer's score, which the threshold is held against.
        score: of the verdict; None where there is none.
        why: there is none.
        tokens: prompt and new ones.
    """

    judge: str
    of: int = 0
    asked: str
    said: str = ""
    raw: float | None = None
    score: float | None = None
    why: str = ""
    tokens: tuple[int, int] = (0, 0)

    @property
    def opinion(self) -> Opinion:
        """What scores are made of."""
        return Opinion(judge=self.judge, of=self.of, score=self.score)


@dataclass(frozen=True, kw_only=True)
class Judge(ABC):
    """Whoever judges by a rubric.

    Attributes:
        rubric: by which.
        who: for people.
        identity: everything that decides its verdicts, as the plan holds it.
        threshold: of a scorer; a model has none.
        own: names of the plan's models that it is itself.
    """

    rubric: Rubric
    who: str
    identity: Mapping[str, Any]
    threshold: float | None = None
    own: tuple[str, ...] = ()

    @property
    @abstractmethod
    def targets(self) -> Mapping[str, Target]:
        """Where its requests go."""

    def asks(self, item: Item) -> bool:
        """Whether it is shown an item's answer. Of one that was given it is, where a verdict is known."""
        return not item.given or self.rubric.name in item.labels

    def hear(self, item: Item, value: str, of: int = 0) -> Hearing:
        """One answer judged. A judge that fails has given no verdict, and why is said."""
        answer = self.rubric.judged(value)
        shown = self.shown(item, answer)
        try:
            said, raw, tokens = yield from self._asked(item, answer, shown)
        except Exception as error:  # noqa: BLE001  # whatever a judge raises costs its verdict, and never the answer
            why = str(error) if isinstance(error, OrcaGuardError) else f"{type(error).__name__}: {error}"
            return Heard(judge=self.rubric.name, of=of, asked=shown, why=why or type(error).__name__)
        score, why = verdict(self.rubric, said, raw, self.threshold)
        return Heard(
            judge=self.rubric.name, of=of, asked=shown, said=said, raw=raw, score=score, why=why, tokens=tokens
        )

    def shown(self, item: Item, answer: str) -> str:
        """What it is shown: the rubric's prompt, or of a scorer the answer itself."""
        return self.rubric.prompt(item, answer) if self.threshold is None else answer

    @abstractmethod
    def _asked(
        self, item: Item, answer: str, shown: str
    ) -> Generator[Requests, Replies, tuple[str, float | None, tuple[int, int]]]:
        """What it said, the score in that where it is a scorer, and its tokens."""


@dataclass(frozen=True, kw_only=True)
class ModelJudge(Judge):
    """A language model that is asked by the rubric's prompt and decodes greedily."""

    model: Model

    @property
    def targets(self) -> Mapping[str, Target]:
        """The model, under a name of its own."""
        return {self._target: self.model}

    @property
    def _target(self) -> str:
        return f"judge {self.rubric.name}"

    def _asked(
        self, item: Item, answer: str, shown: str
    ) -> Generator[Requests, Replies, tuple[str, float | None, tuple[int, int]]]:
        del item, answer
        reply = yield Generate(
            messages=(Message("user", shown),),
            name="judge",
            target=self._target,
            max_new_tokens=self.rubric.tokens,
            decoding=Decoding(max_new_tokens=self.rubric.tokens),
        )
        if not isinstance(reply, Generation):
            raise ModelFailed(f"judge {self.rubric.name!r} was asked for a text and gave {type(reply).__name__}")
        return reply.text, None, (reply.prompt_tokens, reply.new_tokens)


@dataclass(frozen=True, kw_only=True)
class GuardJudge(Judge):
    """A guard or scorer plugin: its score at its threshold is the verdict."""

    pipeline: Pipeline = field(repr=False)

    @property
    def targets(self) -> Mapping[str, Target]:
        """Guard and classifiers."""
        return {name: target for name, target in self.pipeline.targets().items() if name != self.pipeline.target}

    def _asked(
        self, item: Item, answer: str, shown: str
    ) -> Generator[Requests, Replies, tuple[str, float | None, tuple[int, int]]]:
        del shown
        assert item.question is not None, "questions are answered, and answers judged"
        [place] = self.pipeline.guards
        stage = "output" if place.sees("output") else "input"
        exhibit = Exhibit(text=answer, stage=stage, part="answer", question=item.question)  # type: ignore[arg-type]
        found = yield from self.pipeline.case(item.question).verdict(place, exhibit)
        if found.score is None:
            raise ModelFailed(found.reason or f"guard {place.name!r} gave no score")
        return canonical({"score": found.score}).decode(), float(found.score), (0, 0)


@dataclass(frozen=True, kw_only=True)
class ClassifierJudge(Judge):
    """A sequence classifier that reads question and answer as a pair: the score of one of its labels."""

    server: ClassifierServer
    reference: str
    label: str

    @property
    def targets(self) -> Mapping[str, Target]:
        """What serves it."""
        return {CLASSIFIERS: self.server}

    def _asked(
        self, item: Item, answer: str, shown: str
    ) -> Generator[Requests, Replies, tuple[str, float | None, tuple[int, int]]]:
        del shown
        assert item.question is not None, "questions are answered, and answers judged"
        pair = (item.question.prompt, answer)
        reply = yield Classify(model=self.reference, texts=(pair,), target=CLASSIFIERS)
        if not isinstance(reply, Classification) or len(reply.scores) != 1:
            raise ModelFailed(f"{self.reference} labels no texts")
        scores = {label.casefold(): float(score) for label, score in reply.scores[0].items()}
        if self.label.casefold() not in scores:
            raise ModelFailed(f"{self.reference} has no label {self.label!r}, only {', '.join(reply.scores[0])}")
        return canonical(dict(reply.scores[0])).decode(), scores[self.label.casefold()], (0, 0)


def heard(judges: Iterable[Judge], item: Item, value: str) -> Generator[Requests, Replies, list[Heard]]:
    """What all judges that an item concerns say of its answer, and of a second one that is given."""
    found = []
    for judge in judges:
        if judge.asks(item):
            for of, answer in enumerate((value, *item.given[1:])):
                found.append((yield from judge.hear(item, answer, of)))
    return found


def targets_of(judges: Sequence[Judge]) -> dict[str, Target]:
    """Where the requests of all of them go."""
    return {name: target for judge in judges for name, target in judge.targets.items()}
