"""One question under way: from input guards over strategies to output guards, as a generator of requests."""

from __future__ import annotations

import time
from collections.abc import Container, Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from orca_guard.binding import through
from orca_guard.contracts import AskingGuard, Strategy, TextGuard
from orca_guard.errors import BadInput, BudgetExhausted, ExitCode, ModelFailed, OrcaGuardError, PluginFailed
from orca_guard.exhibits import redacted_question, redacted_segment, shown, written
from orca_guard.forms import UNRECOGNISED, describe
from orca_guard.guards import GuardInPlace, checked, decide, effect, within
from orca_guard.identity import derive_seed, digest_of
from orca_guard.reading import read
from orca_guard.types import (
    Action,
    Answer,
    Attempt,
    Classify,
    Exhibit,
    Generate,
    Generation,
    Judge,
    Message,
    Outcome,
    Partial,
    Pass,
    Question,
    Replies,
    Request,
    Requests,
    Segment,
    Stage,
    Verdict,
)

if TYPE_CHECKING:
    from orca_guard.pipeline import Pipeline

WITHHELD = "[withheld]"

CLASSIFIERS = "guards' classifiers"
"""The driver's name for what answers `Classify` requests of strategies."""


def classifiers_within(seconds: float) -> str:
    """The driver's name for what answers those of guards, each within so many seconds."""
    return f"{CLASSIFIERS} within {seconds:g} s"


