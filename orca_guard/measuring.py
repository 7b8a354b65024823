"""Measures items before anything is loaded: tokens of every prompt that is known, and what will not fit the model."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orca_guard.contracts import Described, Reported
from orca_guard.drive import Streamed, drive, just
from orca_guard.errors import ExitCode, ModelFailed, OrcaGuardError
from orca_guard.items import Item
from orca_guard.pipeline import Pipeline
from orca_guard.types import (
    Answer,
    Failure,
    Generate,
    Generation,
    Likelihood,
    Replies,
    Reply,
    Request,
    Requests,
    Score,
    Scores,
)

WIDTH = 256


@dataclass(slots=True)
class Work:
    """What running a plan costs, as far as that is known beforehand.

    Attributes:
        requests: prompts, equal ones once; later passes count as if earlier ones had written nothing.
        prompt_tokens: of those.
        new_tokens: the most they may be answered with.
        unmeasured: requests whose length only a server knows.
    """

    requests: int = 0
    prompt_tokens: int = 0
    new_tokens: int = 0
    unmeasured: int = 0


def measured(
    items: Iterable[Item], *, pipelines: Mapping[str, Pipeline], models: Mapping[str, Described], work: Work
) -> Iterator[tuple[Item, str]]:
    """Every item with why it cannot be asked, empty where it can, in the order in which that is known.

    What one arm or model cannot be asked is asked of none, so that they stay comparable. `work` is added to.

    Args:
        items: of one benchmark.
        pipelines: by arm, with described models.
        models: the different ones among them, by name.
        work: what the requests add up to.
    """
    scales = {name: _Scale(model, work) for name, model in models.items()}
    arms = {name: pipeline.under(name, target=_name_of(pipeline, models)) for name, pipeline in pipelines.items()}
    judges = {target: judge for arm in arms.values() for target, judge in arm.targets().items() if target not in scales}
    left: dict[str, int] = {}
    reasons: dict[str, str] = {}
    for event in drive(_tasks(items, arms, scales, left), {**judges, **scales}, width=WIDTH):
        if isinstance(event, Streamed):
            continue
        item = event.key
        reasons[item.id] = reasons.get(item.id) or _reason(event.result)
        left[item.id] -= 1
        if not left[item.id]:
            yield item, reasons.pop(item.id)


def _name_of(pipeline: Pipeline, models: Mapping[str, Described]) -> str:
    return next(name for name, model in models.items() if model.identity == pipeline.model.identity)


def _tasks(
    items: Iterable[Item], arms: Mapping[str, Pipeline], scales: Mapping[str, _Scale], left: dict[str, int]
) -> Iterator[tuple[Item, Generator[Requests, Replies, Any]]]:
    for item in items:
        if item.question is not None:
            left[item.id] = len(arms)
            yield from ((item, arm.solve(item.question)) for arm in arms.values())
        elif item.request is not None:
            left[item.id] = len(scales)
            yield from ((item, just(replace(item.request, target=name))) for name in scales)


def _reason(result: Any) -> str:
    """Why it cannot be asked. What else may go wrong, a guard that fails say, is for the run to record."""
    if isinstance(result, Answer):
        return result.error if result.error_code == ExitCode.USAGE else ""
    error = result.error if isinstance(result, Failure) else None
    return str(error) if isinstance(error, OrcaGuardError) and error.exit_code == ExitCode.USAGE else ""


@dataclass
class _Scale:
    """Stands where the model will: refuses what does not fit, and answers the rest with nothing."""

    model: Described
    work: Work
    seen: set[Request] = field(default_factory=set)

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        for request in requests:
            try:
                yield request, self._weighed(request)
            except OrcaGuardError as error:
                yield request, Failure(error)

    def _weighed(self, request: Request) -> Reply:
        if not isinstance(request, Generate | Score):
            raise ModelFailed("only prompts are measured")
        tokens = self.model.measure(request)
        if request not in self.seen:
            self.seen.add(request)
            self.work.requests += 1
            self.work.prompt_tokens += tokens or 0
            self.work.unmeasured += tokens is None
            self.work.new_tokens += (request.max_new_tokens or 0) if isinstance(request, Generate) else 0
        if isinstance(request, Generate):
            return Generation(text="", prompt_tokens=tokens or 0)
        return Scores(likelihoods=tuple(Likelihood(logprob=0.0, tokens=1, greedy=False) for _ in request.continuations))
