"""The lines of a plan's items: what is asked, as a model reads it, and how long that is."""

from __future__ import annotations

import json

from orca_guard.items import Item, item_digest
from orca_guard.listing import asked_text, lines_of
from orca_guard.types import Document, Message, Question, Score


def about(passage: str, prompt: str, *, name: str, cluster: str = "") -> Item:
    question = Question(messages=(Message("user", prompt),), documents=(Document(passage),), choices=("yes", "no"))
    return Item(id=name, question=question, cluster=cluster)


def test_a_passage_stands_before_its_question_and_choices_after() -> None:
    said = (Message("user", "Hello."), Message("assistant", "Hi."), Message("user", "Is it so?"))
    item = Item(id="a", question=Question(messages=said, documents=(Document("Snow."),), choices=("yes", "no")))
    assert asked_text(item) == "Hello.\nHi.\nSnow.\nIs it so?\nyes\nno"


def test_of_likelihoods_every_continuation_counts() -> None:
    request = Score(context="Snow is", continuations=(" white", " black"))
    assert asked_text(Item(id="a", request=request)) == "Snow is\n white\n black"


def test_an_answer_that_is_given_is_read_by_judges() -> None:
    item = Item(id="a", question=Question.of("Why?"), given=("So.",))
    assert asked_text(item) == "Why?\nSo."


def test_lines_say_how_long_items_are_and_what_they_share() -> None:
    items = [about("The long passage.", q, name=q, cluster="one") for q in ("Who?", "Where to?")]
    items.append(about("Thé other.", "What?", name="c"))
    rows = [json.loads(line) for line in lines_of("b", items).splitlines()]
    assert [row["digest"] for row in rows] == [item_digest(item) for item in items]
    header = len("Th")
    assert [row["length"] for row in rows] == [len(asked_text(item).encode()) - header for item in items]
    assert [row["shared"] for row in rows] == [len("The long passage.\nWh") - header] * 2 + [0]
    assert lines_of("b", items) == lines_of("b", items)
