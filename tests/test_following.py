"""A case gone through again with recorded generations, and what counts as a broken trail."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from orca_guard.drive import Done, drive
from orca_guard.following import Followed, Step, broken_trail, followed
from orca_guard.pipeline import Pipeline
from orca_guard.testing import pipeline_of
from orca_guard.testing.known import KnownModel
from orca_guard.types import Action, Exhibit, Generate, Message, Question, Retraced, Verdict

QUESTION = Question.of("What is blue?")
STEP = Step(name="answer", prompt="p", text="sky", ids=(1, 2, 3), finish="stop", tokens=(5, 3))
TRAIL = Retraced(prompt="p", text="sky", finish=None, logprobs=(-0.1,) * 3, shortfalls=(0.0,) * 3, end=0.0)


@dataclass(frozen=True)
class Asking:
    """A guard that asks the model, and believes a yes."""

    name: str = "asking"
    stages: frozenset[Any] = frozenset({"output"})

    def examine(self, exhibit: Exhibit, /) -> Generator[Any, Any, Verdict]:
        reply = yield Generate(messages=(Message("user", f"Is {exhibit.text!r} fine?"),), name="guard")
        return Verdict(action=Action.ALLOW if reply.text == "yes" else Action.BLOCK, reason="the model said so")


def model(*, verdict: str = "yes") -> KnownModel:
    return KnownModel(
        name="sky", writes=lambda prompt: verdict if prompt.startswith("Is ") else "sky", rates=lambda _: []
    )


def a_step(text: str, *, name: str = "answer") -> Step:
    ids = tuple(map(ord, text))
    return Step(name=name, prompt="user: What is blue?", text=text, ids=ids, finish="stop", tokens=(3, len(ids)))


def gone_through(pipeline: Pipeline, *steps: Step) -> Followed:
    case = pipeline.case(QUESTION)
    (event,) = drive([("k", followed(case, steps))], pipeline.targets())
    assert isinstance(event, Done)
    assert isinstance(event.result, Followed)
    return event.result


def test_strategies_follow_and_guards_ask_anew() -> None:
    """A guard's own generation is nowhere recorded: it is asked, and its verdict is what it says now."""
    found = gone_through(pipeline_of(model(), guards=[Asking()]), a_step("sky"))
    assert found.answer is not None
    assert (found.answer.action, found.answer.text, found.why) == (Action.ALLOW, "sky", "")
    assert [step.text for step, _, _ in found.trails] == ["sky"]
    stopped = gone_through(pipeline_of(model(verdict="no"), guards=[Asking()]), a_step("sky"))
    assert stopped.answer is not None
    assert stopped.answer.action is Action.BLOCK


def test_the_pipeline_goes_on_with_what_is_recorded_and_the_trail_tells() -> None:
    found = gone_through(pipeline_of(model()), a_step("sea"))
    assert found.answer is not None
    assert found.answer.text == "sea"
    ((step, _, trail),) = found.trails
    assert "token 1 lies 20 below the best" in broken_trail(step, trail, noise=0.1)


@pytest.mark.parametrize(
    ("steps", "why"),
    [((), "asks for more generations than are recorded"), ((a_step("sky"),) * 3, "2 more generations are recorded")],
)
def test_another_number_of_generations_is_said(steps: tuple[Step, ...], why: str) -> None:
    assert why in gone_through(pipeline_of(model()), *steps).why


def test_tokens_that_nobody_can_follow_end_the_case() -> None:
    unable = replace(model(), requests=frozenset({Generate}))
    pipeline = pipeline_of(unable)
    case = pipeline.case(QUESTION)
    (event,) = drive([("k", followed(case, [a_step("sky")]))], {})
    assert isinstance(event, Done)
    assert isinstance(event.result, Followed)
    assert event.result.why.startswith("its tokens cannot be followed: ")


def test_an_honest_trail_is_whole() -> None:
    assert not broken_trail(STEP, TRAIL, noise=0.1)
    assert not broken_trail(replace(STEP, finish="length"), replace(TRAIL, finish="length", end=9.0), noise=0.1)
    assert not broken_trail(STEP, replace(TRAIL, finish="stop", end=9.0), noise=0.1)
    assert not broken_trail(STEP, replace(TRAIL, shortfalls=(0.0, 0.09, 0.0), end=0.09), noise=0.1)


@pytest.mark.parametrize(
    ("step", "trail", "why"),
    [
        ({"prompt": "q"}, {}, "its prompt is not the one"),
        ({"text": "sea"}, {}, "its tokens do not say its text"),
        ({}, {"shortfalls": (0.0, 0.11, 0.0)}, "token 1 lies 0.11 below the best"),
        ({}, {"shortfalls": (0.0, 0.0, math.nan)}, "token 2 lies nan below the best"),
        ({}, {"end": 0.2}, "it ends where the model goes on"),
        ({}, {"end": math.nan}, "it ends where the model goes on"),
        ({}, {"finish": "length"}, "said to end by stop, and ends by length"),
        ({"finish": "length"}, {}, "said to end at a limit that is not 3"),
        ({"finish": "length"}, {"finish": "stop"}, "said to end by length, and ends by stop"),
    ],
)
def test_a_broken_trail_is_named(step: dict[str, Any], trail: dict[str, Any], why: str) -> None:
    assert why in broken_trail(replace(STEP, **step), replace(TRAIL, **trail), noise=0.1)
