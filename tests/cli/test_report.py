"""`orca-guard report`: where it goes, how it ends, and forms of plugins."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orca_guard.identity import canonical
from tests.reports.conftest import folder, sealed

__all__ = ["folder", "sealed"]

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_a_terminal_is_told_the_verdict_and_how_to_see_more(run: Run, folder: Path) -> None:
    done = run("report", folder)
    assert done.code == 0, done.err
    assert "FAIL" in done.out
    assert "--format html" in done.err
    assert "\x1b" not in done.out


@pytest.mark.parametrize("name", ["seal.json", "plan.json", "items.jsonl", "journal-0.jsonl", "texts-0.jsonl"])
def test_a_report_is_not_written_over_what_the_run_is_made_of(run: Run, folder: Path, name: str) -> None:
    before = (folder / name).read_bytes()
    link = folder.parent / "link.json"
    link.symlink_to(folder / name)
    for out in (folder / name, link):
        refused = run("report", folder, "--format", "json", "--out", out)
        assert refused.code == 2
        assert "is a part of a run, and stays" in refused.err
    assert (folder / name).read_bytes() == before


def test_a_report_goes_through_a_link_and_into_a_pipe_and_leaves_them_there(run: Run, folder: Path) -> None:
    target, link, pipe = (folder.parent / name for name in ("target.json", "link.json", "pipe"))
    target.write_text("old")
    link.symlink_to(target)
    assert run("report", folder, "--format", "json", "--out", link).code == 0
    assert link.is_symlink()
    json.loads(target.read_text("utf-8"))
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_bytes)
        assert run("report", folder, "--format", "json", "--out", pipe).code == 0
        json.loads(read.result(timeout=30))
    assert pipe.is_fifo()


def test_the_page_goes_beside_the_run_and_the_run_still_verifies(run: Run, folder: Path) -> None:
    done = run("report", folder, "--format", "html")
    assert done.code == 0
    assert f"file://{folder.resolve()}/report.html" in done.err.replace("\n", "")
    assert (folder / "report.html").read_text("utf-8").startswith("<!doctype html>")
    assert run("verify", folder).code == 0


def test_a_form_goes_to_a_file_or_to_stdout(run: Run, folder: Path, tmp_path: Path) -> None:
    assert json.loads(run("report", folder, "--format", "json").out)["verdict"] == "fail"
    assert run("report", folder, "--format", "html", "--out", "-").out.startswith("<!doctype html>")
    out = tmp_path / "gates.xml"
    assert run("report", folder, "--format", "junit", "--out", out).code == 0
    assert out.read_text("utf-8").startswith("<?xml")
    missing = run("report", folder, "--format", "junit", "--out", tmp_path / "no" / "gates.xml")
    assert missing.code == 2
    assert "there is no folder" in missing.err


def test_a_run_that_does_not_verify_says_so_first_and_ends_with_1(run: Run, folder: Path) -> None:
    with (folder / "journal-0.jsonl").open("ab") as file:
        file.write(b"{}\n")
    done = run("report", folder)
    assert done.code == 1
    assert done.out.splitlines()[1].startswith("│ DOES NOT VERIFY")
    assert "nothing in the report can be relied on" in done.err
    page = run("report", folder, "--format", "html", "--out", "-")
    assert page.code == 1
    assert "DOES NOT VERIFY" in page.out


def test_without_verifying_the_report_says_that_nobody_did(run: Run, folder: Path) -> None:
    page = run("report", folder, "--format", "html", "--out", "-", "--no-verify").out
    assert "not verified" in page
    assert "NOT VERIFIED" in run("report", folder, "--no-verify").out
    assert "**Not verified**" in run("report", folder, "--no-verify", "--format", "markdown").out


@pytest.mark.parametrize(
    "change",
    [
        {"figures": [{}]},
        {"figures": 3},
        {"gates": [1]},
        {"verdict": 3},
        {"verdict": "<b>"},
        {"earlier": [1]},
        {"attempt": "x"},
        {"started": None},
    ],
)
def test_a_seal_that_says_anything_is_no_bug(run: Run, folder: Path, change: dict[str, Any]) -> None:
    path = folder / "seal.json"
    path.write_bytes(canonical(json.loads(path.read_bytes()) | change) + b"\n")
    for form in ("terminal", "html", "json", "junit", "markdown"):
        assert run("report", folder, "--format", form, "--out", "-").code in {1, 2}


def test_a_figure_that_is_no_number_is_no_bug(run: Run, folder: Path) -> None:
    path = folder / "seal.json"
    seal = json.loads(path.read_bytes())
    seal["figures"][0]["value"] = "much"
    path.write_bytes(canonical(seal) + b"\n")
    assert run("report", folder).code == 2


def test_what_is_no_run_or_no_form_is_wrong_usage(run: Run, folder: Path, tmp_path: Path) -> None:
    assert run("report", tmp_path).code == 2
    done = run("report", folder, "--format", "jnit")
    assert done.code == 2
    assert "did you mean 'junit'" in done.err


def test_a_plugin_adds_a_form(run: Run, folder: Path, plugged: Callable[..., None]) -> None:
    class Short:
        name, summary, suffix = "short", "one word", "txt"

        def render(self, _run: Path, report: Any, /) -> str:
            return str(report.verdict)

    plugged(reports=lambda: [Short()])
    assert run("report", folder, "--format", "short").out == "fail\n"
