"""Guards as the pipeline uses them: an operating point around a guard, and a target that never trusts its reply."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from orca_guard.contracts import (
    AskingGuard,
    ClassifierServer,
    GuardFactory,
    GuardSettings,
    Reported,
    Scorer,
    TextGuard,
)
from orca_guard.errors import GuardFailed, ModelFailed, UsageError
from orca_guard.operating import OperatingPoint
from orca_guard.types import Action, Classify, Exhibit, Failure, Judge, Request, Scope, Stage, Verdict

T = TypeVar("T")

TOGETHER = 64
"""Requests that a classifier is handed at once: texts of like length can go into one forward."""

MASK = "[redacted]"
ON_ERROR = frozenset({Action.BLOCK, Action.ABSTAIN, Action.ALLOW})
STAGES = frozenset({"input", "output"})
SCOPES = frozenset({"window", "whole"})
_SEVERITY = (Action.ALLOW, Action.REDACT, Action.REVISE, Action.ABSTAIN, Action.BLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardInPlace:
    """One guard of a pipeline.

    Attributes:
        guard: what judges.
        target: its name for the driver; unique within a pipeline.
        settings: the operating point it was made with.
        on_error: what happens when it cannot judge: BLOCK, ABSTAIN or ALLOW.
        timeout_s: seconds it may take for one step, in one batch; and that a request of it to a classifier may take.
        scorer: digest of what decides its scores, whatever its threshold; empty where nobody looked.
        point: how good it is where it stands; None where that is not known.
    """

    guard: TextGuard | AskingGuard
    target: str
    settings: GuardSettings
    on_error: Action = Action.BLOCK
    timeout_s: float = 10.0
    scorer: str = ""
    point: OperatingPoint | None = None

    def __post_init__(self) -> None:
        """Refuse what would never be asked, or held back too late: nobody would notice.

        Raises:
            GuardFailed: it stands nowhere, or says something that is no stage or no scope.
        """
        stages = frozenset(self.guard.stages)
        if not stages or stages - STAGES:
            told = ", ".join(map(repr, sorted(map(str, stages)))) or "no stage"
            raise GuardFailed(f"guard {self.name!r} stands at {told}; a guard stands at 'input', 'output' or both")
        if self.scope not in SCOPES:
            raise GuardFailed(f"guard {self.name!r} has scope {self.scope!r}; a scope is 'window' or 'whole'")

    @property
    def name(self) -> str:
        """As in the pipeline file."""
        return self.guard.name

    @property
    def scope(self) -> Scope:
        """An asking guard always judges the whole text."""
        return self.guard.scope if isinstance(self.guard, TextGuard) else "whole"

    def sees(self, stage: Stage) -> bool:
        """Whether it is shown texts of this stage."""
        return stage in self.guard.stages

    def sign(self, verdict: Verdict, exhibit: Exhibit) -> Verdict:
        """The verdict with what only the pipeline knows; a guard's own ERROR gets this guard's `on_error`."""
        on_error = self.on_error if verdict.action is Action.ERROR else None
        return replace(verdict, guard=self.name, stage=exhibit.stage, part=exhibit.part, on_error=on_error)

    def failed(self, error: Exception, exhibit: Exhibit) -> Verdict:
        """The verdict of a guard that could not judge."""
        reason = str(error) if isinstance(error, GuardFailed) else f"{type(error).__name__}: {error}"
        return self.sign(Verdict(action=Action.ERROR, reason=reason), exhibit)


@dataclass(frozen=True, slots=True)
class ScorerGuard:
    """The guard that the host makes of a scorer: a score at or above the threshold is a hit."""

    scorer: Scorer
    threshold: float
    action: Action

    @property
    def name(self) -> str:
        """The scorer's."""
        return self.scorer.name

    @property
    def stages(self) -> frozenset[Stage]:
        """The scorer's."""
        return self.scorer.stages

    @property
    def scope(self) -> Scope:
        """The scorer's."""
        return self.scorer.scope

    def judge(self, exhibits: Sequence[Exhibit], /) -> Sequence[Verdict]:
        """A verdict a score."""
        return [self._verdict(score) for score in self.scorer.score(exhibits)]

    def _verdict(self, score: float) -> Verdict:
        if not 0 <= score <= 1:  # nor is it when it is not a number
            raise GuardFailed(f"scorer {self.name!r} gave {score}; a score lies between 0 and 1")
        hit = score >= self.threshold
        return Verdict(
            action=self.action if hit else Action.ALLOW,
            reason=f"scores {score:.3f}, and the limit is {self.threshold:g}" if hit else "",
            score=score,
            threshold=self.threshold,
        )


