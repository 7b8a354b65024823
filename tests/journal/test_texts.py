"""Texts under salted addresses."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca_guard.errors import BadInput
from orca_guard.journal.texts import Texts, TextsReader, address_of, plain, salt_of, secret_of

Run = Any
Make = Callable[..., Run]
PLAN = "sha256:" + "0" * 64
SECRET = b"s" * 32


def texts_in(path: Path, secret: bytes = SECRET, plan: str = PLAN) -> Texts:
    return Texts(path, secret=secret, plan=plan)


def read(path: Path) -> dict[str, str]:
    reader = TextsReader(path)
    found = dict(reader)
    assert reader.faults == []
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "texts-0.jsonl"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=())), max_size=8))
def test_what_is_put_in_comes_out(tmp_path_factory: pytest.TempPathFactory, fast_disk: None, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("t") / "texts-0.jsonl"
    with texts_in(path) as file:
        addresses = [file.add(text) for text in texts]
        file.flush()
    assert read(path) == {a: plain(t) for a, t in zip(addresses, texts, strict=True)}
    assert len(path.read_bytes().splitlines()) == len(set(addresses))


def test_a_text_is_written_once(path: Path) -> None:
    for _ in range(2):
        with texts_in(path) as file:
            file.add("a")
            file.add("a")
            file.flush()
            file.add("a")
            file.flush()
    assert len(path.read_bytes().splitlines()) == 1


def test_what_was_not_flushed_is_not_there(path: Path) -> None:
    with texts_in(path) as file:
        file.add("a")
    assert read(path) == {}


def test_an_address_depends_on_secret_and_plan_and_nothing_else(tmp_path: Path) -> None:
    def address(name: str, **more: Any) -> str:
        with texts_in(tmp_path / name, **more) as file:
            return file.add("yes")

    same = address("a")
    assert address("b") == same
    assert address("c", secret=b"t" * 32) != same
    assert address("d", plan="sha256:" + "1" * 64) != same


def test_a_short_text_cannot_be_guessed_from_its_address(path: Path) -> None:
    """Neither without the salt, which goes with the row, nor with a salt that is made without the secret."""
    with texts_in(path) as file:
        address = file.add("yes")
    guesses = {address_of("yes", salt=b""), address_of("yes", salt=salt_of("yes", secret=b"", plan=PLAN))}
    assert address not in guesses


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"text": "no"}, "the text does not match its address"),
        ({"salt": "00" * 16}, "the text does not match its address"),
        ({"salt": "zz" * 16}, "non-hexadecimal"),
        ({"salt": "00" * 15}, "its salt has 15 bytes, not 16"),
        ({"digest": PLAN}, "the text does not match its address"),
        ({"text": 7}, "Expected `str`"),
        ({"more": 1}, "unknown field `more`"),
    ],
)
def test_a_changed_row_is_named_and_left_out(path: Path, change: dict[str, Any], what: str) -> None:
    with texts_in(path) as file:
        addresses = [file.add(text) for text in ("yes", "maybe")]
        file.flush()
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(json.dumps(json.loads(first) | change).encode() + b"\n" + second)
    reader = TextsReader(path)
    assert dict(reader) == {addresses[1]: "maybe"}
    (fault,) = reader.faults
    assert (fault.file, fault.line) == ("texts-0.jsonl", 1)
    assert what in fault.what


def test_a_text_cannot_be_passed_off_as_another_by_moving_its_beginning_into_the_salt(path: Path) -> None:
    with texts_in(path) as file:
        address = file.add("I will not say that.")
        file.flush()
    row = json.loads(path.read_bytes())
    forged = row | {"salt": row["salt"] + b"I will not ".hex(), "text": "say that."}
    path.write_bytes(json.dumps(forged).encode() + b"\n")
    reader = TextsReader(path)
    assert address not in dict(reader)
    assert "its salt has 27 bytes" in reader.faults[0].what


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_byte_is_named_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, fast_disk: None, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("t") / "texts-0.jsonl"
    with texts_in(path) as file:
        wanted = {file.add(text): text for text in ("one", "two", "three")}
        file.flush()
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    reader = TextsReader(path)
    found = dict(reader)
    assert found.items() <= wanted.items()
    if found != wanted:
        assert reader.faults[0].line == bytes(content[:place]).count(b"\n") + 1


def test_a_torn_row_is_named_and_written_again(path: Path) -> None:
    with texts_in(path) as file:
        wanted = {file.add(text): text for text in ("one", "two")}
        file.flush()
    content = path.read_bytes()
    for size in range(content.index(b"\n") + 2, len(content)):
        path.write_bytes(content[:size])
        reader = TextsReader(path)
        assert len(dict(reader)) == 1
        assert str(reader.faults[0]) == "texts-0.jsonl, line 2: torn: the file ends within this line"
    with texts_in(path) as file:
        file.add("two")
        file.flush()
    assert read(path) == wanted


def test_damaged_rows_are_left_out_on_opening(path: Path) -> None:
    with texts_in(path) as file:
        addresses = [file.add(text) for text in ("one", "two", "three")]
        file.flush()
    path.write_bytes(path.read_bytes().replace(b'"two"', b'"zwo"'))
    with texts_in(path) as file:
        file.add("four")
        file.flush()
        assert set(read(path)) == {addresses[0], addresses[2], file.add("four")}


def test_a_run_without_its_texts_is_sound(make_run: Make, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    run.write()
    rows = run.bundle.texts(0).read_bytes().splitlines(keepends=True)
    for size in (1, 2, len(rows)):
        kept = rows[size:]
        run.bundle.texts(0).write_bytes(b"".join(kept))
        assert run.faults() == []
        assert len(read(run.bundle.texts(0))) == len(kept)


def test_two_writers_are_refused(path: Path) -> None:
    with texts_in(path), pytest.raises(BadInput, match="another process is writing"), texts_in(path):
        pass


# --- the secret --------------------------------------------------------------------------------


def test_a_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    secret = secret_of(store)
    assert len(secret) == 32
    assert secret_of(store) == secret
    assert stat.S_IMODE((store / ".secret").stat().st_mode) == 0o600
    assert secret_of(tmp_path / "others") != secret


def test_processes_that_find_no_secret_agree_on_one(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from orca_guard.journal.texts import secret_of\n"
    code += "sys.stdin.read(); print(secret_of(Path(sys.argv[1])).hex())"
    command = (sys.executable, "-c", code, str(tmp_path / "runs"))
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    time.sleep(0.3)  # all of them wait for their input to end
    for process in processes:
        assert process.stdin
        process.stdin.close()
        process.stdin = None
    found = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert len(found) == 1
    assert len(found.pop().strip()) == 64


def test_a_damaged_secret_is_said_so(tmp_path: Path) -> None:
    (tmp_path / ".secret").write_bytes(b"short")
    with pytest.raises(BadInput, match="has 5 bytes, not 32"):
        secret_of(tmp_path)
