"""Triples are read strictly, written whole, and collected so that a killed run goes on."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.errors import BadInput, ConfigurationChanged
from orca_guard_tuning.erase import erased
from orca_guard_tuning.triples import Erased, Triple, TripleFile, Turn, line_of, read_triples, write_triples

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TRIPLES = st.builds(
    Triple,
    system=TEXT,
    user=TEXT,
    answer=TEXT,
    id=TEXT,
    passes=st.lists(st.builds(Turn, TEXT, TEXT), max_size=3).map(tuple),
    right=st.none() | st.booleans(),
    erased=st.none() | st.builds(Erased, TEXT),
)


def triple(name: str, *, asked: str = "x") -> Triple:
    return Triple(id=name, system="S", user="U", answer="A", asked=asked)


@given(st.lists(TRIPLES, min_size=1, max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, rows: list[Triple]) -> None:
    path = tmp_path_factory.mktemp("t") / "a.jsonl"
    write_triples(path, rows)
    assert read_triples(path) == rows


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('{"system": "", "user": "a"}', "answer"),
        ('{"system": "", "user": "a", "anwser": "b", "answer": ""}', "did you mean 'answer'"),
        ('{"system": "", "user": 3, "answer": "b"}', "Expected `str`"),
        ("[1]", "object"),
        ("{", "not valid JSON"),
        ('{"id": 1', "not valid JSON"),
        ('{"id": 1, "system": "\xff', "not valid JSON"),
    ],
)
def test_a_row_that_is_no_triple_is_named(tmp_path: Path, line: str, wanted: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line_of(triple("a")) + line.encode())
    with pytest.raises(BadInput, match="line 2") as refused:
        read_triples(path)
    assert wanted in str(refused.value)


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n", "utf-8")
    with pytest.raises(BadInput, match="no triples"):
        read_triples(tmp_path / "a.jsonl")


# --- what is trained on ------------------------------------------------------------------------


@given(TRIPLES, TEXT)
def test_nothing_that_is_erased_is_trained_on(row: Triple, system: str) -> None:
    """The student sees the generic message, the user's turn and the answer, and the answer is the teacher's."""
    student = erased(row, system=system)
    [conversation] = student.conversations()
    shown = [message.content for message in conversation]
    assert shown == [*([system] if system else []), row.user, row.answer]
    assert student.erased is not None
    assert student.erased.system == (row.erased.system if row.erased else row.system)
    assert erased(student, system=system) == student
    assert (student.id, student.strategy, student.gold) == (row.id, row.strategy, row.gold)


def test_a_strategy_that_asks_twice_is_learned_pass_by_pass_until_it_is_erased() -> None:
    row = Triple(system="S", user="U", answer="E\nA", passes=(Turn("U, extract", "E"), Turn("E, U", "A")))
    assert [[m.content for m in c] for c in row.conversations()] == [["S", "U, extract", "E"], ["S", "E, U", "A"]]
    student = erased(row, system="G")
    assert [[m.content for m in c] for c in student.conversations()] == [["G", "U", "E\nA"]]
    assert student.erased == Erased(system="S", passes=row.passes)


# --- collecting --------------------------------------------------------------------------------


def test_a_killed_run_goes_on_and_drops_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with TripleFile(path, asked={"a": "x", "b": "x"}, identity={"t": 1}) as file:
        file.write(triple("a"))
    with path.open("ab") as torn:
        torn.write(line_of(triple("b"))[:-9])
    with TripleFile(path, asked={"a": "x", "b": "x"}, identity={"t": 1}) as file:
        assert set(file.done) == {"a"}
        file.write(triple("b"))
    assert [row.id for row in read_triples(path)] == ["a", "b"]


def test_what_has_changed_is_asked_again_and_what_is_not_asked_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with TripleFile(path, asked={"a": "x", "b": "x"}, identity={}) as file:
        file.write(triple("a"))
        file.write(triple("b"))
    with TripleFile(path, asked={"a": "new"}, identity={}) as file:
        assert (file.done, file.again) == ({}, 1)
        file.write(triple("a", asked="new"))
    assert {row.id: row.asked for row in read_triples(path)} == {"a": "new", "b": "x"}


def test_answers_of_another_teacher_are_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with TripleFile(path, asked={"a": "x"}, identity={"model": "one"}) as file:
        file.write(triple("a"))
    with (
        pytest.raises(ConfigurationChanged, match='model: "one" → "two"'),
        TripleFile(path, asked={"a": "x"}, identity={"model": "two"}),
    ):
        pass
    assert read_triples(path) == [triple("a")]


def test_a_file_is_written_by_one_process(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with (
        TripleFile(path, asked={}, identity={}),
        pytest.raises(BadInput, match="another process"),
        TripleFile(path, asked={}, identity={}),
    ):
        pass


def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("notes\n", "utf-8")
    with pytest.raises(BadInput, match="does not say which teacher"), TripleFile(path, asked={}, identity={}):
        pass
    assert path.read_text("utf-8") == "notes\n"


def test_defaults_are_not_written() -> None:
    assert set(msgspec.json.decode(line_of(Triple(system="", user="u", answer="a")))) == {"system", "user", "answer"}
