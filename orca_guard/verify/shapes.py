"""The shape of everything in a bundle, so that nothing that was made up gets past its first look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from orca_guard.errors import BadInput
from orca_guard.items import Disposition, Kind, Mark, Metric
from orca_guard.types import Action, Finish, Outcome, Stage

Digest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]

T = TypeVar("T")


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Keys that are not named may be there: they are sealed like all others, and nothing here rests on them."""


# --- plan.json ---------------------------------------------------------------------------------


class ArmShape(_Shape, frozen=True, kw_only=True):
    """A pipeline under a name."""

    name: str
    pipeline: Digest
    model: str
    identity: dict[str, Any]


class ModelShape(_Shape, frozen=True, kw_only=True):
    """A model under a name."""

    name: str
    digest: Digest
    identity: dict[str, Any]


class LeftOut(_Shape, frozen=True, kw_only=True):
    """An item that fits no model."""

    id: str
    reason: str


class JudgeShape(_Shape, frozen=True, kw_only=True):
    """Who judges by a rubric."""

    name: str
    rubric: dict[str, Any]
    who: str
    identity: dict[str, Any]
    threshold: float | None
    own: tuple[str, ...]


class BenchmarkShape(_Shape, frozen=True, kw_only=True):
    """What is measured by which rules."""

    name: str
    kind: Kind
    scoring: str
    metrics: Annotated[tuple[Metric, ...], Meta(min_length=1)]
    data: dict[str, Digest]
    items: Count
    not_covered: tuple[LeftOut, ...]
    judges: tuple[JudgeShape, ...] = ()


class Absent(_Shape, frozen=True, kw_only=True):
    """A benchmark that was asked for and did not run."""

    benchmark: str
    reason: str


class BaselineShape(_Shape, frozen=True, kw_only=True):
    """Scores of another run."""

    run: Digest
    benchmark: str
    subject: str
    metric: str
    scores: tuple[Annotated[float, Meta(ge=0, le=1)] | Literal["outside"] | None, ...]


class ItemsShape(_Shape, frozen=True, kw_only=True):
    """Of `items.jsonl`."""

    count: Count
    digest: Digest


class PlanShape(_Shape, frozen=True, kw_only=True):
    """`plan.json`."""

    format: int
    name: str
    nonce: str
    seed: int
    unit: Annotated[int, Meta(ge=1)]
    arms: tuple[ArmShape, ...]
    models: tuple[ModelShape, ...]
    benchmarks: tuple[BenchmarkShape, ...]
    absent: tuple[Absent, ...]
    items: ItemsShape
    gates: tuple[dict[str, Any], ...]
    records: Count
    baselines: tuple[BaselineShape, ...] = ()


# --- a record ----------------------------------------------------------------------------------


class PassShape(_Shape, frozen=True, kw_only=True):
    """One generation."""

    prompt: Digest
    text: Digest
    ids: Digest | None


class AnswerShape(_Shape, frozen=True, kw_only=True):
    """What reading saw."""

    text: Digest
    segment: Digest | None
    finish: Finish


class JudgedShape(_Shape, frozen=True, kw_only=True):
    """What one judge was shown and said."""

    judge: str
    of: Count
    asked: Digest
    said: Digest
    raw: float | None
    score: Annotated[float, Meta(ge=0, le=1)] | None
    why: str


class VerdictShape(_Shape, frozen=True, kw_only=True):
    """What one guard said."""

    guard: str
    stage: Stage
    action: Action
    on_error: Action | None = None

    @property
    def effect(self) -> Action:
        """What it led to: an ERROR leads to its guard's `on_error`, or to BLOCK; a WARN to nothing."""
        if self.action is Action.WARN:
            return Action.ALLOW
        if self.action is not Action.ERROR:
            return self.action
        return self.on_error if self.on_error in {Action.ABSTAIN, Action.ALLOW} else Action.BLOCK


class Record(_Shape, frozen=True, kw_only=True):
    """A line of kind `item`."""

    benchmark: str
    item: str
    subject: str
    unit: Count
    digest: Digest
    question: Digest
    passes: tuple[PassShape, ...]
    answer: AnswerShape | None
    likelihoods: list[Any] | None
    attempts: tuple[Action, ...]
    action: Action
    outcome: Outcome | None
    value: Digest | None
    disposition: Disposition
    scores: dict[str, Annotated[float, Meta(ge=0, le=1)] | Literal["outside"] | None]
    mark: Mark
    reason: str
    verdicts: tuple[VerdictShape, ...]
    judged: tuple[JudgedShape, ...] = ()


# --- seal.json ---------------------------------------------------------------------------------


class SealShape(_Shape, frozen=True, kw_only=True):
    """`seal.json`. Its shards are looked at where they are held against what is there."""

    plan: Digest
    status: str
    records: Count
    results: str
    figures: tuple[dict[str, Any], ...]
    gates: tuple[dict[str, Any], ...]
    verdict: str
    started: str
    finished: str
    earlier: tuple[dict[str, Any], ...]
    attempt: Count
    stopped: dict[str, Count] = {}


def shaped(document: Mapping[str, Any], shape: type[T]) -> T:
    """The document, if it has the shape. Raises `BadInput` that says what is wrong where."""
    try:
        return msgspec.convert(document, shape)
    except (msgspec.ValidationError, OverflowError) as error:
        raise BadInput(str(error)) from None
