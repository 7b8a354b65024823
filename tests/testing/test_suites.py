"""The contracts for plugin authors find what they are there to find."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from orca_guard.errors import GuardFailed
from orca_guard.passes import ask, one_pass
from orca_guard.testing import ScriptedModel, check_guard, check_report_form, check_scorer, check_strategy
from orca_guard.testing.scripted import Plain
from orca_guard.types import Action, Exhibit, Generate, Message, Question, Scope, Segment, Stage, Verdict


@dataclass
class Sound:
    name: str = "sound"
    stages: frozenset[Stage] = frozenset({"input", "output"})
    scope: Scope = "window"
    seen: int = 0
    lock: Any = field(default_factory=threading.Lock)

    def judge(self, exhibits: Sequence[Exhibit], /) -> Sequence[Verdict]:
        return [Verdict(action=Action.BLOCK if "red" in e.text else Action.ALLOW) for e in exhibits]


class Forgetful(Sound):
    def judge(self, exhibits: Sequence[Exhibit], /) -> Sequence[Verdict]:
        return super().judge(exhibits)[:-1]


class Fragile(Sound):
    def judge(self, exhibits: Sequence[Exhibit], /) -> Sequence[Verdict]:
        for exhibit in exhibits:
            exhibit.text.encode()
        return super().judge(exhibits)


class Counting(Sound):
    def judge(self, exhibits: Sequence[Exhibit], /) -> Sequence[Verdict]:
        with self.lock:
            self.seen += 1
        return [Verdict(action=Action.ALLOW, score=float(self.seen)) for _ in exhibits]


class FirstOnly(Sound):
    def judge(self, exhibits: Sequence[Exhibit], /) -> Sequence[Verdict]:
        return [Verdict(action=Action.BLOCK if n else Action.ALLOW) for n, _ in enumerate(exhibits)]


def test_a_sound_guard_passes() -> None:
    check_guard(Sound())


@pytest.mark.parametrize(
    "guard",
    [Forgetful(), Fragile(), Counting(), FirstOnly(), Sound(stages=frozenset())],
    ids=lambda g: type(g).__name__,
)
def test_a_guard_that_breaks_its_contract_does_not(guard: Sound) -> None:
    with pytest.raises((AssertionError, GuardFailed, UnicodeEncodeError, StopIteration)):
        check_guard(guard)


@dataclass(frozen=True)
class Scoring:
    scores: Any
    name: str = "scoring"
    summary: str = ""
    stages: frozenset[Stage] = frozenset({"input"})
    scope: Scope = "window"
    threshold: float = 0.5
    action: Action = Action.BLOCK

    def score(self, exhibits: Sequence[Exhibit], /) -> Sequence[float]:
        return [self.scores(exhibit, exhibits) for exhibit in exhibits]


def test_scorers() -> None:
    check_scorer(Scoring(lambda e, _: float("red" in e.text)))
    for wrong in (lambda e, _: float("nan"), lambda e, es: len(es) / 100):
        with pytest.raises(AssertionError):
            check_scorer(Scoring(wrong))


@dataclass(frozen=True)
class Chatty(Plain):
    names: tuple[str, ...] = ("a", "b")
    last: bool = True
    words: bool = True

    def answer(self, question: Question, /) -> Any:
        for number, name in enumerate(self.names):
            final = number == len(self.names) - 1 and self.last
            asked = question.messages if self.words else (Message("user", "Say something."),)
            reply = yield from ask(Generate(messages=asked, name=name, final=final))
        return Segment(text=reply.text, answer=reply.text)


def test_a_sound_strategy_passes() -> None:
    check_strategy(Chatty())
    check_strategy(Plain())


@pytest.mark.parametrize("strategy", [Chatty(last=False), Chatty(names=("a", "a")), Chatty(words=False)])
def test_a_strategy_that_breaks_its_contract_does_not(strategy: Chatty) -> None:
    with pytest.raises(AssertionError):
        check_strategy(strategy)


def test_a_strategy_that_fails_on_an_empty_text_does_not() -> None:
    @dataclass(frozen=True)
    class Fragile(Plain):
        def answer(self, question: Question, /) -> Any:
            segment = yield from one_pass(question, marked=False)
            assert segment.text[0]
            return segment

    with pytest.raises(AssertionError, match="fails on ''"):
        check_strategy(Fragile())


@dataclass
class Form:
    name: str = "form"
    summary: str = "one line"
    suffix: str = "txt"
    said: list[Any] = field(default_factory=lambda: ["same"] * 2)

    def render(self, run: Path, report: Any, /) -> str:
        said: str = self.said.pop()
        return said


class Writing(Form):
    def render(self, run: Path, report: Any, /) -> str:
        (run / "seal.json").write_text("mine", "utf-8")
        return "same"


def test_a_sound_report_form_passes(tmp_path: Path) -> None:
    check_report_form(Form(), tmp_path, cast("Any", None))


@pytest.mark.parametrize(
    "form", [Form(said=["one", "other"]), Form(said=["\x1b[31m"] * 2), Form(said=[b"no text"] * 2), Writing()]
)
def test_a_report_form_that_breaks_its_contract_does_not(form: Form, tmp_path: Path) -> None:
    (tmp_path / "seal.json").write_text("theirs", "utf-8")
    with pytest.raises(AssertionError):
        check_report_form(form, tmp_path, cast("Any", None))


def test_the_scripted_model_keeps_to_limits_and_streams() -> None:
    model = ScriptedModel(script=lambda _: "one two three")
    request = Generate(messages=(Message("user", "?"),), max_new_tokens=2, stream=True)
    *partial, (_, last) = model.run([request])
    assert partial
    assert last == ScriptedModel()._generation(request, "one two three")
    assert getattr(last, "finish", "") == "length"
