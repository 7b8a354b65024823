"""Every strategy that is installed, held to the same contract; and what each does that the others do not."""

from __future__ import annotations

from typing import Any

import pytest

from orca_guard.contracts import Strategy
from orca_guard.host import Host
from orca_guard.testing import ScriptedModel, check_strategy, pipeline_of
from orca_guard.types import Generate, Outcome, Question

HOST = Host(third_party=False)
OF_THE_PAPER = ("cautious", "direct", "extract-generate", "recall-generate", "recall-reason-generate", "step-by-step")
NAMES = (OF_THE_PAPER[0], "completion", *OF_THE_PAPER[1:])


def strategy(name: str) -> Strategy:
    return HOST.strategies.get(name)


def test_the_strategies_of_the_paper_are_there_and_raw_completion() -> None:
    assert HOST.strategies.names() == NAMES


def test_completion_asks_for_a_line_of_raw_text() -> None:
    model = ScriptedModel(script=lambda _: " and ran")
    answer = pipeline_of(model, strategies=[strategy("completion")], system="Be kind.").ask(
        Question.of("- a cat sat\n-")
    )
    [asked] = model.asked
    assert (asked.raw, asked.stop, [m.content for m in asked.messages]) == (True, ("\n",), ["- a cat sat\n-"])
    assert answer.final == "and ran"


@pytest.mark.parametrize("name", NAMES)
def test_the_contract(name: str) -> None:
    check_strategy(strategy(name))


def test_only_cautious_leaves_the_form_to_the_model() -> None:
    assert [name for name in NAMES if strategy(name).chooses_inside_model] == ["cautious"]


def test_every_strategy_has_a_system_message_of_its_own() -> None:
    assert len({strategy(name).system for name in OF_THE_PAPER}) == len(OF_THE_PAPER)
    assert all(strategy(name).system for name in OF_THE_PAPER)


def ask(name: str, script: Any, question: Question | str = "Who?") -> tuple[Any, list[Generate]]:
    model = ScriptedModel(script=script)
    return pipeline_of(model, strategies=[strategy(name)]).ask(question), model.asked


@pytest.mark.parametrize("name", ["step-by-step", "recall-generate", "recall-reason-generate"])
def test_marked_strategies_find_no_answer_without_a_mark(name: str) -> None:
    question = Question(messages=Question.of("How many?").messages, form="number")
    assert ask(name, lambda _: "It has 4 legs.", question)[0].outcome is Outcome.ABSENT
    found = ask(name, lambda _: "Recall: 4 legs.\nAnswer: 4", question)[0]
    assert (found.final, found.value) == ("4", "4")


@pytest.mark.parametrize("name", ["direct", "cautious"])
def test_unmarked_strategies_take_the_whole_text_or_the_mark(name: str) -> None:
    assert ask(name, lambda _: "Paris")[0].final == "Paris"
    assert ask(name, lambda _: "I recall it.\nAnswer: Paris")[0].final == "Paris"


def test_extract_generate_answers_from_the_extract_alone() -> None:
    question = Question.of("Who signed it?", "It was signed by Ada.\n\nThe weather was fine.")

    def script(request: Generate) -> str:
        return "Extract: It was signed by Ada." if request.name == "extract" else "Answer: Ada"

    answer, asked = ask("extract-generate", script, question)
    assert answer.final == "Ada"
    assert [(r.name, r.final) for r in asked] == [("extract", False), ("answer", True)]
    assert "weather" in asked[0].messages[-1].content
    assert "weather" not in asked[1].messages[-1].content
    assert "Extract:\nIt was signed by Ada.\n\nWho signed it?" in asked[1].messages[-1].content


def test_extract_generate_without_a_document_extracts_from_the_prompt() -> None:
    _, asked = ask("extract-generate", lambda _: "x", "Ada signed it. Who signed it?")
    assert asked[0].messages[-1].content.startswith("Ada signed it. Who signed it?\n\nCopy, word for word")
