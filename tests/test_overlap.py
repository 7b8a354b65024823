"""BLEU and ROUGE are those of the libraries that everybody uses."""

from __future__ import annotations

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from orca_guard.items import Item
from orca_guard.overlap import SIMILARITIES
from orca_guard.scoring import score_value
from orca_guard.types import Question

ROUGE = {"rouge-1": "rouge1", "rouge-2": "rouge2", "rouge-l": "rougeLsum"}
WORDS = (
    "the",
    "The",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "12.5",
    "3,000",
    "don't",
    "$5",
    "\u00e9t\u00e9",
    "\u201cyes\u201d",
    "(no)",
    "x=1",
    "\u20ac",
)
TEXTS = st.lists(st.sampled_from([*WORDS, ".", ",", "\n"]), max_size=14).map(" ".join)
PAIRS = (
    ("The cat sat on the mat.", "The cat sat on the mat."),
    ("The cat sat on the mat.", "A cat was sitting on the mat."),
    ("one two three four five six", "seven eight nine ten"),
    ("yes", "yes"),
    ("", "nothing"),
    ("nothing", ""),
    ("It costs $3,000.50 (about 2,700\u20ac), doesn't it?", "It costs 3,000.50$, or 2,700 \u20ac."),
    ("first line here\nsecond line there", "second line there\nfirst line here"),
)


def theirs(name: str, text: str, reference: str) -> float:
    if name == "bleu":
        return float(
            sacrebleu.corpus_bleu(
                [text],
                [[reference]],
                smooth_method="exp",
                smooth_value=0.0,
                force=False,
                lowercase=False,
                tokenize="intl",
                use_effective_order=False,
            ).score
            / 100
        )
    return float(rouge_scorer.RougeScorer([ROUGE[name]]).score(reference, text)[ROUGE[name]].fmeasure)


@pytest.mark.parametrize("name", SIMILARITIES)
@pytest.mark.parametrize(("text", "reference"), PAIRS)
def test_it_is_what_the_library_says(name: str, text: str, reference: str) -> None:
    assert SIMILARITIES[name](text, reference) == pytest.approx(theirs(name, text, reference), abs=1e-9)


@given(TEXTS, TEXTS)
def test_so_it_is_of_any_two_texts(text: str, reference: str) -> None:
    for name, similarity in SIMILARITIES.items():
        assert similarity(text, reference) == pytest.approx(theirs(name, text, reference), abs=1e-9), name


@given(st.text(max_size=40), st.text(max_size=40))
def test_of_anything_at_all_it_is_a_share(text: str, reference: str) -> None:
    for similarity in SIMILARITIES.values():
        assert 0 <= similarity(text, reference) <= 1


ITEM = Item(
    id="1",
    question=Question.of("Which?"),
    gold=("the red one is right",),
    labels={"true": ("the red one is right", "red"), "false": ("the blue one is right",)},
)
WORTH = {"true": 1.0, "false": 0.0}


def test_the_best_reference_counts() -> None:
    assert score_value("rouge-1", "red", ITEM, worth={"true": 1.0}) == 1.0
    assert score_value("rouge-1", "red", ITEM) == pytest.approx(2 / 6)


def test_a_difference_is_half_where_there_is_none() -> None:
    assert score_value("rouge-1-difference", "green", ITEM, worth=WORTH) == 0.5
    assert score_value("rouge-1-difference", "red", ITEM, worth=WORTH) == 1.0
    assert score_value("rouge-1-difference", "the blue one is right", ITEM, worth=WORTH) == pytest.approx(
        (1 + 0.8 - 1) / 2
    )


def test_preferred_is_what_is_strictly_nearer_to_the_right_ones() -> None:
    assert score_value("rouge-1-preferred", "green", ITEM, worth=WORTH) == 0.0
    assert score_value("rouge-1-preferred", "red", ITEM, worth=WORTH) == 1.0
    assert score_value("rouge-1-preferred", "the blue one is right", ITEM, worth=WORTH) == 0.0


def test_without_references_there_is_no_score() -> None:
    assert score_value("rouge-1-difference", "red", ITEM, worth={"true": 1.0, "none": 0.0}) is None
    assert score_value("rouge-l", "red", ITEM, worth={"none": 1.0}) is None
    assert score_value("rouge-l", None, ITEM) is None
