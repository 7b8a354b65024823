"""One question, start to finish: input guards, selector, strategy, reading, output guards, answer.

    question → input guards → selector picks a strategy → strategy asks the model → answer is read out
             → output guards → answer, or a more careful strategy, or none

`Pipeline.solve` is that line as a generator of requests; one prompt, a file and a stream are the same generator under
the same driver.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Self

from orca_guard.case import CLASSIFIERS, Case, classifiers_within
from orca_guard.contracts import AskingGuard, ClassifierServer, Model, Selector, Strategy, Target, TextGuard
from orca_guard.drive import Streamed, drive
from orca_guard.errors import BadInput, ExitCode
from orca_guard.forms import Forms
from orca_guard.guards import ClassifierTarget, GuardInPlace, TextGuardTarget
from orca_guard.streaming import Gate
from orca_guard.types import (
    Action,
    Answer,
    Decoding,
    Failure,
    ItemRecorded,
    Question,
    Replies,
    Requests,
    RunFinished,
    RunStarted,
)

log = logging.getLogger("orca_guard")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Over all passes, guards and attempts of one question.

    Attributes:
        deadline_s: seconds from its first step to its answer.
        new_tokens: tokens generated.
        retries: further attempts after guards let none through.
    """

    deadline_s: float = 600.0
    new_tokens: int = 4096
    retries: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Everything that decides an answer, put together. Safe to call from several threads.

    Attributes:
        model: answers requests.
        target: the driver's name for it.
        classifiers: answers guards' `Classify` requests; None leaves them to the model.
        strategies: by name, those the selector may pick.
        selector: picks one.
        guards: in the order in which they are asked.
        decoding: how tokens are chosen.
        limits: over one question.
        system: replaces every strategy's system message; None leaves them their own.
        identity: digests and settings of all of the above.
        digest: of the identity, without what changes from day to day.
        notices: what a person should know of the model before trusting its answers.
        warnings: that every answer carries.
        forms: recogniser of the forms this model writes, where there is one.
        tell: called with every event of a run.
        before: what is asked instead of the model: a cache over it; None asks the model.
    """

    model: Model
    strategies: Mapping[str, Strategy]
    selector: Selector
    guards: tuple[GuardInPlace, ...] = ()
    target: str = "model"
    classifiers: ClassifierServer | None = None
    decoding: Decoding = field(default_factory=Decoding)
    limits: Limits = field(default_factory=Limits)
    system: str | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    notices: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    forms: Forms | None = None
    tell: Callable[[RunStarted | ItemRecorded | RunFinished], list[str]] = lambda _event: []
    before: Target | None = None

    # --- asking --------------------------------------------------------------------------------

    def ask(self, prompt: str | Question, *documents: str) -> Answer:
        """The answer to one question. Whatever goes wrong with it is in the answer.

        Raises:
            BadInput: it is neither text nor a question.
        """
        [(_, answer)] = self.batch([_question(prompt, *documents)])
        return answer

    def batch(self, questions: Iterable[str | Question], *, width: int = 32) -> Iterator[tuple[Question, Answer]]:
        """Every question with its answer, in the order in which answers become ready.

        Args:
            questions: pulled lazily.
            width: most questions under way at once.

        Raises:
            BadInput: one is neither text nor a question.
        """
        total = len(questions) if isinstance(questions, Sequence) else None
        with _Observed(self, total) as observed:
            asked = ((question, self.solve(question)) for question in map(_question, questions))
            for event in drive(asked, self.targets(), width=width):
                if not isinstance(event, Streamed):
                    yield event.key, observed.record(self.settled(event.key, event.result))

    def stream(self, prompt: str | Question) -> Iterator[str | Answer]:
        """Pieces of the final pass's text as they are let through, and last the answer.

        Where `held` says why, there are no pieces: the text comes with the answer.

        Raises:
            BadInput: it is neither text nor a question.
        """
        question = _question(prompt)
        with _Observed(self, 1) as observed:
            case = Case(self, question, stream=not self.held)
            gate = Gate([place for place in self.guards if place.sees("output")], self.targets(), question)
            with closing(drive([(question, case.solve())], self.targets())) as events:
                for event in events:
                    if isinstance(event, Streamed):
                        yield from gate.release(event.partial.text)
                        if gate.closed:
                            case.cut(event.request, event.partial)
                            yield observed.record(case.withhold(gate.verdicts))
                            return
                    else:
                        answer = self.settled(question, event.result)
                        yield from gate.finish(answer)
                        yield observed.record(answer)

    @property
    def held(self) -> str:
        """Why streamed text is held to the end; empty when it is not."""
        whole = [place.name for place in self.guards if place.sees("output") and place.scope != "window"]
        if whole:
            return f"guard {whole[0]!r} judges whole answers"
        return f"selector {self.selector.name!r} may still try another strategy" if self.selector.escalates else ""

    def solve(self, question: Question) -> Generator[Requests, Replies, Answer]:
        """The line above, as a generator of requests."""
        return self.case(question).solve()

    def case(self, question: Question) -> Case:
        """One question under way."""
        return Case(self, question)

    def under(self, name: str, *, target: str) -> Self:
        """The same pipeline beside others under one driver: its guards answer to `name`, its model to `target`."""
        guards = tuple(replace(place, target=f"{name}: {place.target}") for place in self.guards)
        return replace(self, guards=guards, target=target)

    def settled(self, question: Question, result: Answer | Failure) -> Answer:
        """What the driver made of `solve`: an exception in it is a bug, and an answer that says so."""
        if isinstance(result, Answer):
            return result
        log.error("question %r met an internal error", question.id, exc_info=result.error)
        return Answer(
            id=question.id,
            action=Action.ERROR,
            error=f"internal error: {type(result.error).__name__}: {result.error}",
            error_code=ExitCode.INTERNAL,
            pipeline=self.digest,
            warnings=self.warnings,
        )

    def targets(self) -> dict[str, Target]:
        """Where the requests of `solve` go."""
        judged = {p.target: TextGuardTarget(p, p.guard) for p in self.guards if isinstance(p.guard, TextGuard)}
        served: dict[str, Target] = {}
        if self.classifiers is not None:
            waits = {place.timeout_s for place in self.guards if isinstance(place.guard, AskingGuard)}
            served = {classifiers_within(wait): ClassifierTarget(self.classifiers, wait) for wait in waits}
            served[CLASSIFIERS] = self.classifiers
        return {self.target: self.before or self.model, **served, **judged}

    def system_of(self, strategy: Strategy, *, given: str | None = None) -> str:
        """The system message that a strategy's passes get.

        In this order: the pipeline's `system`; what the conversation itself was `given`; the profile's wording of the
        strategy's message; the strategy's own; the profile's default.
        """
        if self.system is not None:
            return self.system
        if given is not None:
            return given
        worded = self.model.system_messages
        return worded.get(strategy.name) or strategy.system or worded.get("default", "")


def _question(prompt: str | Question, *documents: str) -> Question:
    for text in (prompt, *documents):
        if not isinstance(text, str) and (text is not prompt or not isinstance(text, Question)):
            raise BadInput(f"a question is a text, or a Question, and its documents are texts: not {text!r:.60}")
    if isinstance(prompt, str):
        return Question.of(prompt, *documents)
    if documents:
        raise BadInput("the documents of a Question are in it: Question.of(prompt, *documents)")
    return prompt


class _Observed:
    """Tells observers of a run's start, items and end."""

    def __init__(self, pipeline: Pipeline, questions: int | None) -> None:
        self._pipeline = pipeline
        self._questions = questions
        self._actions: dict[str, int] = {}

    def _tell(self, event: RunStarted | ItemRecorded | RunFinished) -> None:
        for trouble in self._pipeline.tell(event):
            log.warning(trouble)

    def __enter__(self) -> Self:
        self._tell(RunStarted(pipeline=self._pipeline.digest, questions=self._questions))
        return self

    def record(self, answer: Answer) -> Answer:
        self._actions[answer.action] = self._actions.get(answer.action, 0) + 1
        self._tell(ItemRecorded(answer=answer))
        return answer

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        interrupted = kind is not None
        self._tell(RunFinished(pipeline=self._pipeline.digest, actions=self._actions, interrupted=interrupted))
