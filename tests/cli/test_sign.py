"""`orca-guard sign` and `waive`: said beside the run, shown in the report, and never part of the verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.journal.test_statements import key
from tests.reports.conftest import folder, sealed

__all__ = ["folder", "key", "sealed"]

Run = Callable[..., Any]
WHO = ("--name", "A. Auditor", "--role", "model risk")


def verdicts(run: Run, folder: Path) -> tuple[str, list[str]]:
    told = json.loads(run("report", folder, "--format", "json").out)
    return told["verdict"], [gate["ruling"] for gate in told["gates"]]


def test_a_decision_is_shown_and_changes_no_verdict(run: Run, folder: Path, key: Path) -> None:
    before = verdicts(run, folder)
    done = run("sign", folder, *WHO, "--decision", "go", "--comment", "all the same", "--key", key)
    assert done.code == 0, done.err
    assert "the verdict of the run is fail, and stays so" in done.err
    assert verdicts(run, folder) == before
    assert "A. Auditor, model risk: sign go: all the same" in run("report", folder).out
    assert run("verify", folder).code == 0


def test_a_waived_gate_keeps_its_ruling_and_shows_the_reason(run: Run, folder: Path) -> None:
    before = verdicts(run, folder)
    number = str(before[1].index("fail") + 1)
    done = run("waive", folder, number, *WHO, "--reason", "measured again", "--expires", "2999-12-31")
    assert done.code == 0, done.err
    assert verdicts(run, folder) == before
    told = json.loads(run("report", folder, "--format", "json").out)
    assert "until 2999-12-31: measured again" in told["gates"][int(number) - 1]["waived"]
    assert "waived" in run("report", folder, "--format", "markdown").out


def test_a_page_that_was_made_before_is_made_again(run: Run, folder: Path) -> None:
    run("report", folder, "--format", "html")
    assert "report.html" in run("sign", folder, *WHO, "--decision", "no-go").err
    assert "no-go" in (folder / "report.html").read_text("utf-8")
    assert run("verify", folder).code == 0


def test_without_a_page_none_is_made(run: Run, folder: Path) -> None:
    run("sign", folder, *WHO, "--decision", "no-go")
    assert not (folder / "report.html").exists()


def test_what_cannot_be_waived_is_refused(run: Run, folder: Path) -> None:
    rulings = verdicts(run, folder)[1]
    rest = (*WHO, "--reason", "r", "--expires", "2999-12-31")
    assert "there is nothing to waive" in run("waive", folder, str(rulings.index("pass") + 1), *rest).err
    unknown = run("waive", folder, "99", *rest)
    assert unknown.code == 2
    assert "1 basics-questions accuracy oracle ≥ 0.5" in unknown.err
    over = run("waive", folder, "2", *WHO, "--reason", "r", "--expires", "2001-01-01")
    assert over.code == 2
    assert "is over" in over.err
    assert run("waive", folder, "2", *WHO, "--reason", " ", "--expires", "2999-12-31").code == 2
    assert not (folder / "statements.jsonl").exists()


def test_nothing_is_stated_of_a_run_that_does_not_verify(run: Run, folder: Path) -> None:
    with (folder / "journal-0.jsonl").open("ab") as file:
        file.write(b"{}\n")
    done = run("sign", folder, *WHO, "--decision", "no-go")
    assert done.code == 2
    assert "does not verify" in done.err


def test_a_changed_statement_is_the_first_thing_that_a_report_says(run: Run, folder: Path, key: Path) -> None:
    run("sign", folder, *WHO, "--decision", "no-go", "--key", key)
    path = folder / "statements.jsonl"
    path.write_text(path.read_text("utf-8").replace('"no-go"', '"go"'), "utf-8")
    done = run("report", folder)
    assert done.code == 1
    told = " ".join(done.out.replace("│", " ").split())
    assert "DOES NOT VERIFY What people stated of this run was changed. What was computed stands." in told
    assert "signature does not hold" in told
