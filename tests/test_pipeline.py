"""One question, start to finish, with a scripted model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.case import WITHHELD
from orca_guard.errors import BadInput
from orca_guard.passes import ask, one_pass, segment
from orca_guard.pipeline import Limits, Pipeline
from orca_guard.streaming import HOLD, STEP, Gate
from orca_guard.testing import ScriptedModel, pipeline_of
from orca_guard.testing.scripted import InTurn, Plain
from orca_guard.types import (
    Action,
    Answer,
    Decoding,
    Document,
    Exhibit,
    Generate,
    Generation,
    ItemRecorded,
    Message,
    Outcome,
    Question,
    RunFinished,
    RunStarted,
    Scope,
    Segment,
    Stage,
    Verdict,
)


@dataclass
class Reads:
    """A text guard made of a function."""

    rule: Callable[[Exhibit], Any]
    name: str = "reads"
    stages: frozenset[Stage] = frozenset({"output"})
    scope: Scope = "window"

    def judge(self, exhibits: Sequence[Exhibit], /) -> Any:
        return [self.rule(exhibit) for exhibit in exhibits]


@dataclass
class Raw(Reads):
    """A text guard whose whole reply is made of a function."""

    def judge(self, exhibits: Sequence[Exhibit], /) -> Any:
        return self.rule(exhibits)  # type: ignore[arg-type]


ALLOW = Verdict(action=Action.ALLOW)


@dataclass(frozen=True)
class Marked(Plain):
    """Looks for a marked answer."""

    def answer(self, question: Question, /) -> Any:
        return one_pass(replace(question, form="number"), marked=True)


@dataclass
class Asks:
    """An asking guard: blocks when the model says yes."""

    name: str = "asks"
    stages: frozenset[Stage] = frozenset({"output"})
    body: Callable[[Exhibit], Generator[Any, Any, Any]] | None = None

    def examine(self, exhibit: Exhibit, /) -> Any:
        return (self.body or self._ask)(exhibit)

    def _ask(self, exhibit: Exhibit) -> Generator[Any, Any, Verdict]:
        reply = yield from ask(Generate(messages=(Message("user", f"Is this bad? {exhibit.text}"),), name="judge"))
        return Verdict(action=Action.BLOCK if reply.text == "yes" else Action.ALLOW)


def stops(word: str, action: Action = Action.BLOCK, **fields: Any) -> Reads:
    return Reads(lambda e: Verdict(action=action if word in e.text else Action.ALLOW, reason="found it"), **fields)


def says(text: str) -> ScriptedModel:
    return ScriptedModel(script=lambda _: text)


# --- the plain way -----------------------------------------------------------------------------


def test_an_answer_carries_its_whole_story() -> None:
    pipeline = pipeline_of(says("Paris"), guards=[stops("x")], digest="sha256:0", warnings=("careful",))
    answer = pipeline.ask(Question.of("Where?", id="q1"))
    assert (answer.id, answer.action, answer.final, answer.outcome) == ("q1", Action.ALLOW, "Paris", Outcome.EXTRACTED)
    assert answer.answered
    assert answer.exit_code == 0
    assert [v.guard for v in answer.verdicts] == ["reads"]
    assert (answer.pipeline, answer.warnings) == ("sha256:0", ("careful",))
    assert answer.tokens == (1, 1)
    assert answer.passes[0].generation.prompt == "user: Where?"


def test_system_messages_in_their_order() -> None:
    """The operator's, then the conversation's own, then the profile's, then the strategy's, then the default."""
    turns = (Message("system", "given"), Message("user", "?"))
    own = Plain(system="own")

    def system(question: Question, *, strategy: Plain = own, profile: dict[str, str] | None = None, **f: Any) -> str:
        model = ScriptedModel(system_messages=profile or {})
        pipeline_of(model, strategies=[strategy], **f).ask(question)
        first = model.asked[0].messages[0]
        return first.content if first.role == "system" else ""

    bare = Question.of("?")
    assert system(Question(messages=turns), system="operator", profile={"plain": "worded"}) == "operator"
    assert system(Question(messages=turns), profile={"plain": "worded"}) == "given"
    assert system(bare, profile={"plain": "worded", "default": "default"}) == "worded"
    assert system(bare, profile={"default": "default"}) == "own"
    assert system(bare, strategy=Plain(), profile={"default": "default"}) == "default"
    assert system(bare, strategy=Plain()) == ""
    assert system(bare, system="") == ""


def test_seeds_hang_on_run_item_pass_and_sample_only() -> None:
    def seed(run: int, prompt: str, **fields: Any) -> int:
        model = ScriptedModel()
        pipeline_of(model, decoding=Decoding(seed=run), **fields).ask(prompt)
        return model.asked[0].seed

    assert seed(1, "a") == seed(1, "a", system="other arm")
    assert len({seed(1, "a"), seed(2, "a"), seed(1, "b")}) == 3


def test_a_batch_answers_every_question_and_equals_single_questions() -> None:
    pipeline = pipeline_of(guards=[stops("7")])
    questions = [Question.of(f"number {n}", id=str(n)) for n in range(30)]
    batch = {question.id: replace(answer, seconds=0) for question, answer in pipeline.batch(questions, width=7)}
    assert batch == {q.id: replace(pipeline.ask(q), seconds=0) for q in questions}
    assert {i for i, a in batch.items() if a.action is Action.BLOCK} == {"7", "17", "27"}


def test_texts_are_questions_everywhere() -> None:
    pipeline = pipeline_of()
    assert {answer.final for _, answer in pipeline.batch(["a", Question.of("b")])} == {"echo: a", "echo: b"}
    *_, answer = pipeline.stream("a")
    assert isinstance(answer, Answer)
    assert answer.final == "echo: a"


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        ((5,), "not 5"),
        ((None,), "not None"),
        ((b"x",), "not b'x'"),
        (("x", ["a"]), r"not \['a'\]"),
        ((Question.of("x"), "a document"), "documents of a Question are in it"),
    ],
)
def test_what_is_no_question_is_refused_at_the_door(asked: Any, match: str) -> None:
    model = ScriptedModel()
    pipeline = pipeline_of(model)
    with pytest.raises(BadInput, match=match):
        pipeline.ask(*asked)
    if len(asked) == 1:
        with pytest.raises(BadInput, match=match):
            list(pipeline.batch(asked))
        with pytest.raises(BadInput, match=match):
            list(pipeline.stream(asked[0]))
    assert not model.asked


def test_32_callers_do_not_disturb_each_other() -> None:
    pipeline = pipeline_of(guards=[stops("13"), Asks()])
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda n: pipeline.ask(f"number {n}"), range(200)))
    for n, answer in enumerate(answers):
        assert answer.action is (Action.BLOCK if "13" in str(n) else Action.ALLOW)
        assert not answer.answered or answer.final == f"echo: number {n}"


def test_observers_are_told_in_order_and_cannot_stop_a_run() -> None:
    events: list[Any] = []

    def tell(event: Any) -> list[str]:
        events.append(event)
        return ["an observer failed"]

    pipeline_of(tell=tell).ask("a")
    assert [type(event) for event in events] == [RunStarted, ItemRecorded, RunFinished]
    assert events[-1].actions == {"allow": 1}
    assert not events[-1].interrupted


# --- guards ------------------------------------------------------------------------------------


def test_a_blocked_question_never_reaches_the_model() -> None:
    model = ScriptedModel()
    answer = pipeline_of(model, guards=[stops("bomb", stages=frozenset({"input"}))]).ask("a bomb")
    assert (answer.action, answer.final, answer.text, answer.exit_code) == (Action.BLOCK, "", "", 1)
    assert answer.reason == "reads: found it"
    assert not model.asked


@pytest.mark.parametrize("part", ["system", "user", "assistant", "document", "choice"])
def test_every_part_of_a_question_is_judged(part: str) -> None:
    guard = Reads(
        lambda e: Verdict(action=Action.BLOCK if e.part == part and e.text == "X" else Action.ALLOW),
        stages=frozenset({"input"}),
    )
    texts = {name: "X" if name == part else "fine" for name in ("system", "user", "assistant", "document", "choice")}
    question = Question(
        messages=(
            Message("system", texts["system"]),
            Message("user", texts["user"]),
            Message("assistant", texts["assistant"]),
            Message("user", "and now?"),
        ),
        documents=(Document(texts["document"]),),
        choices=(texts["choice"], "other"),
    )
    assert pipeline_of(guards=[guard]).ask(question).action is Action.BLOCK


def test_a_blocked_answer_leaves_no_word_of_the_model() -> None:
    @dataclass(frozen=True)
    class Twice(Plain):
        def answer(self, question: Question, /) -> Any:
            first = yield from ask(Generate(messages=question.messages, name="draft", final=False))
            last = yield from ask(Generate(messages=(Message("user", f"Rate: {first.text}"),), name="answer"))
            return Segment(text=last.text, answer=last.text)

    answer = pipeline_of(says("the secret"), strategies=[Twice()], guards=[stops("secret")]).ask("tell me")
    assert answer.action is Action.BLOCK
    assert "secret" not in repr(replace(answer, verdicts=()))
    assert answer.passes[0].generation.prompt == "user: tell me"


@pytest.mark.parametrize(
    ("action", "becomes"),
    [(Action.BLOCK, Action.BLOCK), (Action.ABSTAIN, Action.ABSTAIN), (Action.REVISE, Action.ABSTAIN)],
)
def test_what_a_hit_becomes_without_another_strategy(action: Action, becomes: Action) -> None:
    answer = pipeline_of(says("bad"), guards=[stops("bad", action)]).ask("?")
    assert (answer.action, answer.exit_code, answer.error) == (becomes, 1, "")


def redacts(word: str, stage: Stage) -> Reads:
    def rule(exhibit: Exhibit) -> Verdict:
        at = exhibit.text.find(word)
        if at < 0:
            return Verdict(action=Action.ALLOW)
        return Verdict(action=Action.REDACT, spans=((at, at + len(word)),), reason="a name")

    return Reads(rule, stages=frozenset({stage}))


def test_redacted_answers() -> None:
    marked = Plain()
    answer = pipeline_of(
        says("It was Bob.\nAnswer: Bob Smith"), strategies=[marked], guards=[redacts("Bob S", "output")]
    )
    got = answer.ask("who?")
    assert got.action is Action.REDACT
    assert got.text == "It was Bob.\nAnswer: [redacted]mith"
    assert got.final == "[redacted]mith"
    assert got.value == "[redacted]mith"
    assert "Bob Smith" not in repr(replace(got, verdicts=()))
    assert got.exit_code == 0


def test_redacted_questions() -> None:
    model = ScriptedModel()
    question = Question(messages=(Message("user", "I am Bob"),), documents=(Document("Bob wrote"), Document("none")))
    answer = pipeline_of(model, guards=[redacts("Bob", "input")]).ask(question)
    assert answer.answered
    assert "Bob" not in model.asked[0].messages[-1].content
    assert model.asked[0].messages[-1].content.count("[redacted]") == 2


def test_an_asking_guard_asks_the_model_and_is_no_pass() -> None:
    model = ScriptedModel(script=lambda r: "yes" if "Is this bad?" in r.messages[-1].content else "hm")
    answer = pipeline_of(model, guards=[Asks()]).ask("?")
    assert answer.action is Action.BLOCK
    assert [r.name for r in model.asked] == ["answer", "judge"]
    assert len(answer.passes) == 1


def test_an_asking_guard_is_not_asked_about_what_is_already_stopped() -> None:
    model = says("bad")
    pipeline_of(model, guards=[Asks(), stops("bad")]).ask("?")
    assert len(model.asked) == 1


async def _never_awaited(exhibits: Any) -> Any:
    return [Verdict(action=Action.ALLOW) for _ in exhibits]


def _raise(error: BaseException) -> Any:
    raise error


def _coroutine(exhibits: Any) -> Any:
    coroutine = _never_awaited(exhibits)
    coroutine.close()
    return coroutine


WRONG: dict[str, Callable[[Any], Any]] = {
    "None": lambda _: None,
    "too few": lambda _: [],
    "too many": lambda es: [Verdict(action=Action.ALLOW)] * (len(es) + 1),
    "a string": lambda _: "allow",
    "True": lambda _: True,
    "a list of None": lambda es: [None] * len(es),
    "bare actions": lambda es: [Action.ALLOW] * len(es),
    "an action that is none": lambda es: [Verdict(action="allowed")] * len(es),  # type: ignore[arg-type]
    "None for an action": lambda es: [Verdict(action=None)] * len(es),  # type: ignore[arg-type]
    "NaN": lambda es: [Verdict(action=Action.ALLOW, score=float("nan"))] * len(es),
    "a threshold that is text": lambda es: [Verdict(action=Action.ALLOW, threshold="0")] * len(es),  # type: ignore[arg-type]
    "redacts nowhere": lambda es: [Verdict(action=Action.REDACT)] * len(es),
    "spans that are gone when looked at again": lambda es: [
        Verdict(action=Action.REDACT, spans=(span for span in [(0, 1)]))  # type: ignore[arg-type]
        for _ in es
    ],
    "spans between characters": lambda es: [Verdict(action=Action.REDACT, spans=((0.0, 1.0),))] * len(es),  # type: ignore[arg-type]
    "spans of one end": lambda es: [Verdict(action=Action.REDACT, spans=((0,),))] * len(es),  # type: ignore[arg-type]
    "redacts outside": lambda es: [Verdict(action=Action.REDACT, spans=((0, 10_000),))] * len(es),
    "a coroutine": _coroutine,
    "a generator": lambda es: (Verdict(action=Action.ALLOW) for _ in es),
    "a dictionary": lambda es: {"action": "allow"},
    "raises": lambda _: _raise(ValueError("broken")),
    "asserts": lambda _: _raise(AssertionError()),
    "exits": lambda _: _raise(SystemExit(0)),
    "is interrupted": lambda _: _raise(KeyboardInterrupt()),
    "stops iterating": lambda _: _raise(StopIteration()),
    "recurses": lambda _: _raise(RecursionError("deep")),
    "is cancelled": lambda _: _raise(asyncio.CancelledError()),
    "too slow": lambda _: time.sleep(1),
    "ERROR itself": lambda es: [Verdict(action=Action.ERROR, reason="cannot")] * len(es),
    "ERROR that allows itself": lambda es: [Verdict(action=Action.ERROR, on_error=Action.ALLOW)] * len(es),
}


def broken(wrong: str, stage: Stage, *, asking: bool) -> Any:
    stages: frozenset[Stage] = frozenset({stage})
    if not asking:
        return Raw(WRONG[wrong], stages=stages, name="broken")

    def body(exhibit: Exhibit) -> Generator[Any, Any, Any]:
        yield from ()
        reply = WRONG[wrong]([exhibit])
        return reply[0] if isinstance(reply, list) and len(reply) == 1 else reply

    return Asks(body=body, stages=stages, name="broken")


@pytest.mark.parametrize("asking", [False, True])
@pytest.mark.parametrize("stage", ["input", "output"])
@pytest.mark.parametrize("wrong", WRONG)
def test_nothing_a_guard_does_wrong_can_allow(wrong: str, stage: Stage, *, asking: bool) -> None:
    guard = broken(wrong, stage, asking=asking)
    pipeline = pipeline_of(says("hi"), guards=[guard], timeout_s=0.1)
    single = pipeline.ask("hello")
    batch = [answer for _, answer in pipeline.batch([Question.of("a"), Question.of("b")])]
    streamed = list(pipeline.stream(Question.of("hello")))
    for answer in (single, *batch, streamed[-1]):
        assert isinstance(answer, Answer)
        assert (answer.action, answer.final, answer.text) == (Action.BLOCK, "", ""), wrong
        assert answer.exit_code == 3
        assert any(v.action is Action.ERROR and v.on_error is Action.BLOCK for v in answer.verdicts)
    assert len(streamed) == 1, "nothing is shown before the answer"


@given(
    wrongs=st.lists(st.sampled_from(sorted(set(WRONG) - {"too slow"})), min_size=1, max_size=3),
    soundness=st.lists(st.sampled_from(list(Action)), max_size=3),
    asking=st.booleans(),
)
def test_no_mixture_of_guards_allows_what_a_broken_one_did_not(
    wrongs: list[str], soundness: list[Action], *, asking: bool
) -> None:
    sound = [
        Reads(lambda _, a=action: Verdict(action=a, spans=((0, 1),)), name=f"sound{n}")  # type: ignore[misc]
        for n, action in enumerate(soundness)
    ]
    guards = [*sound, *(broken(wrong, "output", asking=asking) for wrong in wrongs)]
    answer = pipeline_of(says("hi"), guards=guards).ask("hello")
    assert answer.action in {Action.BLOCK, Action.ABSTAIN}
    assert not answer.final


@pytest.mark.parametrize("stage", ["input", "output"])
def test_on_error_allow_stays_visible(stage: Stage) -> None:
    answer = pipeline_of(says("hi"), guards=[broken("raises", stage, asking=False)], on_error=Action.ALLOW).ask("a")
    assert (answer.action, answer.final, answer.exit_code) == (Action.ALLOW, "hi", 0)
    assert answer.verdicts[0].on_error is Action.ALLOW
    assert "could not judge and was passed over: ValueError: broken" in answer.warnings[0]


def test_on_error_abstain() -> None:
    answer = pipeline_of(says("hi"), guards=[broken("None", "output", asking=False)], on_error=Action.ABSTAIN).ask("a")
    assert (answer.action, answer.final, answer.exit_code) == (Action.ABSTAIN, "", 3)


def test_a_fault_stays_with_the_text_that_caused_it() -> None:
    def rule(exhibit: Exhibit) -> Verdict:
        if "3" in exhibit.text:
            raise ValueError("no threes")
        return Verdict(action=Action.ALLOW)

    answers = dict(pipeline_of(guards=[Reads(rule)]).batch([Question.of(str(n)) for n in range(6)]))
    assert {q.prompt for q, a in answers.items() if a.action is Action.BLOCK} == {"3"}


# --- strategies, selectors, budgets ------------------------------------------------------------


def careless_then_careful(model: ScriptedModel, **fields: Any) -> Pipeline:
    strategies = [Plain(name="careless"), Plain(name="careful", system="Take care.")]
    return pipeline_of(
        model, strategies=strategies, selector=InTurn(["careless", "careful"]), guards=[stops("bad")], **fields
    )


def test_a_stopped_answer_is_tried_again_with_the_next_strategy() -> None:
    model = ScriptedModel(script=lambda r: "good" if r.messages[0].content == "Take care." else "bad")
    answer = careless_then_careful(model).ask("?")
    assert (answer.final, answer.strategy) == ("good", "careful")
    assert [p.strategy for p in answer.passes] == ["careless", "careful"]
    assert [p.generation.text for p in answer.passes] == [WITHHELD, "good"]
    assert [p.messages[-1].content for p in answer.passes] == ["?", "?"]


@dataclass(frozen=True)
class Drafts(Plain):
    """Writes a draft, and then an answer that is told the draft."""

    def answer(self, question: Question, /) -> Any:
        draft = yield from ask(Generate(messages=question.messages, name="draft", final=False))
        told = (Message("user", f"{question.prompt} You wrote: {draft.text}"),)
        return segment((yield from ask(Generate(messages=told, name="answer"))), marked=False)


def drafted(draft: str, **fields: Any) -> Answer:
    model = ScriptedModel(script=lambda r: draft if r.name == "draft" else "fine")
    return pipeline_of(model, strategies=[Drafts()], **fields).ask("?")


def test_a_draft_is_in_the_trace_when_guards_let_it_through() -> None:
    for guards in ([], [stops("bad")]):
        answer = drafted("a draft", guards=guards)
        assert [p.generation.text for p in answer.passes] == ["a draft", "fine"]
        assert "a draft" in answer.passes[1].generation.prompt


@pytest.mark.parametrize(
    "guard",
    [
        stops("bad"),
        stops("bad", Action.ABSTAIN),
        Reads(lambda e: Verdict(action=Action.REDACT, spans=((0, 3),)) if "bad" in e.text else ALLOW),
        Reads(lambda e: _raise(ValueError("broken")) if "bad" in e.text else ALLOW),
        Asks(),
    ],
)
def test_a_draft_that_guards_would_stop_or_do_not_see_is_in_no_trace(guard: Any) -> None:
    answer = drafted("a bad draft", guards=[guard])
    assert (answer.action, answer.final) == (Action.ALLOW, "fine")
    assert "bad" not in repr(answer)
    assert [p.generation.text for p in answer.passes] == [WITHHELD, "fine"]


def test_when_no_strategy_is_left_the_answer_is_withheld() -> None:
    assert careless_then_careful(says("bad")).ask("?").action is Action.BLOCK


def test_retries_have_a_budget() -> None:
    model = says("bad")
    careless_then_careful(model, limits=Limits(retries=0)).ask("?")
    assert len(model.asked) == 1


def test_a_guard_that_cannot_judge_is_not_asked_again() -> None:
    model = says("fine")
    strategies = [Plain(name="a"), Plain(name="b")]
    guards = [broken("raises", "output", asking=False)]
    pipeline_of(model, strategies=strategies, selector=InTurn(["a", "b"]), guards=guards).ask("?")
    assert len(model.asked) == 1


def test_a_selector_may_abstain() -> None:
    answer = pipeline_of(selector=InTurn([])).ask("?")
    assert (answer.action, answer.exit_code) == (Action.ABSTAIN, 1)


@pytest.mark.parametrize("choice", ["nobody", KeyError("x"), SystemExit(0)])
def test_a_broken_selector_is_an_error_of_that_question(choice: Any) -> None:
    @dataclass(frozen=True)
    class Broken(InTurn):
        def choose(self, question: Question, attempts: Any, /) -> str | None:
            if isinstance(choice, BaseException):
                raise choice
            return str(choice)

    answer = pipeline_of(selector=Broken([])).ask("?")
    assert (answer.action, answer.exit_code) == (Action.ERROR, 3)
    assert "selector 'in-turn'" in answer.error


@pytest.mark.parametrize(
    "fault", [ValueError("oops"), SystemExit(0), asyncio.CancelledError(), "not a segment", "asks nonsense"]
)
def test_a_broken_strategy_is_an_error_of_that_question(fault: Any) -> None:
    @dataclass(frozen=True)
    class Broken(Plain):
        def answer(self, question: Question, /) -> Any:
            yield from ask(Generate(messages=question.messages))
            if isinstance(fault, BaseException):
                raise fault
            if fault == "asks nonsense":
                yield "please"
            return fault

    answer = pipeline_of(strategies=[Broken()]).ask("?")
    assert (answer.action, answer.exit_code, answer.final) == (Action.ERROR, 3, "")
    assert answer.error


@pytest.mark.parametrize("asked", ["please", None, ["please"], ("please",)])
def test_what_a_strategy_asks_wrong_is_its_own_fault_and_not_the_models(asked: Any) -> None:
    @dataclass(frozen=True)
    class Broken(Plain):
        def answer(self, question: Question, /) -> Any:
            yield asked

    name = type(asked[0] if isinstance(asked, tuple) else asked).__name__
    answer = pipeline_of(strategies=[Broken()]).ask("?")
    assert (answer.action, answer.exit_code) == (Action.ERROR, 3)
    assert answer.error == f"strategy 'plain' failed: TypeError: it asked with {name}, which is no request"


@pytest.mark.parametrize("given", [None, "Paris"])
def test_a_strategy_whose_answer_is_no_generator_is_told_so(given: Any) -> None:
    @dataclass(frozen=True)
    class Broken(Plain):
        def answer(self, question: Question, /) -> Any:
            return given

    error = pipeline_of(strategies=[Broken()]).ask("?").error
    assert f"it gave {type(given).__name__}, and not a generator that yields requests" in error
    assert "strategy 'plain' failed" in error


def test_a_guard_whose_examination_is_no_generator_blocks_and_is_told_so() -> None:
    answer = pipeline_of(guards=[Asks(body=lambda _: None)]).ask("?")  # type: ignore[arg-type,return-value]
    assert answer.action is Action.BLOCK
    assert "it gave NoneType, and not a generator" in answer.error


def test_the_token_budget_holds_over_all_passes() -> None:
    @dataclass(frozen=True)
    class Chatty(Plain):
        def answer(self, question: Question, /) -> Any:
            for n in range(100):
                yield from ask(Generate(messages=question.messages, name=f"pass {n}"))

    model = says("one two three four")
    pipeline = pipeline_of(model, strategies=[Chatty()], limits=Limits(new_tokens=10))
    answer = pipeline.ask("?")
    assert (answer.action, answer.exit_code) == (Action.ERROR, 3)
    assert "budget of 10 new tokens" in answer.error
    assert answer.tokens[1] == 10


def test_tokens_not_used_are_given_back() -> None:
    model = says("one two")
    pipeline = pipeline_of(
        model, strategies=[Plain()], limits=Limits(new_tokens=300), decoding=Decoding(max_new_tokens=256)
    )
    answer = pipeline.ask("?")
    assert answer.answered
    assert model.asked[0].max_new_tokens == 256


def test_the_deadline_holds_over_all_passes() -> None:
    @dataclass(frozen=True)
    class Slow(Plain):
        def answer(self, question: Question, /) -> Any:
            for n in range(100):
                yield from ask(Generate(messages=question.messages, name=f"pass {n}"))
                time.sleep(0.02)

    answer = pipeline_of(strategies=[Slow()], limits=Limits(deadline_s=0.1)).ask("?")
    assert (answer.action, answer.exit_code) == (Action.ERROR, 3)
    assert "deadline of 0.1 s" in answer.error


def test_a_strategy_that_asks_for_nothing_for_ever_ends_too() -> None:
    @dataclass(frozen=True)
    class Idle(Plain):
        def answer(self, question: Question, /) -> Any:
            while True:
                yield ()

    answer = pipeline_of(strategies=[Idle()], limits=Limits(deadline_s=0.1)).ask("?")
    assert "deadline of 0.1 s has passed" in answer.error


def test_an_answer_cut_by_the_deadline_is_none() -> None:
    model = ScriptedModel(script=lambda _: Generation(text="half an ans", finish="deadline"))
    answer = pipeline_of(model).ask("?")
    assert (answer.action, answer.final, answer.exit_code) == (Action.ERROR, "", 3)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_model_that_writes_nothing_has_not_answered(text: str) -> None:
    answer = pipeline_of(says(text)).ask("?")
    assert (answer.action, answer.outcome, answer.exit_code) == (Action.ABSTAIN, Outcome.EMPTY, 1)


@pytest.mark.parametrize(
    "question",
    [
        Question.of(""),
        Question.of(" \n\t"),
        Question(messages=()),
        Question(messages=(Message("user", "a"), Message("assistant", "b"))),
        Question(messages=(Message("system", "a"), Message("system", "b"), Message("user", "?"))),
        Question(messages=(Message("user", "a"), Message("system", "b"), Message("user", "?"))),
        Question(messages=(Message("user", "?"),), choices=tuple(map(str, range(27)))),
    ],
)
def test_a_question_that_cannot_be_asked_is_bad_input(question: Question) -> None:
    answer = pipeline_of().ask(question)
    assert (answer.action, answer.exit_code) == (Action.ERROR, 2)


# --- streams -----------------------------------------------------------------------------------

LONG = "The quick brown fox jumps over the lazy dog, and then it does so once more."


def stream(pipeline: Pipeline) -> tuple[str, Answer]:
    *pieces, answer = pipeline.stream(Question.of("?"))
    assert isinstance(answer, Answer)
    return "".join(map(str, pieces)), answer


def test_a_stream_shows_the_final_pass_and_ends_with_the_answer() -> None:
    shown, answer = stream(pipeline_of(says(LONG), guards=[stops("wolf")]))
    assert shown == LONG == answer.final


def test_a_stream_comes_in_pieces() -> None:
    pieces = list(pipeline_of(says(LONG)).stream(Question.of("?")))
    assert len(pieces) > 3


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"guards": [stops("wolf", scope="whole")]}, "judges whole answers"),
        ({"guards": [Asks()]}, "judges whole answers"),
        ({"strategies": [Plain(), Plain(name="b")], "selector": InTurn(["plain", "b"])}, "may still try another"),
    ],
)
def test_a_stream_is_held_while_the_answer_can_still_change(fields: dict[str, Any], why: str) -> None:
    selector = fields.get("selector") or InTurn(["plain"], escalates=False)
    pipeline = pipeline_of(says(LONG), **{**fields, "selector": selector})
    pieces = list(pipeline.stream(Question.of("?")))
    assert why in pipeline.held
    assert [type(piece) for piece in pieces] == [str, Answer]


@given(words=st.lists(st.sampled_from(["good", "BAD", "fine", "x"]), max_size=30))
def test_what_is_blocked_is_never_emitted(words: list[str]) -> None:
    shown, answer = stream(
        pipeline_of(says(" ".join(words)), guards=[stops("BAD")], selector=InTurn(["plain"], escalates=False))
    )
    assert "BAD" not in shown
    assert (answer.action is Action.BLOCK) == ("BAD" in words)


@given(
    words=st.lists(st.sampled_from(["good", "a", "fine"]), max_size=30), phrase=st.text("XYZ ", min_size=2, max_size=24)
)
def test_of_a_phrase_that_is_stopped_not_even_the_beginning_is_emitted(words: list[str], phrase: str) -> None:
    phrase = f"<{phrase[:-2]}>"
    text = f"{' '.join(words)} {phrase} {' '.join(words)}"
    shown, answer = stream(pipeline_of(says(text), guards=[stops(phrase)]))
    assert answer.action is Action.BLOCK
    assert "<" not in shown


@given(words=st.lists(st.sampled_from(["good", "a", "fine"]), min_size=1, max_size=60))
def test_what_is_shown_lies_no_further_behind_than_stated(words: list[str]) -> None:
    pipeline = pipeline_of(guards=[stops("BAD")])
    gate = Gate(pipeline.guards, pipeline.targets(), Question.of("?"))
    text, shown = " ".join(words), ""
    for end in range(1, len(text) + 1):
        shown += "".join(gate.release(text[:end]))
        assert text.startswith(shown)
        assert end - len(shown) < STEP + HOLD


def test_a_stream_that_is_stopped_halfway_tells_what_it_cost() -> None:
    pipeline = pipeline_of(says(f"{LONG} BAD {LONG}"), guards=[stops("BAD")], strategies=[Plain(name="careless")])
    shown, answer = stream(pipeline)
    assert shown
    assert (answer.action, answer.strategy, len(answer.passes)) == (Action.BLOCK, "careless", 1)
    assert answer.tokens[0] == 1
    assert 10 < answer.tokens[1] < 40
    assert "fox" not in repr(answer)


def test_an_answer_without_words_shows_the_working() -> None:
    answer = pipeline_of(says("17 + 26 is 43.\nAnswer:"), strategies=[Marked()]).ask("What is 17 + 26?")
    assert (answer.final, answer.outcome) == ("17 + 26 is 43.\nAnswer:", Outcome.ABSENT)


def test_a_stream_is_redacted() -> None:
    selector = InTurn(["plain"], escalates=False)
    shown, answer = stream(
        pipeline_of(says(f"{LONG} Bob. {LONG}"), guards=[redacts("Bob", "output")], selector=selector)
    )
    assert "Bob" not in shown
    assert shown == answer.text
    assert "[redacted]" in shown
