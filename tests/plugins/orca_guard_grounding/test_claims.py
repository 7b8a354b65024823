from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.types import Exhibit, Question
from orca_guard_grounding.claims import claims, sentences


def parts(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("It opened in 1921. It closed in 1960!", ["It opened in 1921.", "It closed in 1960!"]),
        ("Dr. Smith met J. Doe. They spoke.", ["Dr. Smith met J. Doe.", "They spoke."]),
        ("It cost 3.50 dollars.", ["It cost 3.50 dollars."]),
        ("Answer: the mill", ["the mill"]),
        ("Three things:\n- one\n- two\n3. four", ["Three things:", "one", "two", "four"]),
        ('He said "No." Then he left.', ['He said "No."', "Then he left."]),
        ("它于1921年开业。它关闭了。", ["它于1921年开业。", "它关闭了。"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_a_text_is_cut_into_its_sentences(text: str, wanted: list[str]) -> None:
    assert parts(text) == wanted


@given(st.text(alphabet='ab1.!? \n"-*:', max_size=120))
def test_no_letter_is_outside_of_every_sentence(text: str) -> None:
    found = list(sentences(text))
    assert all(a[1] <= b[0] for a, b in pairwise(found)), "they come in order and do not overlap"
    inside = {at for start, end in found for at in range(start, end)}
    assert all(at in inside for at, c in enumerate(text) if c.isalpha())


def test_a_fragment_is_judged_together_with_its_question() -> None:
    exhibit = Exhibit(text="1921", stage="output", part="answer", question=Question.of("When did it open?"))
    assert [claim.text for claim in claims(exhibit)] == ["When did it open? 1921"]


def test_what_has_no_word_is_no_claim() -> None:
    exhibit = Exhibit(text="It opened. --- !", stage="output", part="answer", question=Question.of("?"))
    assert [exhibit.text[c.start : c.end] for c in claims(exhibit)] == ["It opened."]
