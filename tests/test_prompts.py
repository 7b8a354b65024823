"""One layout of documents and choices for every strategy."""

from __future__ import annotations

from orca_guard.prompts import letters, turns
from orca_guard.types import Document, Message, Question


def test_a_bare_prompt_stays_as_it_is() -> None:
    assert turns(Question.of("Why?")) == (Message("user", "Why?"),)


def test_documents_come_before_and_choices_after() -> None:
    question = Question(
        messages=(Message("user", "first"), Message("assistant", "yes"), Message("user", "Which?")),
        documents=(Document("One.\n"),),
        choices=("red", "blue"),
    )
    assert turns(question)[:2] == question.messages[:2]
    assert turns(question)[-1].content == "Text:\nOne.\n\nWhich?\n\nA. red\nB. blue"
    assert letters(question) == ("A", "B")


def test_several_documents_are_numbered_and_names_are_kept() -> None:
    question = Question.of("?", "one", "two")
    assert turns(question)[-1].content == "Text 1:\none\n\nText 2:\ntwo\n\n?"
    named = Question(messages=question.messages, documents=(Document("one", name="Report"),))
    assert turns(named)[-1].content == "Report:\none\n\n?"
