"""`orca-guard compare`: options that go together, forms, and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orca_guard.journal.bundle import Bundle
from orca_guard.journal.statements import statements
from tests.reports.conftest import folder, sealed, summarised
from tests.reports.test_noise import store

__all__ = ["folder", "sealed", "store"]

Run = Callable[..., Any]


def test_two_arms_of_one_run_in_every_form(run: Run, sealed: Path, tmp_path: Path) -> None:
    asked = ("compare", sealed, "--arms", "oracle", "mixed")
    assert "WORSE" in run(*asked).out
    assert json.loads(run(*asked, "--format", "json").out)["rows"][0]["says"] == "worse"
    out = tmp_path / "found.html"
    done = run(*asked, "--format", "html", "--out", out)
    assert done.code == 0, done.err
    assert out.read_text("utf-8").startswith("<!doctype html>")


def test_what_cannot_be_compared_is_wrong_usage(run: Run, sealed: Path, tmp_path: Path) -> None:
    assert "give a second run" in run("compare", sealed).err
    assert run("compare", sealed, tmp_path).code == 2
    assert run("compare", sealed, "--arms", "oracle", "nobody").code == 2
    stray = run("compare", sealed, "--arms", "oracle", "mixed", "--name", "A. Auditor")
    assert (stray.code, "--name goes with --state" in stray.err) == (2, True)
    assert "needs a file" in run("compare", sealed, sealed, "--format", "html").err


def test_a_run_that_does_not_verify_is_said_first_and_ends_with_1(run: Run, folder: Path, sealed: Path) -> None:
    with (folder / "journal-0.jsonl").open("ab") as file:
        file.write(b"{}\n")
    done = run("compare", sealed, folder)
    assert done.code == 1
    assert done.out.splitlines()[1].startswith("│ DOES NOT VERIFY")


def test_noise_is_stated_beside_the_run_and_reports_show_it(run: Run, store: Path) -> None:
    who = ("--name", "A. Auditor", "--role", "model risk")
    done = run("compare", store / "one", store / "other", "--state", *who)
    assert done.code == 0, done.err
    assert "Noise" in done.out
    (said,) = statements(Bundle(store / "one"))
    assert (said.fields["kind"], said.fault) == ("noise", "")
    assert "basics-questions" in summarised(store / "one").statements[0].what
    assert "no noise to state" in run("compare", store / "one", store / "fewer", "--state", *who).err
    assert "takes --name and --role" in run("compare", store / "one", store / "other", "--state").err
