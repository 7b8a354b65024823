"""Reading against its conformance vectors, and what must hold for any text."""

from __future__ import annotations

import gzip
import json
import os
import time
import tomllib
from pathlib import Path
from string import ascii_uppercase
from typing import Any, cast, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.reading import final_answer, read
from orca_guard.types import AnswerForm, Finish, Outcome, Reading, Segment

ROOT = Path(__file__).parent.parent
VECTORS = tomllib.loads((ROOT / "orca_guard/testing/reading_vectors.toml").read_text("utf-8"))
FORMS = get_args(AnswerForm)
DATA = Path(os.environ.get("ORCA_GUARD_DATA", ROOT.parent / "shared" / "data")) / "bbh"
BLANKS_AND_STOPS = st.sampled_from(["", " ", "\n", ".", ". ", ".\n", "\n\n  "])

CITIES = ("London", "Paris", "Rome", "Oslo")


def whole(text: str, form: AnswerForm, *choices: str, finish: Finish = "stop") -> Reading:
    return read(Segment(text=text, answer=text, finish=finish), form, choices=choices)


def extracted(value: str) -> Reading:
    return Reading(outcome=Outcome.EXTRACTED, value=value)


def flat() -> list[Any]:
    return [
        pytest.param(form, vector, id=f"{form}-{number}")
        for form in FORMS
        for number, vector in enumerate(VECTORS[form], 1)
    ]


@pytest.mark.parametrize(("form", "vector"), flat())
def test_vector(form: AnswerForm, vector: dict[str, Any]) -> None:
    text = vector["text"]
    answer = final_answer(text) if vector.get("marked") else text
    segment = Segment(text=text, answer=answer, finish=vector.get("finish", "stop"))
    expected = Reading(outcome=Outcome(vector.get("outcome", "extracted")), value=vector.get("value"))
    assert read(segment, form, choices=vector.get("choices", ())) == expected, vector["why"]


@pytest.mark.parametrize("vector", VECTORS["marker"], ids=lambda v: v["text"][:20])
def test_marker_vector(vector: dict[str, Any]) -> None:
    assert final_answer(vector["text"]) == vector.get("value"), vector["why"]


def test_vectors_are_well_formed() -> None:
    known = {"text", "marked", "finish", "choices", "outcome", "value", "why"}
    assert set(VECTORS) == {*FORMS, "marker"}
    assert sum(map(len, VECTORS.values())) >= 80
    assert all(set(v) <= known and v["why"] for group in VECTORS.values() for v in group)


def test_another_marker() -> None:
    assert final_answer("Answer: 3\nResult: 4", marker="Result:") == "4"
    assert final_answer("work\n#### 4", marker="####") == "4"


def test_prose_may_keep_its_phrases() -> None:
    assert final_answer("In short, the answer is that plants eat light.", phrases=False) is None
    assert final_answer("Answer: light", phrases=False) == "light"


# --- for any text --------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *"ABCI(.)*-=/, \n\"'",
        "the answer is ",
        "Answer:",
        "option ",
        "not ",
        " or ",
        "12",
        "3.5",
        "1,000",
        "wait, ",
        "Paris",
    ]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES).map("".join))
ENDS = st.sampled_from(get_args(Finish))


@given(text=TEXTS, answer=st.one_of(st.none(), TEXTS), form=st.sampled_from(FORMS), finish=ENDS, few=st.booleans())
def test_never_raises_and_only_extracted_has_a_value(
    text: str, answer: str | None, form: AnswerForm, finish: Finish, *, few: bool
) -> None:
    reading = read(Segment(text=text, answer=answer, finish=finish), form, choices=CITIES if few else ())
    assert (reading.value is not None) == (reading.outcome is Outcome.EXTRACTED)
    if form == "letter" and reading.value is not None:
        assert reading.value in (ascii_uppercase[:4] if few else ascii_uppercase)


@given(text=TEXTS, form=st.sampled_from(FORMS), tail=BLANKS_AND_STOPS)
def test_blanks_and_a_full_stop_change_no_outcome(text: str, form: AnswerForm, tail: str) -> None:
    if text.strip(". \n\t") and not text.rstrip().endswith("."):
        assert whole(text + tail, form, *CITIES).outcome is whole(text, form, *CITIES).outcome