class Case:
    """One question under way: its budget, its trace, its verdicts.

    The clock starts with the first step, not while the question waits for its turn.
    """

    def __init__(self, pipeline: Pipeline, question: Question, *, stream: bool = False) -> None:
        self._pipeline = pipeline
        self._question = question
        self._stream = stream
        self._started = 0.0
        self._tokens_left = pipeline.limits.new_tokens
        self._strategy = ""
        self._passes: list[Pass] = []
        self._starts: list[int] = []
        self._clear: set[int] = set()
        self._verdicts: list[Verdict] = []
        self._attempts: list[Attempt] = []
        self._examining = False

    @property
    def examining(self) -> bool:
        """Whether what it asks for now is a guard's, and not a strategy's."""
        return self._examining

    @property
    def passes(self) -> tuple[Pass, ...]:
        """Every generation so far, whatever guards make of it: for evidence, never for the person who asked."""
        return tuple(self._passes)

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every strategy tried so far, likewise."""
        return tuple(self._attempts)

    def solve(self) -> Generator[Requests, Replies, Answer]:
        """From question to answer; a deliberate error becomes an answer that says so."""
        self._started = time.monotonic()
        try:
            return (yield from self._solve())
        except OrcaGuardError as error:
            return self._answer(Action.ERROR, error=str(error), error_code=error.exit_code)

    def _solve(self) -> Generator[Requests, Replies, Answer]:
        _check(self._question)
        verdicts = yield from self._judged(shown(self._question), "input")
        match decide(verdicts):
            case Action.ALLOW:
                pass
            case Action.REDACT:
                self._question = redacted_question(self._question, verdicts)
            case _:
                return self.withhold(())
        while (name := self._choose()) is not None:
            attempt = yield from self._attempt(name)
            if attempt.action in {Action.ALLOW, Action.REDACT}:
                return self._answered(attempt)
            if not self._may_retry(attempt):
                return self.withhold(())
        if self._attempts:
            return self.withhold(())
        return self._answer(Action.ABSTAIN, reason="the selector picked no strategy")

    def withhold(self, verdicts: Iterable[Verdict]) -> Answer:
        """The answer that guards did not let through; `verdicts` are added to those already given."""
        self._verdicts += verdicts
        stopped = [verdict for verdict in self._verdicts if effect(verdict) not in {Action.ALLOW, Action.REDACT}]
        action = Action.BLOCK if decide(stopped) is Action.BLOCK else Action.ABSTAIN
        broken = next((v for v in stopped if v.action is Action.ERROR), None)
        return self._answer(
            action,
            reason="; ".join(dict.fromkeys(f"{v.guard}: {v.reason or v.action}" for v in stopped)),
            error=f"guard {broken.guard!r} could not judge: {broken.reason}" if broken else "",
            error_code=ExitCode.INCONCLUSIVE if broken else ExitCode.DONE,
        )

    def cut(self, request: Request, so_far: Partial) -> None:
        """Take note of a generation that is given up halfway."""
        written = Generation(
            text=so_far.text, prompt_tokens=so_far.prompt_tokens, new_tokens=so_far.new_tokens, finish="length"
        )
        self._record(self._strategy, request, written)

    # --- strategies ----------------------------------------------------------------------------

    def _choose(self) -> str | None:
        selector = self._pipeline.selector
        try:
            name = selector.choose(self._question, tuple(self._attempts))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise PluginFailed(f"selector {selector.name!r} failed: {type(error).__name__}: {error}") from error
        if name is not None and name not in self._pipeline.strategies:
            raise PluginFailed(f"selector {selector.name!r} picked {name!r}, which this pipeline does not have")
        return name

    def _may_retry(self, attempt: Attempt) -> bool:
        """A guard that could not judge will not judge better next time."""
        broken = any(verdict.action is Action.ERROR for verdict in attempt.verdicts)
        return self._pipeline.selector.escalates and not broken and len(self._attempts) <= self._pipeline.limits.retries

    def _attempt(self, name: str) -> Generator[Requests, Replies, Attempt]:
        strategy = self._pipeline.strategies[name]
        self._strategy = name
        self._starts.append(len(self._passes))
        segment = yield from self._segment(strategy)
        if segment.finish == "deadline":
            raise BudgetExhausted(f"the deadline of {self._pipeline.limits.deadline_s:g} s cut the answer off")
        verdicts = yield from self._judged(written(segment, self._question), "output")
        attempt = Attempt(strategy=name, segment=segment, action=decide(verdicts), verdicts=tuple(verdicts))
        self._attempts.append(attempt)
        if attempt.action is Action.ALLOW:
            yield from self._clear_trace(segment)
        return attempt

    def _clear_trace(self, segment: Segment) -> Generator[Requests, Replies, None]:
        """Find out which passes of an attempt that was let through may stand in the trace.

        The guards have judged what the last pass wrote. What earlier ones wrote is judged here; it decides nothing but
        the trace. Guards that ask a model are not asked again: where there is one, earlier passes stay withheld.
        """
        passes = range(self._starts[-1], len(self._passes))
        texts = {n: self._passes[n].generation.text for n in passes}
        drafts = [n for n in passes if texts[n] != segment.text]
        self._clear |= {n for n in passes if n not in drafts}
        places = [place for place in self._pipeline.guards if place.sees("output")]
        guards = [place for place in places if isinstance(place.guard, TextGuard)]
        if not drafts or len(guards) < len(places):
            self._clear |= set() if places else set(drafts)
            return
        exhibits = [Exhibit(text=texts[n], stage="output", part="pass", question=self._question) for n in drafts]
        verdicts = yield from _verdicts(guards, exhibits)
        for at, n in enumerate(drafts):
            if all(effect(verdict) is Action.ALLOW for verdict in verdicts[at :: len(drafts)]):
                self._clear.add(n)

    def _segment(self, strategy: Strategy) -> Generator[Requests, Replies, Segment]:
        bind, record = partial(self._bound, strategy=strategy), partial(self._record, strategy.name)
        try:
            segment = yield from through(strategy.answer(self._question), bind, record, tick=self._tick)
        except (OrcaGuardError, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # an exit or a panic in a strategy costs one question, not the run
            raise PluginFailed(f"strategy {strategy.name!r} failed: {type(error).__name__}: {error}") from error
        if not isinstance(segment, Segment):
            raise PluginFailed(f"strategy {strategy.name!r} returned {type(segment).__name__}, not a segment")
        return segment

    def _record(self, strategy: str, request: Request, reply: Any) -> None:
        if isinstance(request, Generate) and isinstance(reply, Generation):
            self._settle(request, reply)
            self._passes.append(Pass(name=request.name, strategy=strategy, messages=request.messages, generation=reply))

    def _settle(self, request: Request, reply: Any) -> None:
        """Give back the tokens that were set aside and not used."""
        if isinstance(request, Generate) and isinstance(reply, Generation):
            self._tokens_left += (request.max_new_tokens or 0) - reply.new_tokens

    # --- requests ------------------------------------------------------------------------------

    def _bound(self, request: Request, *, strategy: Strategy | None = None, classifiers: str = CLASSIFIERS) -> Request:
        """The request with everything that only the pipeline knows."""
        if isinstance(request, Classify) and self._pipeline.classifiers is not None:
            return replace(request, target=request.target or classifiers)
        if type(request) not in self._pipeline.model.requests:
            if not isinstance(request, Request):  # whoever asked is at fault, and not the model
                raise TypeError(f"it asked with {type(request).__name__}, which is no request")
            raise ModelFailed(f"model {self._pipeline.model.name!r} does not answer {type(request).__name__} requests")
        if not isinstance(request, Generate):
            return replace(request, target=request.target or self._pipeline.target)
        decoding = self._pipeline.decoding
        if request.temperature is not None:
            decoding = replace(decoding, temperature=request.temperature)
        return replace(
            request,
            target=request.target or self._pipeline.target,
            messages=request.messages if request.raw else self._with_system(request.messages, strategy),
            max_new_tokens=self._reserved(request.max_new_tokens or decoding.max_new_tokens),
            stop=(*decoding.stop, *request.stop),
            decoding=decoding,
            seed=derive_seed(decoding.seed, self._item, request.name, request.sample),
            deadline=self._deadline,
            stream=self._stream and request.final and strategy is not None,
        )

    def _tick(self) -> None:
        if time.monotonic() >= self._deadline:
            raise BudgetExhausted(f"the deadline of {self._pipeline.limits.deadline_s:g} s has passed")

    @property
    def _deadline(self) -> float:
        return self._started + self._pipeline.limits.deadline_s

    @property
    def _item(self) -> str:
        """What an item's seeds hang on: its id, or what it says."""
        return self._question.id or digest_of(asdict(self._question))

    def _reserved(self, wanted: int) -> int:
        """Tokens set aside for one generation; what it does not use is given back when it is recorded."""
        granted = min(wanted, self._tokens_left)
        if granted <= 0:
            raise BudgetExhausted(f"the budget of {self._pipeline.limits.new_tokens} new tokens is used up")
        self._tokens_left -= granted
        return granted

    def _with_system(self, messages: tuple[Message, ...], strategy: Strategy | None) -> tuple[Message, ...]:
        if strategy is None:
            return messages
        given = next((m.content for m in messages if m.role == "system"), None)
        turns = tuple(m for m in messages if m.role != "system")
        system = self._pipeline.system_of(strategy, given=given)
        return (Message("system", system), *turns) if system else turns

    # --- guards --------------------------------------------------------------------------------

    def verdict(self, place: GuardInPlace, exhibit: Exhibit) -> Generator[Requests, Replies, Verdict]:
        """What one guard says of one exhibit, with nothing else of the pipeline taking part."""
        self._started = time.monotonic()
        if isinstance(place.guard, TextGuard):
            [verdict] = yield from _verdicts([place], [exhibit])
            return verdict
        return (yield from self._examined(place, place.guard, exhibit))

    def _judged(self, exhibits: Sequence[Exhibit], stage: Stage) -> Generator[Requests, Replies, list[Verdict]]:
        """Every guard of this stage on every exhibit; asking guards only when the others have not stopped it."""
        places = [place for place in self._pipeline.guards if place.sees(stage)]
        texts = [place for place in places if isinstance(place.guard, TextGuard)]
        verdicts = yield from _verdicts(texts, exhibits)
        for place in places:
            if isinstance(place.guard, AskingGuard) and not isinstance(place.guard, TextGuard):
                if decide(verdicts) not in {Action.ALLOW, Action.REDACT}:
                    break
                for exhibit in exhibits:
                    verdicts.append((yield from self._examined(place, place.guard, exhibit)))
        self._verdicts += verdicts
        return verdicts

    def _examined(
        self, place: GuardInPlace, guard: AskingGuard, exhibit: Exhibit
    ) -> Generator[Requests, Replies, Verdict]:
        started = time.perf_counter()
        self._examining = True
        try:
            asking = within(place.timeout_s, lambda: guard.examine(exhibit), of=place.name)
            bind = partial(self._bound, classifiers=classifiers_within(place.timeout_s))
            verdict = yield from through(
                asking, bind, self._settle, tick=self._tick, timeout=place.timeout_s, of=place.name
            )
            sound = checked([verdict], [exhibit], guard=place.name)[0]
        except Exception as error:  # noqa: BLE001  # whatever a guard raises is an ERROR verdict, never a pass
            return place.failed(error, exhibit)
        finally:
            self._examining = False
        return replace(place.sign(sound, exhibit), seconds=time.perf_counter() - started)

    # --- answers -------------------------------------------------------------------------------

    def _answered(self, attempt: Attempt) -> Answer:
        seen = redacted_segment(attempt) if attempt.action is Action.REDACT else attempt.segment
        reading = read(seen, self._question.form, choices=self._question.choices)
        if reading.outcome is Outcome.EMPTY:
            return self._answer(Action.ABSTAIN, reason="the model wrote nothing", outcome=Outcome.EMPTY)
        hits = [f"{v.guard}: {v.reason or v.action}" for v in attempt.verdicts if v.action is Action.REDACT]
        return self._answer(
            attempt.action,
            final=(seen.answer or "").strip() or seen.text.strip(),
            text=seen.text.strip(),
            segment=seen,
            outcome=reading.outcome,
            value=reading.value,
            form=self._form(attempt),
            reason="; ".join(hits),
        )

    def _trace(self, clear: Container[int]) -> Iterator[Pass]:
        """Every pass, without the text of those that are not clear, and without prompts that may quote them."""
        quotes = False
        for n, step in enumerate(self._passes):
            quotes = quotes and n not in self._starts
            yield _withheld(step, text=n not in clear, prompt=quotes)
            quotes = quotes or n not in clear

    def _form(self, attempt: Attempt) -> str:
        if not self._pipeline.strategies[attempt.strategy].chooses_inside_model:
            return ""
        forms = self._pipeline.forms
        if forms is None:
            return describe(UNRECOGNISED)
        return forms.describe(attempt.segment.text, model=self._pipeline.model.identity)

    def _answer(self, action: Action, **fields: Any) -> Answer:
        return Answer(
            id=self._question.id,
            action=action,
            strategy=self._strategy,
            verdicts=tuple(self._verdicts),
            passes=tuple(self._trace(self._clear if action is Action.ALLOW else set())),
            tokens=(
                sum(p.generation.prompt_tokens for p in self._passes),
                sum(p.generation.new_tokens for p in self._passes),
            ),
            seconds=time.monotonic() - self._started,
            pipeline=self._pipeline.digest,
            warnings=(*self._pipeline.warnings, *_allowed_errors(self._verdicts), *_warned(self._verdicts)),
            **fields,
        )


