"""Where the files of a data set lie: releases told apart, an index kept, and what is missing said."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from orca_guard.data.rows import Taken, parsed, plain_lines
from orca_guard.data.sets import VARIABLE, DataFile, DataSet, folder_named
from orca_guard.errors import BadInput, DataAbsent

READ = partial(parsed, parse=lambda fields: Taken(fields["text"]))


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


OLD = DataFile(paths=("set/v1/a.txt", "set/a.txt"), read=lambda p: READ(plain_lines(p)), releases={digest("old"): "1"})
NEW = DataFile(paths=("set/a.txt",), read=lambda p: READ(plain_lines(p)), releases={digest("new"): "2"})
SET = DataSet(name="set", summary="a set", licence="none", origin="somewhere", files=(OLD, NEW))


def put(folder: Path, **texts: str) -> Path:
    for where, text in {name.replace("__", "/") + ".txt": text for name, text in texts.items()}.items():
        path = folder / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_release_is_told_by_its_digest_wherever_it_lies(tmp_path: Path) -> None:
    assert [*SET.find(put(tmp_path / "1", set__a="old"), [OLD])] == ["set/a.txt"]
    assert [*SET.find(put(tmp_path / "2", set__v1__a="old", set__a="new"), [OLD])] == ["set/v1/a.txt"]
    assert [*SET.find(tmp_path / "2", [NEW])] == ["set/a.txt"]


def test_another_release_does_not_stand_in_for_one(tmp_path: Path) -> None:
    with pytest.raises(DataAbsent, match=r"set/v1/a.txt is not in"):
        SET.find(put(tmp_path / "1", set__a="new"), [OLD])
    with pytest.raises(DataAbsent, match=r"set/a.txt is not in"):
        SET.find(put(tmp_path / "2", set__a="old"), [NEW])


def test_a_file_of_no_known_release_is_taken(tmp_path: Path) -> None:
    assert [*SET.find(put(tmp_path, set__a="mine"), [NEW])] == ["set/a.txt"]


def test_what_differs_from_the_index_of_the_folder_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, set__a="mine")
    index = tmp_path / "FILES.tsv"
    index.write_text(f"path\tsha256\nset/a.txt\t{digest('mine').removeprefix('sha256:')}\n")
    assert SET.find(tmp_path, [NEW])
    put(tmp_path, set__a="changed")
    with pytest.raises(BadInput, match=r"a.txt: its digest is .*, and FILES.tsv says .*import it again"):
        SET.find(tmp_path, [NEW])


def test_a_file_that_is_used_where_it_is_there_is_held_against_the_index_too(tmp_path: Path) -> None:
    put(tmp_path, set__a="new", set__b="mine")
    more = replace(NEW, paths=("set/b.txt",), releases={})
    both = replace(SET, files=(NEW, more))
    assert [*both.find(tmp_path, [NEW], beside=[more])] == ["set/a.txt", "set/b.txt"]
    (tmp_path / "FILES.tsv").write_text(f"path\tsha256\nset/b.txt\t{'0' * 64}\n")
    with pytest.raises(BadInput, match=r"b.txt: its digest is"):
        both.find(tmp_path, [NEW], beside=[more])
    (tmp_path / "set" / "b.txt").unlink()
    assert [*both.find(tmp_path, [NEW], beside=[more])] == ["set/a.txt"]


def test_of_several_files_some_may_be_enough(tmp_path: Path) -> None:
    put(tmp_path, set__a="new")
    other = replace(NEW, paths=("set/b.txt",), releases={}, origin="you")
    both = replace(SET, files=(NEW, other))
    assert [*both.find(tmp_path, [NEW, other], some=True)] == ["set/a.txt"]
    with pytest.raises(DataAbsent, match=r"set/b.txt is not in .*; it is to be had from you"):
        both.find(tmp_path, [NEW, other])
    with pytest.raises(DataAbsent, match=r"set/b.txt is not in"):
        both.find(tmp_path, [other], some=True)


def test_the_environment_names_the_folder_where_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/there")
    assert (folder_named("/here"), folder_named("")) == ("/here", "/there")
    monkeypatch.delenv(VARIABLE)
    assert folder_named("") == ""
