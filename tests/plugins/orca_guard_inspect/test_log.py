"""The log of Inspect: every record once, and its own reader takes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orca_guard.errors import BadInput
from orca_guard.reports.summary import Summary
from orca_guard.testing import check_report_form
from orca_guard_inspect.log import InspectLog
from tests.reports.conftest import sealed, summary

__all__ = ["sealed", "summary"]

READ_BACK = """
import json, sys
from inspect_ai.log import read_eval_log
log = read_eval_log(sys.argv[1])
scores = {score.name: score.metrics["value"].value for score in log.results.scores}
print(json.dumps({
    "status": log.status, "samples": [sample.id for sample in log.samples], "scores": scores,
    "marks": [sample.metadata["mark"] for sample in log.samples],
    "answers": [sample.output.completion for sample in log.samples],
    "inputs": [sample.input for sample in log.samples],
    "invalidated": log.invalidated,
}))
"""


def test_it_keeps_the_contract(sealed: Path, summary: Summary) -> None:
    check_report_form(InspectLog(), sealed, summary)


def test_every_record_is_a_sample_once(sealed: Path, summary: Summary) -> None:
    log = json.loads(InspectLog().render(sealed, summary))
    names = [sample["id"] for sample in log["samples"]]
    assert len(names) == len(set(names)) == summary.run.records
    marks = [sample["metadata"]["mark"] for sample in log["samples"]]
    assert marks.count("fail") == sum(account.marks["fail"] for account in summary.accounts)
    assert log["eval"]["metadata"]["orca_guard"]["verdict"] == summary.verdict


def test_a_run_that_does_not_verify_is_invalidated(sealed: Path, summary: Summary) -> None:
    assert json.loads(InspectLog().render(sealed, replace(summary, faulty=True)))["invalidated"] is True


def test_a_run_that_is_too_large_for_one_document_is_refused(sealed: Path, summary: Summary) -> None:
    with pytest.raises(BadInput, match="use json"):
        InspectLog().render(sealed, replace(summary, run=replace(summary.run, records=10**6)))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_reader_of_inspect_takes_it(sealed: Path, summary: Summary, tmp_path: Path) -> None:
    path, environment = tmp_path / "run.json", tmp_path / "venv"
    path.write_text(InspectLog().render(sealed, summary), "utf-8")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}

    def call(*command: str | Path) -> str:
        done = subprocess.run(command, env=kept, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call(sys.executable, "-m", "venv", environment)
    python = environment / "bin" / "python"
    call(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "inspect_ai")
    found = json.loads(call(python, "-c", READ_BACK, path))
    log = json.loads(path.read_text("utf-8"))
    assert found["status"] == "success"
    assert found["samples"] == [sample["id"] for sample in log["samples"]]
    whole = {f"{f.benchmark}/{f.subject}/{f.metric}": f.value for f in summary.figures if not f.group}
    assert found["scores"] == whole
    assert found["answers"] == [sample["output"]["choices"][0]["message"]["content"] for sample in log["samples"]]
