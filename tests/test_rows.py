"""Rows in, rows out, and an answer file that survives being killed."""

from __future__ import annotations

import json
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.errors import BadInput, ConfigurationChanged
from orca_guard.rows import AnswerFile, Row, _row, answer_row, decision_row, pending, read_questions, refused_row
from orca_guard.testing import ScriptedModel, pipeline_of
from orca_guard.types import Action, Answer, Question

IDENTITY = {"model": {"weights": "sha256:1"}, "decoding": {"seed": 0}}


def write(path: Path, *rows: Any) -> Path:
    path.write_bytes(b"\n".join(r if isinstance(r, bytes) else json.dumps(r).encode() for r in rows) + b"\n")
    return path


def questions(count: int) -> list[Row]:
    return [Row(str(n), Question.of(f"question {n}", id=str(n))) for n in range(count)]


def answers(path: Path, rows: list[Row], *, digest: str = "d", identity: Any = None) -> AnswerFile:
    return AnswerFile(path, rows, identity=identity or IDENTITY, digest=digest)


def answer(id: str, action: Action = Action.ALLOW) -> Answer:
    return Answer(id=id, action=action, final="yes", pipeline="d")


def stored(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


# --- questions ---------------------------------------------------------------------------------


def test_a_row_may_be_a_prompt_or_a_conversation(tmp_path: Path) -> None:
    path = write(
        tmp_path / "q.jsonl",
        {"prompt": "a", "context": "text", "id": 7},
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "b"}], "context": ["1", "2"]},
        {"prompt": "c", "choices": ["x", "y"], "form": "letter", "source": "kept out of the question"},
    )
    first, second, third = (row.question for row in read_questions(path))
    assert first
    assert (first.id, first.prompt, first.documents[0].text) == ("7", "a", "text")
    assert second
    assert ([m.role for m in second.messages], len(second.documents), second.id) == (["system", "user"], 2, "2")
    assert third
    assert (third.choices, third.form) == (("x", "y"), "letter")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b'{"prompt": ', "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[1]", "not an object"),
        ({}, "either a prompt or messages"),
        ({"prompt": "a", "messages": []}, "either a prompt or messages"),
        ({"promt": "a"}, "unknown key 'promt': did you mean 'prompt'"),
        ({"prompt": 3}, "prompt is a text, not int"),
        ({"prompt": "\ud800"}, "half a character"),
        ({"messages": []}, "messages is a list"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "a turn has a role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "a turn has a role"),
        ({"messages": [{"role": "user"}]}, "content is a text"),
        ({"prompt": "a", "id": "\ud800"}, "id holds half a character"),
        ({"prompt": "a", "id": ["a"]}, "id is a text or a number, not list"),
        ({"prompt": "a", "id": None}, "id is a text or a number, not NoneType"),
        ({"prompt": "a", "context": 3}, "context is a text or a list"),
        ({"prompt": "a", "choices": [1]}, "choices is a text, not int"),
        ({"prompt": "a", "form": "essay"}, "form is one of"),
    ],
)
def test_a_bad_row_is_an_error_row_and_the_others_live_on(tmp_path: Path, row: Any, words: str) -> None:
    rows = read_questions(write(tmp_path / "q.jsonl", {"prompt": "fine"}, row, {"prompt": "fine too"}))
    assert [bool(r.question) for r in rows] == [True, False, True]
    assert words in rows[1].error
    assert "line 2" in rows[1].error


def test_an_id_that_stands_twice(tmp_path: Path) -> None:
    rows = read_questions(write(tmp_path / "q.jsonl", {"prompt": "a", "id": "x"}, {"prompt": "b", "id": "x"}))
    assert rows[0].question
    assert rows[1].error == "id 'x' stands twice in the file"
    assert rows[0].id != rows[1].id


def test_files_that_hold_nothing_or_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no rows"):
        read_questions(write(tmp_path / "q.jsonl", b""))
    with pytest.raises(BadInput, match="No such file"):
        read_questions(tmp_path / "absent")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "x"]), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["prompt", "messages", "context", "choices", "form", "id", "x"]), ANYTHING))
def test_any_row_is_a_question_or_an_error(fields: dict[str, Any]) -> None:
    row = _row(json.dumps(fields).encode(), 1)
    assert bool(row.question) != bool(row.error)
    json.dumps([row.id, row.digest], ensure_ascii=False).encode()
    if row.question and "prompt" in fields:
        assert row.question.prompt == fields["prompt"]


# --- answers -----------------------------------------------------------------------------------


def test_a_run_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    path, rows = tmp_path / "a.jsonl", questions(5)
    with answers(path, rows) as file:
        file.write(answer("0"))
        file.write(answer("3", Action.BLOCK))
    with path.open("a") as torn:
        torn.write('{"id": "4", "action": "al')
    with answers(path, rows) as file:
        assert file.done == {"0", "3"}
        assert [row.id for row in pending(rows, file.done)] == ["1", "2", "4"]
        for row in pending(rows, file.done):
            file.write(answer(row.id))
    assert stored(path) == ["0", "3", "1", "2", "4"]