@given(text=TEXTS)
def test_the_final_answer_is_part_of_the_text(text: str) -> None:
    found = final_answer(text)
    assert found is None or "*" in text or found in text


@given(number=st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**12), max_value=10**12))
def test_numbers_round_trip(number: Any) -> None:
    for written in (f"{number:f}", f"{number:,f}", f"The answer is ${number:,f}."):
        value = whole(written.replace("$-", "-$"), "number").value
        assert value is not None
        assert type(number)(value) == number
        assert whole(value, "number").value == value


WORK = st.lists(st.sampled_from(["He has 3 eggs.", "(A) is tempting.", "4 + 5 = 9", "Hm.", "A man came.", ""])).map(
    "\n".join
)


@given(work=WORK, index=st.integers(0, 3), wrap=st.sampled_from(["({})", "{}", "{}.", "**{}**", "option {}"]))
def test_a_planted_letter_is_found(work: str, index: int, wrap: str) -> None:
    letter = ascii_uppercase[index]
    text = f"{work}\nAnswer: {wrap.format(letter)}"
    assert read(Segment(text=text, answer=final_answer(text)), "letter", choices=CITIES) == extracted(letter)


@given(work=WORK, number=st.integers(-(10**9), 10**9), wrap=st.sampled_from(["{}", "{}.", "**{}**", "{} eggs", "= {}"]))
def test_a_planted_number_is_found(work: str, number: Any, wrap: str) -> None:
    text = f"{work}\nAnswer: {wrap.format(number)}"
    assert read(Segment(text=text, answer=final_answer(text)), "number") == extracted(str(number))


@given(
    work=WORK, words=st.lists(st.sampled_from(["red", "house", "U.S.", "12.5", "O'Brien"]), min_size=1).map(" ".join)
)
def test_a_planted_span_is_found(work: str, words: str) -> None:
    text = f"{work}\nAnswer: {words}"
    assert read(Segment(text=text, answer=final_answer(text)), "span") == extracted(words)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "piece",
    ["A ", "(A) ", "B or ", "A, ", "U.", "not (B) ", "1", "1,", "1 ", "1/", "= 1 ", "- ", ".", "**", " ", "\n", '"',
     "Answer:\n", "the answer is ", "the answer to the ", "\\boxed{", "I'm sorry, ", "as an AI ", "the "],
)  # fmt: skip
def test_hostile_text_takes_linear_time(form: AnswerForm, piece: str) -> None:
    text = piece * (150_000 // len(piece)) + "x"  # quadratic time would be minutes
    start = time.process_time()
    read(Segment(text=text, answer=final_answer(text) or text), form, choices=CITIES)
    assert time.process_time() - start < 5


# --- published results ---------------------------------------------------------------------------

# Letter tasks of BIG-Bench Hard: the published accuracy of each file of outputs, read by this reader.
LETTER_TASKS = [
    "date_understanding", "geometric_shapes", "logical_deduction_five_objects", "logical_deduction_three_objects",
    "reasoning_about_colored_objects", "salient_translation_error_detection", "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_three_objects",
]  # fmt: skip


def rows(path: Path) -> list[dict[str, Any]]:
    value = json.loads(gzip.decompress(path.read_bytes()))
    return cast("list[dict[str, Any]]", value["outputs"] if isinstance(value, dict) else value)


@pytest.mark.skipif(not DATA.is_dir(), reason="the published outputs of BIG-Bench Hard are not here ($ORCA_GUARD_DATA)")
@pytest.mark.parametrize("mode", ["cot", "direct"])
def test_published_accuracy_is_reproduced(mode: str) -> None:
    lines = (DATA / f"eval_metrics_{mode}.jsonl").read_text("utf-8").splitlines()
    published = {row["task"]: row["accuracy"] for row in map(json.loads, lines)}
    for task in LETTER_TASKS:
        outputs = rows(DATA / "code-davinci-002-outputs" / mode / f"{task}.json.gz")
        right = [read_row(row) == row["target"].strip("() ") for row in outputs]
        assert 100 * sum(right) / len(right) == pytest.approx(published[task], abs=0.5), task


def read_row(row: dict[str, Any]) -> str | None:
    text = row["prediction"]
    return read(Segment(text=text, answer=final_answer(text) or text), "letter").value
