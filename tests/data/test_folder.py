"""Importing into the folder of data: what is recognised, refused, and kept from being overwritten."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orca_guard.data.folder import looked_at, lying, recognised, take
from orca_guard.data.sets import INDEX, DataSet, indexed
from orca_guard.errors import BadInput
from orca_guard.host import Host
from tests.packs import PROMPTS, SHARED, needs_data, write, write_all

SETS: list[DataSet] = [found.item for _, found in Host.installed().datasets]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return write_all(tmp_path / "pack")


def imported(source: Path, data: Path, *, link: bool = False) -> dict[str, str]:
    return take(recognised(source, SETS), data, link=link, origin="a test")


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != INDEX}


@pytest.mark.parametrize("link", [False, True])
def test_a_folder_of_data_comes_over_whole(link: bool, pack: Path, tmp_path: Path) -> None:  # noqa: FBT001
    done = imported(pack, tmp_path / "data", link=link)
    assert set(done.values()) == {"linked" if link else "imported"}
    assert files(tmp_path / "data") == files(pack)
    assert set(indexed(tmp_path / "data")) == set(done)
    assert set(imported(pack, tmp_path / "data").values()) == {"already there"}


def test_a_set_that_was_unpacked_under_another_name_is_recognised(pack: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clones" / "exaggerated-safety-main"
    shutil.copytree(pack / "xstest", clone)
    (clone / "README.md").write_text("hello")
    found = recognised(tmp_path / "clones", SETS)
    assert sorted(found.imports) == [
        "xstest/model_completions/xstest_v2_completions_gpt4.csv",
        "xstest/xstest_prompts.csv",
    ]
    assert found.passed == 1


def test_what_cannot_be_read_is_refused_and_named(pack: Path) -> None:
    path = pack / "bbq" / "Age.jsonl.gz"
    path.write_bytes(path.read_bytes()[:40])
    found = recognised(pack, SETS)
    assert "it ends before what was packed does" in found.refused[path]
    assert "bbq/Age.jsonl.gz" not in found.imports


def test_what_is_there_already_is_not_overwritten(pack: Path, tmp_path: Path) -> None:
    imported(pack, tmp_path / "data")
    before = files(tmp_path / "data")
    write(pack / "xstest" / "xstest_prompts.csv", PROMPTS[:1])
    with pytest.raises(BadInput, match=r"xstest_prompts.csv is there already, and is another file"):
        imported(pack, tmp_path / "data")
    assert files(tmp_path / "data") == before


def test_two_files_for_one_place_are_not_guessed_between(pack: Path) -> None:
    write(pack / "other" / "xstest" / "xstest_prompts.csv", PROMPTS[:1])
    with pytest.raises(BadInput, match=r"both .* would be xstest/xstest_prompts.csv"):
        recognised(pack, SETS)


def test_a_file_that_was_changed_after_its_import_is_found(pack: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    imported(pack, data)
    assert not any(row.fault for row in looked_at(lying(data, SETS), data))
    write(data / "xstest" / "xstest_prompts.csv", PROMPTS[:1])
    [fault] = [row.fault for row in looked_at(lying(data, SETS), data) if row.fault]
    assert "FILES.tsv says" in fault


def test_the_index_keeps_what_it_said_of_other_files(pack: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / INDEX).write_text("path\trows\tbytes\tsha256\tcolumns\nmmlu/x.csv\t1\t2\tabc\tquestion, answer\n")
    imported(pack, data)
    lines = (data / INDEX).read_text().splitlines()
    assert lines[0].split("\t") == ["path", "rows", "bytes", "sha256", "source", "columns"]
    assert lines[1] == "mmlu/x.csv\t1\t2\tabc\t\tquestion, answer"
    assert len(lines) == 2 + len(files(pack))


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no folder"):
        recognised(tmp_path / "nowhere", SETS)


@needs_data
def test_releases_go_where_they_belong_whatever_they_were_called(tmp_path: Path) -> None:
    """Both releases are called mc_task.json; the digest tells which is which."""
    source = tmp_path / "source" / "data"
    source.mkdir(parents=True)
    shutil.copy(SHARED / "truthfulqa" / "v1" / "mc_task.json", source / "mc_task.json")
    assert [*recognised(source, SETS).imports] == ["truthfulqa/v1/mc_task.json"]
    shutil.copy(SHARED / "truthfulqa" / "mc_task.json", source / "mc_task.json")
    assert [*recognised(source, SETS).imports] == ["truthfulqa/mc_task.json"]
