"""The lexical baseline of grounding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.contracts import GuardSettings
from orca_guard.errors import UsageError
from orca_guard.testing import check_guard
from orca_guard.types import Action, Document, Exhibit, Message, Question
from orca_guard_grounding.overlap import make, unknown, words

TEXT = "The old mill by the river opened in 1921. It ground wheat for three villages."


def exhibit(text: str, *documents: str, prompt: str = "When did it open?") -> Exhibit:
    question = Question(messages=(Message("user", prompt),), documents=tuple(map(Document, documents)))
    return Exhibit(text=text, stage="output", part="answer", question=question)


def score(text: str, *documents: str) -> float | None:
    [verdict] = make(GuardSettings()).judge([exhibit(text, *documents)])
    return verdict.score


def test_it_keeps_the_contract_of_guards() -> None:
    check_guard(make(GuardSettings(threshold=0.5)))


def test_what_the_document_says_scores_nothing_and_what_it_does_not_say_scores_all() -> None:
    assert score("The mill opened in 1921.", TEXT) == 0.0
    assert score("The mill opened in 1912.", TEXT) == pytest.approx(1 / 3)
    assert score("Kings danced tango.", TEXT) == 1.0


def test_the_worst_statement_decides_and_is_marked() -> None:
    text = "The mill opened in 1921. Elephants danced there. It ground wheat."
    [verdict] = make(GuardSettings(action=Action.REDACT)).judge([exhibit(text, TEXT)])
    assert verdict.action is Action.REDACT
    assert [text[a:b] for a, b in verdict.spans] == ["Elephants danced there."]


def test_any_document_may_hold_it_up_and_without_one_nothing_is_judged() -> None:
    assert score("Elephants danced.", TEXT, "Elephants danced in the yard.") == 0.0
    assert score("Elephants danced.") is None


def test_unmeasured_it_warns_and_on_evidence_it_abstains() -> None:
    guards = (make(GuardSettings()), make(GuardSettings(sound=True)))
    actions = [guard.judge([exhibit("Kings danced tango.", TEXT)])[0].action for guard in guards]
    assert actions == [Action.WARN, Action.ABSTAIN]


def test_it_takes_no_options() -> None:
    with pytest.raises(UsageError, match="takes no option 'n'"):
        make(GuardSettings(options={"n": 2}))


@given(st.text(), st.text())
def test_saying_more_documents_never_makes_it_worse(said: str, more: str) -> None:
    few, many = set(words("the mill opened")), set(words(f"the mill opened {more}"))
    assert unknown(words(said), many) <= unknown(words(said), few)
    assert unknown(words(said), words(said)) == 0.0
