from __future__ import annotations

from orca_guard.testing import ScriptedModel, check_strategy, pipeline_of
from orca_guard.types import Generate, Generation, Message, Outcome, Question
from orca_guard_acme.two_drafts import TwoDrafts


def test_keeps_the_contract() -> None:
    check_strategy(TwoDrafts())


def test_the_third_pass_has_read_both_drafts() -> None:
    said = {"quick draft": "It is 40.", "careful draft": "17 + 26 is 43.", "answer": "The first is wrong.\nAnswer: 43"}
    model = ScriptedModel(script=lambda request: said[request.name])
    answer = pipeline_of(model, strategies=[TwoDrafts()]).ask("What is 17 + 26?")
    assert (answer.final, answer.outcome) == ("43", Outcome.EXTRACTED)
    assert "It is 40." in model.asked[-1].messages[-1].content
    assert "17 + 26 is 43." in model.asked[-1].messages[-1].content


def test_both_drafts_are_asked_in_one_batch() -> None:
    model = ScriptedModel(script=lambda _: "Answer: 43")
    pipeline_of(model, strategies=[TwoDrafts()]).ask("What is 17 + 26?")
    assert model.batches == [2, 1]


def test_without_a_marked_answer_there_is_none() -> None:
    question = Question(messages=(Message("user", "How many?"),), form="number")
    answer = pipeline_of(ScriptedModel(script=lambda _: "Both will do."), strategies=[TwoDrafts()]).ask(question)
    assert answer.outcome is Outcome.ABSENT


def test_a_decision_that_is_cut_is_no_answer() -> None:
    def cut(request: Generate) -> Generation:
        return Generation(text="Both drafts say", finish="length" if request.final else "stop")

    assert pipeline_of(ScriptedModel(script=cut), strategies=[TwoDrafts()]).ask("Which?").outcome is Outcome.TRUNCATED
