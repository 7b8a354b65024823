from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.case import CLASSIFIERS
from orca_guard.drive import Done, drive
from orca_guard.errors import ModelFailed, TextTooLong
from orca_guard.testing import ScriptedClassifiers
from orca_guard.types import Failure, TokenSpan
from orca_guard.windows import LARGEST, Window, classified, classified_beside, cut


def read(text: str, *, longest: int, **more: Any) -> tuple[list[Window], ScriptedClassifiers]:
    server = ScriptedClassifiers(script=more.pop("script", lambda _: {"bad": 0.5}), longest=longest)
    [done] = drive([("", classified("c", text, target=CLASSIFIERS, **more))], {CLASSIFIERS: server})
    assert isinstance(done, Done)
    if isinstance(done.result, Failure):
        raise done.result.error
    return done.result, server


@given(st.text(alphabet="ab \n", max_size=300), st.integers(8, 80))
def test_windows_cover_the_text_overlap_and_are_no_larger_than_they_may_be(text: str, size: int) -> None:
    parts = cut(text, (0, len(text)), size)
    assert (parts[0][0], parts[-1][1]) == (0, len(text))
    assert all(end - start <= size for start, end in parts)
    assert all(a[0] < b[0] <= a[1] - 1 for a, b in pairwise(parts)), "every window begins inside the one before"


@given(st.text(alphabet="abc \n", max_size=600), st.integers(3, 12))
def test_every_word_is_judged_whole_in_some_window(text: str, longest: int) -> None:
    words = [word for word in text.split() if len(word) <= 4]
    windows, server = read(text, longest=longest)
    judged = {word for request in server.asked for part in request.texts for word in str(part).split()}
    assert set(words) <= judged
    assert all(len(text[w.start : w.end].split()) <= longest for w in windows), "and no window is too long to read"


def test_a_text_that_fits_is_one_window() -> None:
    windows, server = read("one two three", longest=3)
    assert [(w.start, w.end) for w in windows] == [(0, 13)]
    assert len(server.asked) == 1


def test_an_empty_text_is_one_empty_window() -> None:
    windows, _ = read("", longest=3)
    assert [(w.start, w.end) for w in windows] == [(0, 0)]


def test_a_megabyte_is_read_in_bounded_pieces_and_its_tail_is_judged() -> None:
    text = "fine " * 200_000 + "vile"
    windows, server = read(text, longest=512, script=lambda part: {"bad": float("vile" in part)})
    assert max(len(part) for request in server.asked for part in request.texts) <= LARGEST
    assert max(len(request.texts) for request in server.asked) <= 16
    assert [w.scores["bad"] for w in windows if w.end == len(text)] == [1.0]


def test_spans_come_in_characters_of_the_whole_text() -> None:
    def find(part: str) -> Sequence[TokenSpan]:
        at = part.find("wrong")
        return [TokenSpan(start=at, end=at + 5, scores={"invented": 1.0})] if at >= 0 else []

    text = "right " * 30 + "wrong " + "right " * 30
    windows, _ = read(text, longest=20, script=find)
    assert {text[s.start : s.end] for w in windows for s in w.spans} == {"wrong"}


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_not_lost_among_others(score: float) -> None:
    with pytest.raises(ModelFailed, match="no number"):
        read("one two three four", longest=2, script=lambda part: {"bad": score if "three" in part else 0.1})


def beside(documents: Sequence[str], statements: Sequence[str], *, longest: int) -> Any:
    server = ScriptedClassifiers(script=lambda pair: {"in": float(pair[1] in pair[0])}, longest=longest)
    [done] = drive([("", classified_beside("", documents, statements))], {"": server})
    assert isinstance(done, Done)
    if isinstance(done.result, Failure):
        raise done.result.error
    return done.result


@given(st.integers(0, 39), st.integers(5, 30))
def test_a_statement_is_held_against_every_part_of_every_document(where: int, longest: int) -> None:
    words = [f"w{n}x" for n in range(40)]
    found = beside(["other text", " ".join(words)], [words[where], "absent"], longest=longest)
    assert [max(window.scores["in"] for window in of_one) for of_one in found] == [1.0, 0.0]


def test_a_pair_whose_other_half_fills_the_classifier_is_refused() -> None:
    with pytest.raises(TextTooLong):
        beside(["a b c"], ["w " * 10], longest=4)