@given(cut=st.integers(0, 2000))
def test_cutting_the_file_anywhere_loses_at_most_one_answer(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path, rows = tmp_path_factory.mktemp("cut") / "a.jsonl", questions(5)
    with answers(path, rows) as file:
        for row in rows:
            file.write(answer(row.id))
    data = path.read_bytes()
    whole = data[:cut].count(b"\n")
    path.write_bytes(data[:cut])
    with answers(path, rows) as file:
        assert len(file.done) in {whole, whole + 1}  # cut right before the newline, the row is whole
        for row in pending(rows, file.done):
            file.write(answer(row.id))
    assert sorted(stored(path)) == [row.id for row in rows]


def test_error_rows_are_asked_again_and_replaced(tmp_path: Path) -> None:
    path, rows = tmp_path / "a.jsonl", questions(2)
    with answers(path, rows) as file:
        file.write(answer("0", Action.ERROR))
        file.write(answer("1"))
    with answers(path, rows) as file:
        assert file.done == {"1"}
        file.write(answer("0"))
    assert sorted(stored(path)) == ["0", "1"]


def test_what_a_guard_could_not_judge_is_asked_again(tmp_path: Path) -> None:
    path, rows = tmp_path / "a.jsonl", questions(1)
    with answers(path, rows) as file:
        file.write(replace(answer("0", Action.BLOCK), error="guard 'slow' could not judge"))
    with answers(path, rows) as file:
        assert not file.done


def test_an_edited_question_is_asked_again_and_its_old_answer_stays_until_then(tmp_path: Path) -> None:
    path, rows = tmp_path / "a.jsonl", questions(2)
    with answers(path, rows) as file:
        for row in rows:
            file.write(answer(row.id))
    before = path.read_bytes()
    edited = [rows[0], Row("1", Question.of("another question", id="1"))]
    with answers(path, edited) as file:
        assert (file.done, file.again) == ({"0"}, 1)
    assert path.read_bytes() == before
    with answers(path, edited) as file:
        file.write(answer("1", Action.ABSTAIN))
    assert [json.loads(line)["action"] for line in path.read_text().splitlines()] == ["allow", "abstain"]
    with answers(path, edited) as file:
        assert file.done == {"0", "1"}


def test_answers_to_questions_of_another_file_stay(tmp_path: Path) -> None:
    path, rows = tmp_path / "a.jsonl", questions(3)
    with answers(path, rows) as file:
        for row in rows:
            file.write(answer(row.id))
    with answers(path, rows[:1]) as file:
        assert file.done == {"0"}
    assert stored(path) == ["0", "1", "2"]


def test_another_pipeline_is_refused_with_the_difference(tmp_path: Path) -> None:
    path, rows = tmp_path / "a.jsonl", questions(1)
    with answers(path, rows) as file:
        file.write(answer("0"))
    before = path.read_bytes()
    changed = {**IDENTITY, "decoding": {"seed": 1}}
    with (
        pytest.raises(ConfigurationChanged, match=r"decoding.seed: 0 → 1"),
        answers(path, rows, digest="e", identity=changed),
    ):
        pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("beside", [None, b"", b"{}", b"[]", b"\xff"])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, beside: bytes | None) -> None:
    path = write(tmp_path / "a.jsonl", {"mine": True})
    if beside is not None:
        path.with_name("a.jsonl.pipeline.json").write_bytes(beside)
    with pytest.raises(BadInput, match="does not say which pipeline"), answers(path, questions(1)):
        pass
    assert path.read_text() == '{"mine": true}\n'


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with answers(path, questions(1)), pytest.raises(BadInput, match="another process"), answers(path, questions(1)):
        pass
    with answers(path, questions(1)):
        pass


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write"), answers(tmp_path / "file" / "a", questions(1)):
        pass
    for place in (tmp_path, Path("/proc/a")):
        with pytest.raises(BadInput, match="cannot write"), answers(place, questions(1)):
            pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_says_so_and_keeps_what_is_there(tmp_path: Path) -> None:
    with answers(tmp_path / "a.jsonl", questions(1)) as file, FileIO("/dev/full", "ab") as full:
        assert file._file
        file._file.close()
        file._file = full
        with pytest.raises(BadInput, match=r"No space left on device\. What is there is safe"):
            file.write(answer("0"))


# --- forms of an answer ------------------------------------------------------------------------


def test_rows_hold_no_prompt_unless_asked() -> None:
    question = Question.of("a secret prompt", id="1")
    got = pipeline_of(ScriptedModel(script=lambda _: "a secret answer")).ask(question)
    assert "secret" not in json.dumps(decision_row(got, question))
    assert "secret prompt" in json.dumps(decision_row(got, question, texts=True))
    assert "secret prompt" not in json.dumps(answer_row(got))
    assert "secret prompt" in json.dumps(answer_row(got, trace=True))


def test_a_refused_row() -> None:
    row = refused_row(Row("x", None, "line 1: not an object"), pipeline="d")
    assert (row.action, row.exit_code, row.error) == (Action.ERROR, 2, "line 1: not an object")
