"""`orca-guard data`: what is known, what is here, and how it gets here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.packs import PROMPTS, QUESTIONS, write, write_all


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORCA_GUARD_DATA", raising=False)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return write_all(tmp_path / "pack")


def test_sets_are_listed_with_what_is_here(run: Run, pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.loads(run("data", "list", "--json").out)
    assert told["folder"] is None
    assert {one["name"] for one in told["sets"]} >= {"bbq", "hhh_alignment", "toxigen", "truthfulqa", "xstest"}
    assert all(one["licence"] and one["origin"] and not one["files"] for one in told["sets"])
    monkeypatch.setenv("ORCA_GUARD_DATA", str(pack))
    by_name = {one["name"]: one for one in json.loads(run("data", "list", "--json").out)["sets"]}
    assert [file["path"] for file in by_name["bbq"]["files"]] == ["bbq/Age.jsonl.gz"]
    assert by_name["bbq"]["known_files"] == 11
    shown = run("data", "list")
    assert (shown.code, "1 of 11" in shown.out, "CC-BY-4.0" in shown.out) == (0, True, True)


def test_a_listing_says_what_to_do_where_no_folder_is_named(run: Run) -> None:
    shown = run("data", "list")
    assert shown.code == 0
    assert "say where it is by --data or ORCA_GUARD_DATA" in shown.err


@pytest.mark.parametrize("command", [("list",), ("verify",), ("pull", "hhh_alignment"), ("import", ".")])
def test_a_mistyped_folder_of_data_is_said(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "file").write_text("mine")
    refused = run("data", *command, "--data", "file")
    assert refused.code == 2
    assert "file is no folder" in refused.err
    if command[0] in {"list", "verify"}:
        refused = run("data", *command, "--data", "nothing")
        assert refused.code == 2
        assert "there is no folder nothing" in refused.err


def test_every_row_is_accounted_for(run: Run, pack: Path) -> None:
    told = {row["path"]: row for row in json.loads(run("data", "verify", "--data", pack, "--json").out)}
    assert told["truthfulqa/mc_task.json"]["repaired"] == {"an empty answer was left out": 1}
    assert told["toxigen/annotated_train.csv.gz"]["rows"] == 6
    assert all(row["rows"] == row["taken"] + sum(row["rejected"].values()) for row in told.values())
    assert all(row["fault"] is None for row in told.values())


def test_a_broken_file_fails_and_the_others_are_told(run: Run, pack: Path) -> None:
    path = pack / "bbq" / "Age.jsonl.gz"
    path.write_bytes(path.read_bytes()[:40])
    shown = run("data", "verify", "bbq", "xstest", "--data", pack)
    assert shown.code == 1
    assert "it ends before" in " ".join(shown.out.split())
    assert "xstest_prompts.csv" in "".join(shown.out.split())


def test_a_rejected_row_is_no_fault(run: Run, pack: Path) -> None:
    write(pack / "truthfulqa" / "mc_task.json", [QUESTIONS[0], {**QUESTIONS[0], "question": ""}])
    ended = run("data", "verify", "truthfulqa", "--data", pack, "--json")
    told = {row["path"]: row for row in json.loads(ended.out)}
    assert ended.code == 0
    assert told["truthfulqa/mc_task.json"]["rejected"] == {"question is no text": 1}


def test_a_plan_says_which_rows_are_rejected(run: Run, pack: Path) -> None:
    bad = {**QUESTIONS[0], "mc1_targets": {"Yes": 0}}
    write(pack / "truthfulqa" / "v1" / "mc_task.json", [*QUESTIONS, bad])
    ended = run("audit", "--suite", "truthfulqa-mc", "--data", pack, "--dry-run", "--json")
    [entry] = json.loads(ended.out)["plan"]["benchmarks"]
    assert (entry["items"], entry["rejected"]) == (3, {"it has no true answer, or no false one": 1})
    assert "truthfulqa-mc: 1 rows of its data are rejected: it has no true answer" in ended.err


def test_the_environment_names_the_folder_for_audits_and_doctor(
    run: Run, pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("audit", "--suite", "xstest-safe", "--dry-run").code == 3
    monkeypatch.setenv("ORCA_GUARD_DATA", str(pack))
    assert run("audit", "--suite", "xstest-safe", "--dry-run").code == 0
    assert "2 items" in run("doctor", "--suite", "xstest-safe").out


def test_a_suite_runs_under_both_messages_unless_a_strategy_is_named(run: Run, pack: Path) -> None:
    told = json.loads(run("audit", "--suite", "safety", "--data", pack, "--dry-run", "--json").out)
    assert [arm["name"] for arm in told["plan"]["arms"]] == ["empty", "cautious"]
    one = ("audit", "--suite", "safety", "--data", pack, "--strategy", "direct", "--limit", "2", "--dry-run", "--json")
    told = json.loads(run(*one).out)
    assert [arm["name"] for arm in told["plan"]["arms"]] == ["default"]
    assert max(entry["items"] - entry.get("sentinels", 0) for entry in told["plan"]["benchmarks"]) == 2


def test_what_is_imported_can_be_audited_and_told_from_what_was_changed(run: Run, pack: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = json.loads(run("data", "import", pack, "--data", data, "--json").out)
    assert done["files"]["bbq/Age.jsonl.gz"] == "imported"
    assert run("audit", "--suite", "xstest", "--data", data, "--model", "nano", "--dry-run").code == 0
    write(data / "xstest" / "xstest_prompts.csv", PROMPTS[:2])
    ended = run("audit", "--suite", "xstest", "--data", data, "--model", "nano", "--dry-run")
    assert ended.code == 2
    assert "FILES.tsv says" in ended.err


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (["data", "verify", "--data", "empty"], 3, "no known file is in empty"),
        (["data", "verify"], 2, "no folder of data is named"),
        (["data", "verify", "toxigem", "--data", "empty"], 2, "did you mean 'toxigen'"),
        (["data", "import", "empty"], 2, "no folder of data is named"),
        (["data", "import", "nowhere", "--data", "data"], 2, "nowhere is no folder"),
        (["data", "import", "empty", "--data", "data"], 3, "nothing in empty is a file that is known"),
        (["data", "pull", "hhh_alignmen", "--data", "data"], 2, "did you mean 'hhh_alignment'"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(line: list[str], code: int, words: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = run(*line)
    assert ended.code == code
    assert words in ended.err
    assert not (tmp_path / "data").exists()
