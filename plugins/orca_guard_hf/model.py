"""The model as the pipeline knows it: what it is, and `run`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from orca_guard.contracts import Reported
from orca_guard.errors import ModelFailed, OrcaGuardError
from orca_guard.types import Classify, Embed, Failure, Finding, Generate, Partial, Reply, Request, Retrace, Score
from orca_guard_hf.classify import Classifiers
from orca_guard_hf.examination import examine
from orca_guard_hf.feed import Feed
from orca_guard_hf.generation import generate
from orca_guard_hf.growing import Limits
from orca_guard_hf.growing import fitted as fitted_generation
from orca_guard_hf.network import Network
from orca_guard_hf.packing import Packing
from orca_guard_hf.prompting import Prompter
from orca_guard_hf.retracing import retrace
from orca_guard_hf.scoring import embed, score
from orca_guard_hf.scoring import fitted as fitted_score

log = logging.getLogger("orca_guard")

_TROUBLE = (RuntimeError, ValueError, IndexError, TypeError)
"""What torch and transformers raise while they compute; running out of memory is among it."""


@dataclass(frozen=True, kw_only=True)
class DescribedModel:
    """A model with its tokenizer and profile, and no weights: it measures prompts and answers nothing.

    Attributes as in `orca_guard.contracts.Described`.
    """

    name: str
    identity: Mapping[str, str]
    directory: Path
    prompter: Prompter
    limits: Limits

    @property
    def requests(self) -> frozenset[type]:
        """All kinds but a guard's verdict."""
        return frozenset({Generate, Score, Embed, Classify, Retrace})

    @property
    def context(self) -> int | None:
        """Tokens it can hold, where its configuration says so."""
        return self.limits.context

    @property
    def system_messages(self) -> Mapping[str, str]:
        """The profile's."""
        return self.prompter.profile.system

    @property
    def forms(self) -> Path | None:
        """`forms.json` beside the weights."""
        path = self.directory / "forms.json"
        return path if path.is_file() else None

    @property
    def notice(self) -> str:
        """The profile's."""
        return self.prompter.profile.notice

    def measure(self, request: Request) -> int:
        """Tokens that the model would read. Raises what answering it would raise of prompts and settings."""
        match request:
            case Generate():
                return len(fitted_generation(request, self.prompter, self.limits)[0].ids)
            case Score():
                return sum(map(len, fitted_score(request, self.prompter, self.limits.context).rows))
        raise ModelFailed(f"the length of a {type(request).__name__} request is not known beforehand.")

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        """Nothing is answered."""
        failure = Failure(ModelFailed(f"model {self.name!r} is described, not loaded."))
        return ((request, failure) for request in requests)


@dataclass(frozen=True, kw_only=True)
class HFModel(DescribedModel):
    """A causal language model in memory. Attributes as in `orca_guard.contracts.Model`."""

    network: Network
    batch_size: int
    classifiers: Classifiers

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        """Answer requests as they come: generations side by side, and the rest whenever no generation waits."""
        feed = Feed(requests)
        while True:
            before = feed.taken
            if not self._packing.prefers_slots and (lone := feed.lone()) is not None:
                yield from self._batched(generate, [lone])
            elif feed.look():
                yield from self._generations(feed)
            yield from self._together(feed.aside())
            if feed.taken == before:
                return

    def examine(self) -> Iterable[Finding]:
        """Tokens, template and weights, looked over, and how the network is used."""
        yield from examine(self.prompter, self.network)
        yield self._packing.finding()

    @cached_property
    def _packing(self) -> Packing:
        return Packing(self.network, context=self.context, name=self.name)

    def _generations(self, feed: Feed) -> Iterator[Reported]:
        """Over slots, where that is trusted; what they could not answer, and everything elsewhere, batch by batch."""
        left: list[Generate] = []
        if self._packing.trusted():
            run = self._packing.generator(self.prompter, self.limits, slots=self.batch_size)
            try:
                yield from run.run(feed, lambda: self._together(feed.aside()))
            except _TROUBLE as error:
                log.warning("Model %r: %s Going on batch by batch.", self.name, self._failed(error))
                left = run.unanswered
        while batch := left[: self.batch_size] or feed.generations(self.batch_size):
            left = left[self.batch_size :]
            yield from self._batched(generate, batch)

    def _together(self, requests: Sequence[Request]) -> Iterator[Reported]:
        """What was set aside: likelihoods all at once, recorded tokens in batches, the rest one by one."""
        scored = [request for request in requests if isinstance(request, Score)]
        yield from self._scored(scored)
        recorded = [request for request in requests if isinstance(request, Retrace)]
        for start in range(0, len(recorded), self.batch_size):
            yield from self._batched(retrace, recorded[start : start + self.batch_size])
        yield from self._classified([request for request in requests if isinstance(request, Classify)])
        others = (request for request in requests if not isinstance(request, Score | Retrace | Classify))
        yield from ((request, self._reply(request)) for request in others)

    def _scored(self, requests: Sequence[Score]) -> Iterator[Reported]:
        """Through the tree; what it could not answer, and everything where it is not trusted, one by one."""
        waiting = dict(enumerate(requests))
        if requests and self._packing.trusted():
            try:
                for number, reply in self._packing.score(requests, self.prompter):
                    yield waiting.pop(number), reply
            except _TROUBLE as error:
                log.warning("Model %r: %s Going on one by one.", self.name, self._failed(error))
        yield from ((request, self._reply(request)) for request in waiting.values())

    def _classified(self, requests: Sequence[Classify]) -> Iterator[Reported]:
        """Together; where that makes trouble, one by one, so that it is one request's trouble."""
        waiting = list(requests)
        try:
            for request, reply in self.classifiers.classify(requests, batch_size=self.batch_size):
                _strike(waiting, request)
                yield request, reply
        except _TROUBLE as error:
            if len(waiting) == 1:
                yield waiting[0], Failure(self._failed(error))
            else:
                for request in waiting:
                    yield from self._classified([request])

    def _batched(self, answer: Callable[..., Iterator[Reported]], batch: Sequence[Request]) -> Iterator[Reported]:
        waiting = list(batch)
        try:
            for request, reply in answer(batch, network=self.network, prompter=self.prompter, limits=self.limits):
                if not isinstance(reply, Partial):
                    _strike(waiting, request)
                yield request, reply
        except _TROUBLE as error:
            failure = Failure(self._failed(error))
            yield from ((request, failure) for request in waiting)

    def _reply(self, request: Request) -> Reply | Failure:
        try:
            return self._answer(request)
        except OrcaGuardError as error:
            return Failure(error)
        except _TROUBLE as error:
            return Failure(self._failed(error))

    def _answer(self, request: Request) -> Reply:
        more: Any = {"network": self.network, "prompter": self.prompter}
        match request:
            case Score():
                return score(request, context=self.context, batch_size=self.batch_size, **more)
            case Embed():
                return embed(request, context=self.context, batch_size=self.batch_size, **more)
        raise ModelFailed(f"model {self.name!r} cannot answer {type(request).__name__}.")

    def _failed(self, error: Exception) -> ModelFailed:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        hint = " Lower the batch size, or choose a smaller dtype." if "memory" in lines[0] else ""
        failed = ModelFailed(f"model {self.name!r} could not answer: {lines[0]}.{hint}")
        failed.__cause__ = error
        return failed


def _strike(waiting: list[Any], request: Request) -> None:
    """Take this very request off the list: equal ones may be on it."""
    del waiting[next(i for i, other in enumerate(waiting) if other is request)]