def _withheld(step: Pass, *, text: bool, prompt: bool) -> Pass:
    """A pass without what it wrote, or without what it was asked, or both."""
    generation = replace(step.generation, text=WITHHELD) if text else step.generation
    if not prompt:
        return replace(step, generation=generation)
    return replace(step, messages=(), generation=replace(generation, prompt=WITHHELD))


def _verdicts(
    places: Sequence[GuardInPlace], exhibits: Sequence[Exhibit]
) -> Generator[Requests, Replies, list[Verdict]]:
    """The verdicts of text guards, all asked at once."""
    pairs = [(place, exhibit) for place in places for exhibit in exhibits]
    try:
        replies = yield tuple(Judge(exhibit=exhibit, target=place.target) for place, exhibit in pairs)
    except Exception as error:  # noqa: BLE001  # no verdict is no pass
        return [place.failed(error, exhibit) for place, exhibit in pairs]
    verdicts = replies if isinstance(replies, tuple) else (replies,)
    return [
        verdict if isinstance(verdict, Verdict) else place.failed(ModelFailed("no verdict came back"), exhibit)
        for verdict, (place, exhibit) in zip(verdicts, pairs, strict=True)
    ]


def _check(question: Question) -> None:
    if not question.messages or question.messages[-1].role != "user":
        raise BadInput("a question ends with a turn of the user")
    if not question.prompt.strip():
        raise BadInput("the prompt is empty")
    if any(message.role == "system" for message in question.messages[1:]):
        raise BadInput("a conversation has one system turn at most, and it comes first; put all of it there")
    if len(question.choices) > len(ascii_uppercase):
        raise BadInput(f"there are {len(question.choices)} choices, and letters for {len(ascii_uppercase)}")


def _allowed_errors(verdicts: Iterable[Verdict]) -> list[str]:
    allowed = (v for v in verdicts if v.action is Action.ERROR and v.on_error is Action.ALLOW)
    return list(dict.fromkeys(f"guard {v.guard!r} could not judge and was passed over: {v.reason}" for v in allowed))


def _warned(verdicts: Iterable[Verdict]) -> list[str]:
    """What guards warn of, whatever became of the answer."""
    warning = (v for v in verdicts if v.action is Action.WARN)
    return list(dict.fromkeys(f"guard {v.guard!r} warns of the {v.part}: {v.reason or 'a hit'}" for v in warning))
