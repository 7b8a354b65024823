from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cli.conftest import Run


def test_an_audit_marks_what_was_kept_and_finds_the_same(run: Run, tmp_path: Path) -> None:
    def audited(name: str, *more: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        done = run("audit", "--suite", "basics", "--limit", "3", "--out", tmp_path, "--run", name, "--no-doctor", *more)
        assert done.code in {0, 3}, done.err
        lines = (tmp_path / name / "journal-0.jsonl").read_text("utf-8").splitlines()
        records = [record for line in lines if (record := json.loads(line))["kind"] == "item"]
        return records, json.loads((tmp_path / name / "seal.json").read_text("utf-8"))

    runs = [audited("plain"), *(audited(name, "--cache", str(tmp_path / "kept")) for name in ("first", "second"))]
    marks = [[record.get("cached") for record in records] for records, _ in runs]
    assert set(marks[0]) == set(marks[1]) == {None}
    assert all(marks[2])
    assert [seal.get("cached") for _, seal in runs] == [None, None, len(marks[2])]
    figures = [seal["figures"] for _, seal in runs]
    assert figures[0] == figures[1] == figures[2]
    assert run("verify", tmp_path / "second").code == 0
    told = [run("report", tmp_path / name).out for name in ("first", "second")]
    assert ["kept from earlier runs" in text for text in told] == [False, True]


def test_a_run_reads_from_a_cache(run: Run, tmp_path: Path) -> None:
    command = ("run", "--cache", str(tmp_path / "kept"), "What is the capital of France?")
    first, second = run(*command), run(*command)
    assert (first.code, first.out) == (second.code, second.out)
    assert list((tmp_path / "kept").glob("*.sqlite"))
