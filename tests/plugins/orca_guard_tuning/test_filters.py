"""What is dropped has a reason, what is kept has none, and nothing of an evaluation gets through."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard_tuning.filters import Limits, Overlaps, filtered, words
from orca_guard_tuning.triples import Triple, Turn
from tests.plugins.orca_guard_tuning.small import tune, write_rows

NONE = Overlaps({})
WORDS = st.lists(st.sampled_from(["one", "two", "three", "four", "five", "six", "seven"]), max_size=12).map(" ".join)
TRIPLES = st.builds(
    Triple, system=st.just("S"), user=WORDS, answer=WORDS, right=st.none() | st.booleans(),
    fault=st.sampled_from(["", "", "", "blocked"]),
)  # fmt: skip


def kept(*rows: Triple, limits: Limits = Limits(), overlaps: Overlaps = NONE) -> tuple[int, dict[str, int]]:  # noqa: B008
    found = filtered(rows, limits=limits, overlaps=overlaps)
    return len(found.kept), dict(found.dropped)


def row(answer: str = "fine", **more: object) -> Triple:
    return msgspec.structs.replace(Triple(system="S", user="What is it?", answer=answer), **more)


@given(st.lists(TRIPLES, max_size=12), st.lists(WORDS, max_size=3))
def test_every_triple_is_kept_or_counted_once(rows: list[Triple], evaluated: list[str]) -> None:
    overlaps = Overlaps({"held": evaluated}, size=4, least=2)
    found = filtered(rows, limits=Limits(), overlaps=overlaps)
    assert found.read == len(rows) == len(found.kept) + sum(found.dropped.values())
    assert not Counter(map(id, found.kept)) - Counter(map(id, rows))
    again = filtered(found.kept, limits=Limits(), overlaps=overlaps)
    assert (again.kept, again.dropped) == (found.kept, {})


@given(st.lists(TRIPLES, max_size=10), st.lists(WORDS, min_size=1, max_size=3), st.integers(2, 5))
def test_no_ngram_of_an_evaluation_is_left(rows: list[Triple], evaluated: list[str], size: int) -> None:
    found = filtered(rows, limits=Limits(), overlaps=Overlaps({"held": evaluated}, size=size, least=1))
    for triple in found.kept:
        text = f" {' '.join(words(triple.user + ' ' + triple.answer))} "
        for told in map(words, evaluated):
            grams = [told[n : n + size] for n in range(len(told) - size + 1)] or [told]
            assert not any(gram and f" {' '.join(gram)} " in text for gram in grams)


@pytest.mark.parametrize(
    ("triple", "limits", "reason"),
    [
        (row(fault="truncated"), Limits(), "truncated"),
        (row(right=False), Limits(), "wrong"),
        (row(), Limits(known=True), "not known to be right"),
        (row("  "), Limits(), "empty"),
        (row("one two"), Limits(min_words=3), "too short"),
        (row("one two three"), Limits(max_words=2), "too long"),
    ],
)
def test_each_reason_is_told(triple: Triple, limits: Limits, reason: str) -> None:
    assert kept(triple, limits=limits) == (0, {reason: 1})


def test_bounds_that_no_answer_meets_are_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{"system": "S", "user": "What?", "answer": "That."}])
    bounds = ("--min-words", "10", "--max-words", "2")
    refused = tune("filter", path, *bounds, "--out", tmp_path / "fit.jsonl", code=2)
    assert "Lower --min-words or raise --max-words" in str(refused.exception)
    assert not (tmp_path / "fit.jsonl").exists()


def test_the_same_is_kept_once_and_what_only_looks_the_same_is_kept() -> None:
    assert kept(row("Fine."), row(" fine. "), row("fine", system="T")) == (3 - 1, {"duplicate": 1})
    assert kept(row("3 + 4"), row("3 - 4")) == (2, {})


def test_overlaps_are_found_in_every_text_that_is_trained_on_and_are_quoted() -> None:
    overlaps = Overlaps({"held": ["The quick brown fox jumps over it."]}, size=5)
    inside = row("x", passes=(Turn("u", "so, the quick BROWN fox jumps."), Turn("v", "w")))
    found = filtered([inside, row("the quick brown cat jumps over it")], limits=Limits(), overlaps=overlaps)
    assert found.dropped == {"overlap with held": 1}
    assert found.report()["overlaps"]["held"]["examples"] == [{"id": "", "words": "the quick brown fox jumps"}]


def test_a_short_question_is_found_whole_and_one_that_is_too_short_is_told() -> None:
    overlaps = Overlaps({"held": ["What is it really?", "Why?"]})
    assert kept(row(user="Tell me: what is it, really?"), row(), overlaps=overlaps) == (1, {"overlap with held": 1})
    assert overlaps.too_short == {"held": 1}
