"""A model that answers by a script, and a pipeline around it without any plugin."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from orca_guard.contracts import AskingGuard, GuardSettings, Model, Reported, Selector, Strategy, TextGuard
from orca_guard.errors import TextTooLong
from orca_guard.guards import GuardInPlace
from orca_guard.passes import one_pass
from orca_guard.pipeline import Pipeline
from orca_guard.types import (
    Action,
    Attempt,
    Classification,
    Classify,
    Failure,
    Generate,
    Generation,
    Partial,
    Question,
    Request,
    TokenSpan,
)

Script = Callable[[Generate], str | Generation | Exception]


@dataclass(kw_only=True)
class ScriptedModel:
    """Answers every `Generate` by calling a script, in batches, and remembers what it was asked.

    Attributes:
        script: request → text, a whole generation, or the error to fail with.
        batch: most requests answered together.
        batches: how many were in each batch so far.
        asked: every request, in order.
    """

    script: Script = lambda request: f"echo: {request.messages[-1].content}"
    batch: int = 8
    name: str = "scripted"
    identity: Mapping[str, str] = field(default_factory=lambda: {"kind": "scripted"})
    requests: frozenset[type] = frozenset({Generate})
    context: int | None = None
    system_messages: Mapping[str, str] = field(default_factory=dict)
    forms: Path | None = None
    notice: str = ""
    batches: list[int] = field(default_factory=list)
    asked: list[Generate] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        """A batch at a time, last request first, so that nobody relies on the order."""
        waiting = iter(requests)
        while batch := list(islice(waiting, self.batch)):
            with self._lock:
                self.batches.append(len(batch))
                self.asked += [request for request in batch if isinstance(request, Generate)]
            for request in reversed(batch):
                yield from self._replies(request)

    def _replies(self, request: Request) -> Iterator[Reported]:
        assert isinstance(request, Generate), "a scripted model only generates"
        reply = self.script(request)
        if isinstance(reply, Exception):
            yield request, Failure(reply)
            return
        generation = reply if isinstance(reply, Generation) else self._generation(request, reply)
        if request.stream:
            for end in range(1, len(generation.text)):
                text, read = generation.text[:end], generation.prompt_tokens
                yield request, Partial(text=text, prompt_tokens=read, new_tokens=len(text.split(" ")))
        yield request, generation

    def _generation(self, request: Generate, text: str) -> Generation:
        """Words count as tokens, and the request's limit holds."""
        words = text.split(" ")
        limit = request.max_new_tokens or len(words)
        kept = " ".join(words[:limit])
        return Generation(
            text=kept,
            finish="length" if len(words) > limit else "stop",
            prompt="\n".join(f"{m.role}: {m.content}" for m in request.messages),
            prompt_tokens=sum(len(m.content.split()) for m in request.messages),
            new_tokens=min(len(words), limit),
        )


@dataclass(kw_only=True)
class ScriptedClassifiers:
    """Serves any classifier by calling a script on every text, and remembers what it was asked.

    Attributes:
        script: a text or pair → label scores, or the spans of a token classifier, or the error to fail with.
        longest: tokens it reads at once; words count as tokens.
        asked: every request, in order.
    """

    script: Callable[[Any], Mapping[str, float] | Sequence[TokenSpan] | Exception]
    longest: int = 1 << 30
    name: str = "scripted"
    summary: str = "scores by a script"
    asked: list[Classify] = field(default_factory=list)

    def describe(self, reference: str, /, *, offline: bool = False, fresh: bool = False) -> Mapping[str, str]:  # noqa: ARG002  # the contract
        """The reference itself."""
        return {"scripted": reference}

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        """One after the other."""
        for request in requests:
            assert isinstance(request, Classify), "scripted classifiers only classify"
            self.asked.append(request)
            yield request, self._reply(request)

    def _reply(self, request: Classify) -> Classification | Failure:
        for number, text in enumerate(request.texts):
            tokens = len((text if isinstance(text, str) else " ".join(text)).split())
            if tokens > self.longest:
                return Failure(TextTooLong(number=number, tokens=tokens, longest=self.longest))
        said = [self.script(text) for text in request.texts]
        if failed := next((one for one in said if isinstance(one, Exception)), None):
            return Failure(failed)
        if all(isinstance(one, Mapping) for one in said):
            return Classification(scores=tuple(one for one in said if isinstance(one, Mapping)))
        return Classification(spans=tuple(tuple(one) for one in said if isinstance(one, Sequence)))


@dataclass(frozen=True, slots=True)
class Plain:
    """Asks once; the whole text is the answer."""

    name: str = "plain"
    summary: str = "asks once"
    system: str = ""
    chooses_inside_model: bool = False

    def answer(self, question: Question, /) -> Any:
        """One pass."""
        return one_pass(question, marked=False)


@dataclass(frozen=True, slots=True)
class InTurn:
    """Takes the strategies in order, the next after every failed attempt."""

    strategies: Sequence[str]
    name: str = "in-turn"
    escalates: bool = True

    def choose(self, question: Question, attempts: Sequence[Attempt], /) -> str | None:  # noqa: ARG002  # the contract
        """The next one, or None after the last."""
        return self.strategies[len(attempts)] if len(attempts) < len(self.strategies) else None


def pipeline_of(
    model: Model | None = None,
    *,
    strategies: Sequence[Strategy] = (),
    guards: Sequence[TextGuard | AskingGuard] = (),
    on_error: Action = Action.BLOCK,
    timeout_s: float = 5.0,
    selector: Selector | None = None,
    **fields: Any,
) -> Pipeline:
    """A pipeline of given parts, without a host."""
    chosen = tuple(strategies) or (Plain(),)
    names = [strategy.name for strategy in chosen]
    return Pipeline(
        model=model or ScriptedModel(),
        strategies={strategy.name: strategy for strategy in chosen},
        selector=selector or InTurn(names[:1], escalates=False),
        guards=tuple(
            GuardInPlace(
                guard=g, target=f"guard {n} {g.name}", settings=GuardSettings(), on_error=on_error, timeout_s=timeout_s
            )
            for n, g in enumerate(guards)
        ),
        **fields,
    )
