"""A roster is a list of different names that knows where each of them stands."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard import roster as module
from orca_guard.roster import Roster, Twice

NAMES = st.lists(st.text(), unique=True, max_size=30)


@given(names=NAMES, other=st.text())
def test_it_is_the_list_that_it_was_made_of(names: list[str], other: str) -> None:
    roster = Roster(iter(names))
    assert [*roster] == names
    assert [roster.find(name) for name in names] == [*range(len(names))]
    assert (other in roster) is (other in names)
    assert roster[1:-1] == names[1:-1]
    assert not names or (roster[-1], roster[0]) == (names[-1], names[0])
    with pytest.raises(IndexError):
        roster[len(names)]


@given(names=NAMES.filter(len), place=st.integers(0, 29))
def test_a_name_that_comes_twice_is_named(names: list[str], place: int) -> None:
    twice = names[place % len(names)]
    with pytest.raises(Twice) as refused:
        Roster([*names, twice])
    assert refused.value.name == twice


def test_names_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def same(_name: Any) -> int:
        return 7

    monkeypatch.setattr(module, "hash", same, raising=False)
    roster = Roster(["a", "b", "c"])
    assert [roster.find(name) for name in "cbad"] == [2, 1, 0, None]
    with pytest.raises(Twice, match="b"):
        Roster(["a", "b", "c", "b"])


def test_what_is_no_text_is_not_in_it() -> None:
    number: object = 3
    assert number not in Roster(["3"])
    assert "\ud800" in Roster(["\ud800"])


def test_it_takes_little_room() -> None:
    tracemalloc.start()
    roster = Roster(f"item-{n}" for n in range(20_000))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / len(roster) < 50
