"""The model as the pipeline knows it: what it is, and `run`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orca_guard.contracts import Reported
from orca_guard.errors import ModelFailed, OrcaGuardError
from orca_guard.types import Classify, Embed, Failure, Finding, Generate, Partial, Reply, Request, Retrace, Score
from orca_guard_hf.classify import Classifiers
from orca_guard_hf.examination import examine
from orca_guard_hf.generation import Limits, generate
from orca_guard_hf.generation import fitted as fitted_generation
from orca_guard_hf.network import Network
from orca_guard_hf.prompting import Prompter
from orca_guard_hf.retracing import retrace
from orca_guard_hf.scoring import embed, score
from orca_guard_hf.scoring import fitted as fitted_score

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
        """Answer requests as they come: generations, new or recorded, in batches, everything else at once."""
        source = iter(requests)
        exhausted = False
        while not exhausted:
            exhausted = True
            batch: list[Generate | Retrace] = []
            for request in source:
                exhausted = False
                if not isinstance(request, Generate | Retrace):
                    yield request, self._reply(request)
                    continue
                batch.append(request)
                if len(batch) == self.batch_size:
                    break
            yield from self._batched(generate, [request for request in batch if isinstance(request, Generate)])
            yield from self._batched(retrace, [request for request in batch if isinstance(request, Retrace)])

    def examine(self) -> Iterable[Finding]:
        """Tokens, template and weights, looked over."""
        return examine(self.prompter, self.network)

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
            case Classify():
                return self.classifiers.classify(request, batch_size=self.batch_size)
        raise ModelFailed(f"model {self.name!r} cannot answer {type(request).__name__}.")

    def _failed(self, error: Exception) -> ModelFailed:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        hint = " Lower the batch size, or choose a smaller dtype." if "memory" in lines[0] else ""
        failed = ModelFailed(f"model {self.name!r} could not answer: {lines[0]}.{hint}")
        failed.__cause__ = error
        return failed


def _strike(waiting: list[Request], request: Request) -> None:
    """Take this very request off the list: equal ones may be on it."""
    del waiting[next(i for i, other in enumerate(waiting) if other is request)]
