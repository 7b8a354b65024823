"""Items, and what became of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.errors import BadInput, ExitCode
from orca_guard.items import ACCURACY, Disposition, Item, disposition_of, item_digest, item_json, item_of, metric_json
from orca_guard.types import Action, Answer, Message, Outcome, Question, Score

TEXT = st.text(max_size=20)
QUESTIONS = st.builds(
    lambda prompt, choices, form: Question(messages=(Message("user", prompt),), choices=tuple(choices), form=form),
    TEXT,
    st.lists(TEXT, max_size=4),
    st.sampled_from(["free", "letter", "number", "span"]),
)
REQUESTS = st.builds(
    lambda context, texts: Score(context=context, continuations=tuple(texts)), TEXT, st.lists(TEXT, max_size=4)
)
GROUPS = st.dictionaries(TEXT, TEXT, max_size=3)
GOLD = st.lists(TEXT, max_size=3).map(tuple)
ITEMS = st.one_of(
    st.builds(lambda q, **f: Item(question=q, **f), QUESTIONS, id=TEXT, gold=GOLD, cluster=TEXT, groups=GROUPS),
    st.builds(lambda r, **f: Item(request=r, **f), REQUESTS, id=TEXT, gold=GOLD, cluster=TEXT, groups=GROUPS),
)


@given(ITEMS)
def test_an_item_survives_being_written_down(item: Item) -> None:
    assert item_of(item_json(item)) == item
    assert item_digest(item_of(item_json(item))) == item_digest(item)


@given(ITEMS, ITEMS)
def test_its_digest_is_its_own(a: Item, b: Item) -> None:
    assert (item_digest(a) == item_digest(b)) == (a == b)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": 3}', '{"id": "a"}', "\x00"])
def test_what_is_no_item(text: str) -> None:
    with pytest.raises(BadInput):
        item_of(text)


def test_an_item_asks_one_thing() -> None:
    with pytest.raises(BadInput, match="either a question or a request"):
        Item(id="a")
    with pytest.raises(BadInput, match="either a question or a request"):
        Item(id="a", question=Question.of("?"), request=Score(continuations=("x",)))


@pytest.mark.parametrize(
    ("answer", "disposition"),
    [
        (Answer(id="", action=Action.ALLOW, outcome=Outcome.EXTRACTED), Disposition.ANSWERED),
        (Answer(id="", action=Action.REDACT, outcome=Outcome.EXTRACTED), Disposition.ANSWERED),
        (Answer(id="", action=Action.ALLOW, outcome=Outcome.AMBIGUOUS), Disposition.AMBIGUOUS),
        (Answer(id="", action=Action.ALLOW, outcome=Outcome.ABSENT), Disposition.ABSENT),
        (Answer(id="", action=Action.ALLOW, outcome=Outcome.TRUNCATED), Disposition.TRUNCATED),
        (Answer(id="", action=Action.ALLOW, outcome=Outcome.REFUSED), Disposition.REFUSED),
        (Answer(id="", action=Action.ABSTAIN, outcome=Outcome.EMPTY), Disposition.EMPTY),
        (Answer(id="", action=Action.ABSTAIN), Disposition.ABSTAINED),
        (Answer(id="", action=Action.BLOCK), Disposition.BLOCKED),
        (Answer(id="", action=Action.BLOCK, error="guard broken", error_code=ExitCode.INCONCLUSIVE), Disposition.ERROR),
        (Answer(id="", action=Action.ERROR), Disposition.ERROR),
    ],
)
def test_dispositions(answer: Answer, disposition: Disposition) -> None:
    assert disposition_of(answer) is disposition


def test_accuracy_gives_nothing_for_an_error_and_no_credit_for_the_rest() -> None:
    credit = json.loads(json.dumps(metric_json(ACCURACY)))["credit"]
    assert set(credit) == {d.value for d in Disposition} - {"answered", "error"}
    assert set(credit.values()) == {0.0}