def from_scorer(scorer: Scorer) -> GuardFactory:
    """How a guard is made of a scorer."""

    def make(settings: GuardSettings) -> ScorerGuard:
        if settings.options:
            raise UsageError(f"guard {scorer.name!r} takes no setting {min(settings.options)!r}")
        threshold = scorer.threshold if settings.threshold is None else settings.threshold
        if not 0 <= threshold <= 1:
            raise UsageError(
                f"guard {scorer.name!r} cannot have the threshold {threshold:g}: its scores lie between 0 and 1. "
                f"To turn it off, say --no-guard {scorer.name}."
            )
        return ScorerGuard(scorer, threshold, settings.action or scorer.action)

    shipped = getattr(scorer, "operating_point", None)
    return GuardFactory(name=scorer.name, summary=scorer.summary, make=make, operating_point=shipped)


class TextGuardTarget:
    """Hands a text guard whole batches and lets nothing through that is not a sound verdict."""

    def __init__(self, place: GuardInPlace, guard: TextGuard) -> None:
        self._place = place
        self._guard = guard

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        """Judge everything that waits in one call; after a fault, one by one, so that it stays with its own text."""
        asked = [request for request in requests if isinstance(request, Judge)]
        try:
            verdicts = self._judge([request.exhibit for request in asked])
        except GuardTimeout as error:
            yield from ((request, self._place.failed(error, request.exhibit)) for request in asked)
        except Exception as error:  # noqa: BLE001  # whatever a guard raises is an ERROR verdict, never a pass
            yield from self._one_by_one(asked, error)
        else:
            yield from zip(asked, verdicts, strict=True)

    def _one_by_one(self, asked: Sequence[Judge], error: Exception) -> Iterator[Reported]:
        if len(asked) == 1:
            yield asked[0], self._place.failed(error, asked[0].exhibit)
            return
        for request in asked:
            yield from self.run([request])

    def _judge(self, exhibits: Sequence[Exhibit]) -> list[Verdict]:
        started = time.perf_counter()
        verdicts = within(self._place.timeout_s, lambda: self._guard.judge(exhibits), of=self._place.name)
        seconds = time.perf_counter() - started
        sound = checked(verdicts, exhibits, guard=self._place.name)
        pairs = zip(sound, exhibits, strict=True)
        return [replace(self._place.sign(verdict, exhibit), seconds=seconds) for verdict, exhibit in pairs]


class ClassifierTarget:
    """Asks a classifier for guards, and gives it for each request the time that a guard has; many share theirs.

    Loading is not counted, where the server can do it beforehand. What has no reply in time has failed, and a guard
    that it was thrown into has not judged. Requests are taken up some at a time: a thread that nobody waits for any
    more must not take others, and while there is one nothing more is asked.
    """

    def __init__(self, server: ClassifierServer, timeout_s: float) -> None:
        self._server = server
        self._timeout_s = timeout_s
        self._busy: threading.Thread | None = None

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        """Every request with a reply or a failure."""
        source = iter(requests)
        while asked := list(islice(source, TOGETHER)):
            waiting, fault = dict.fromkeys(asked), self._loaded(asked)
            if fault is None:
                replies = self._started(asked)
                fault = yield from self._awaited(replies, waiting)
            yield from ((request, Failure(fault)) for request in waiting)

    def _loaded(self, asked: Sequence[Request]) -> Exception | None:
        """Load what is asked, where the server knows how; and what is in the way."""
        if self._busy is not None and self._busy.is_alive():
            return GuardTimeout("the classifier is still at what it was asked before")
        load = getattr(self._server, "load", None)
        try:
            if load is not None:
                for model in dict.fromkeys(request.model for request in asked if isinstance(request, Classify)):
                    load(model)
        except Exception as error:  # noqa: BLE001  # it is the failure of what waits
            return error
        return None

    def _started(self, asked: Sequence[Request]) -> SimpleQueue[Reported | Exception]:
        replies: SimpleQueue[Reported | Exception] = SimpleQueue()

        def work() -> None:
            try:
                for reported in self._server.run(iter(asked)):
                    replies.put(reported)
                replies.put(ModelFailed("the classifier gave no reply"))
            except Exception as error:  # noqa: BLE001  # as above
                replies.put(error)
            except BaseException as error:  # noqa: BLE001  # an exit or a panic too
                replies.put(ModelFailed(f"the classifier raised {type(error).__name__}"))

        self._busy = threading.Thread(target=work, daemon=True, name="guards' classifier")
        self._busy.start()
        return replies

    def _awaited(
        self, replies: SimpleQueue[Reported | Exception], waiting: dict[Request, None]
    ) -> Generator[Reported, None, Exception]:
        """Replies as they come, each taken from what waits; and what becomes of the rest."""
        end = time.monotonic() + self._timeout_s * len(waiting)
        while waiting:
            try:
                reported = replies.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                return GuardTimeout(f"the classifier took longer than {self._timeout_s:g} s for a request")
            if isinstance(reported, Exception):
                return reported
            waiting.pop(reported[0], None)
            yield reported
        return ModelFailed("the classifier gave no reply")


def checked(verdicts: Any, exhibits: Sequence[Exhibit], *, guard: str) -> list[Verdict]:
    """The verdicts, if there is one sound verdict an exhibit.

    Raises:
        GuardFailed: for None, a wrong type or length, an unknown action, a score that is no number,
            a span out of range.
    """
    if not isinstance(verdicts, Sequence) or isinstance(verdicts, str):
        raise GuardFailed(f"guard {guard!r} answered with {type(verdicts).__name__}, not with a list of verdicts")
    if len(verdicts) != len(exhibits):
        raise GuardFailed(f"guard {guard!r} gave {len(verdicts)} verdicts for {len(exhibits)} texts")
    for verdict, exhibit in zip(verdicts, exhibits, strict=True):
        if fault := _fault(verdict, exhibit):
            raise GuardFailed(f"guard {guard!r} {fault}")
    return list(verdicts)


def _marks(spans: Any) -> bool:
    """Whether spans are pairs of characters that can be looked at again: an iterator is empty the second time."""
    return isinstance(spans, tuple | list) and all(
        isinstance(span, tuple | list) and len(span) == 2 and all(type(at) is int for at in span)  # noqa: PLR2004  # a pair
        for span in spans
    )


def _fault(verdict: Any, exhibit: Exhibit) -> str:
    if not isinstance(verdict, Verdict):
        return f"gave {type(verdict).__name__}, not a verdict"
    if not isinstance(verdict.action, Action):
        return f"wants {verdict.action!r}, which is no action"
    for number in (verdict.score, verdict.threshold):
        if number is not None and not (isinstance(number, int | float) and math.isfinite(number)):
            return f"gave {number!r} where a finite number belongs"
    return _span_fault(verdict, exhibit)


def _span_fault(verdict: Verdict, exhibit: Exhibit) -> str:
    if not _marks(verdict.spans):
        return f"gave spans of type {type(verdict.spans).__name__}, not pairs of whole numbers"
    if verdict.action is Action.REDACT and not verdict.spans:
        return "wants to redact and says not where"
    if any(not 0 <= start < end <= len(exhibit.text) for start, end in verdict.spans):
        return "marks characters that the text does not have"
    return ""


class GuardTimeout(GuardFailed):
    """A guard took longer than it may."""


def within(seconds: float, call: Callable[[], T], *, of: str) -> T:
    """What `call` returns, or `GuardTimeout`.

    The thread is a daemon: one that never ends cannot keep the process alive. A call that holds the interpreter lock
    cannot be timed out from inside its own process at all.
    """
    box: list[tuple[T | None, BaseException | None]] = []
    done = threading.Event()

    def work() -> None:
        try:
            box.append((call(), None))
        except BaseException as error:  # noqa: BLE001  # it is raised again in the thread that waits
            box.append((None, error))
        done.set()

    threading.Thread(target=work, daemon=True, name=f"guard {of}").start()
    if not done.wait(seconds):
        raise GuardTimeout(f"guard {of!r} took longer than {seconds:g} s")
    value, error = box[0]
    if isinstance(error, Exception):
        raise error
    if error is not None:
        raise GuardFailed(f"guard {of!r} raised {type(error).__name__}") from error
    return value  # type: ignore[return-value]  # no error, so it is the call's own T


def decide(verdicts: Iterable[Verdict]) -> Action:
    """The most severe of what the verdicts lead to. An ERROR counts as its guard's `on_error`, or as BLOCK."""
    return max((effect(verdict) for verdict in verdicts), key=_SEVERITY.index, default=Action.ALLOW)


def effect(verdict: Verdict) -> Action:
    """What one verdict leads to: a WARN lets the text through."""
    if verdict.action is Action.WARN:
        return Action.ALLOW
    if verdict.action is not Action.ERROR:
        return verdict.action
    return verdict.on_error if verdict.on_error in ON_ERROR and verdict.on_error else Action.BLOCK


def redact(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text with spans masked; spans that touch become one mask."""
    out, at = [], 0
    for start, end in _merged(spans):
        out += [text[at:start], MASK]
        at = end
    return "".join((*out, text[at:]))


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
