"""Gates that rest on what people say of the answers, as well as on the scores."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orca_guard.errors import BadInput
from orca_guard.freezing import freeze
from orca_guard.gates import Ruling
from orca_guard.journal.bundle import Bundle
from orca_guard.pages import check_page, make_again
from orca_guard.review import bring_in, export
from orca_guard.reviewed import review
from orca_guard.verify import Status, verify
from tests import independent_figures, independent_verifier
from tests.auditing import audited
from tests.reports.conftest import summarised
from tests.stopping import by, stopping
from tests.verify.test_verify import keys

GATE = {"benchmark": "flow", "metric": "accuracy", "at_least": 0.75, "labels": 40}
WHO = {"name": "A. Auditor", "role": "model risk"}
Label = Callable[[int, Mapping[str, Any]], str]


def run_of(folder: Path, **gate: Any) -> Path:
    audit, _ = audited(stopping("good", gates=(GATE | gate,)), folder, by=by())
    return audit.bundle.root


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(tmp_path_factory.mktemp("runs"))


def labelled(folder: Path, out: Path, judge: Label, *, key: Path | None, sample: int = 120, stratify: str = "") -> Path:
    """The run with labels that are stated."""
    made = export(folder, out, sample=sample, seed=5, stratify=stratify)
    rows = {(r["benchmark"], r["item"]): r for r in _records(folder)}
    with (out / "ada.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "label"])
        writer.writerows([row.number, judge(row.number, rows[row.benchmark, row.item])] for row in made.rows)
    bring_in(folder, [out / "ada.csv"], sample=out / "sample.json", speaker=WHO, key=key)
    return folder


def _records(folder: Path) -> list[dict[str, Any]]:
    import json

    lines = (folder / "journal-0.jsonl").read_text("utf-8").splitlines()
    return [fields for line in lines if (fields := json.loads(line))["kind"] == "item"]


def agreeing(_number: int, record: Mapping[str, Any]) -> str:
    return "pass" if record["mark"] == "pass" else "fail"


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(run, tmp_path / "run"))


def test_without_labels_it_is_inconclusive_and_the_seal_says_so(run: Path) -> None:
    (row,) = Bundle(run).read_seal()["gates"]
    assert row["ruling"] == "inconclusive"
    assert "it takes 40 labels" in row["reason"]
    assert row["low"] > 0.75, "the scores alone would pass"
    found = review(run)
    assert found.verdict is Ruling.INCONCLUSIVE
    assert "labelled nothing yet" in found.results[0].reason
    assert not verify(run).faulty
    independent_verifier.verify(run)
    independent_figures.verify(run)


def test_with_signed_labels_it_rules(copy: Path, tmp_path: Path) -> None:
    private, _ = keys(tmp_path, "auditor")
    sealed = (copy / "seal.json").read_bytes()
    found = review(labelled(copy, tmp_path / "out", agreeing, key=private))
    assert found.verdict is Ruling.PASS, found.results[0].reason
    assert "both bounds count" in found.results[0].reason
    assert (copy / "seal.json").read_bytes() == sealed
    assert not verify(copy).faulty


def test_labels_without_a_signature_do_not_count(copy: Path, tmp_path: Path) -> None:
    found = review(labelled(copy, tmp_path / "out", agreeing, key=None))
    assert found.verdict is Ruling.INCONCLUSIVE
    assert "are not signed" in found.results[0].reason


def test_too_few_labels_do_not_count(copy: Path, tmp_path: Path) -> None:
    private, _ = keys(tmp_path, "auditor")
    found = review(labelled(copy, tmp_path / "out", agreeing, key=private, sample=39))
    assert "39 answers have a label that holds, and the gate takes 40" in found.results[0].reason


def test_people_who_disagree_with_the_score_stop_a_pass(copy: Path, tmp_path: Path) -> None:
    private, _ = keys(tmp_path, "auditor")
    strict = lambda number, record: "fail" if number % 3 else agreeing(number, record)  # noqa: E731  # one line
    found = review(labelled(copy, tmp_path / "out", strict, key=private))
    assert found.verdict is Ruling.INCONCLUSIVE, "the scores still say pass, and people fail: neither is ruled on"
    row = found.results[0]
    assert row.low is not None
    assert row.low < 0.5


def test_to_leave_the_hard_ones_out_gains_nothing(copy: Path, tmp_path: Path) -> None:
    """A drawn answer without a label counts as failed for the lower bound, and as passed for the upper one."""
    private, _ = keys(tmp_path, "auditor")
    picked = lambda number, record: "" if number % 3 == 1 else agreeing(number, record)  # noqa: E731  # one line
    found = review(labelled(copy, tmp_path / "out", picked, key=private))
    assert found.verdict is not Ruling.PASS
    row = found.results[0]
    assert row.low is not None
    assert row.low < 0.75


def test_labels_that_were_changed_do_not_count(copy: Path, tmp_path: Path) -> None:
    private, _ = keys(tmp_path, "auditor")
    labelled(copy, tmp_path / "out", agreeing, key=private)
    path = copy / "labels-1.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"final":"fail"', b'"final":"pass"'))
    assert "do not hold" in review(copy).results[0].reason
    assert verify(copy).faulty


def test_of_a_metric_that_is_better_low_the_bounds_are_turned(tmp_path: Path) -> None:
    from dataclasses import replace

    from orca_guard.items import Metric
    from tests.stopping import FLOW

    wrong = Metric(name="wrong", worth={"gold": 0.0}, lower_is_better=True)
    flow = replace(FLOW, metrics=(wrong,))
    gate = {**GATE, "metric": "wrong", "at_least": None, "at_most": 0.3}
    audit, _ = audited(stopping("good", gates=(gate,)), tmp_path / "runs", by=by(flow))
    private, _ = keys(tmp_path, "auditor")
    found = review(labelled(audit.bundle.root, tmp_path / "out", agreeing, key=private))
    row = found.results[0]
    assert row.value is not None
    assert row.high is not None
    assert row.value <= row.high < 0.3 or found.verdict is not Ruling.PASS


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"labels": 5}, "labels is a whole number from 10, not 5"),
        ({"labels": True}, "labels is a whole number"),
        ({"sequential": True}, "leave out margin, group and sequential"),
        ({"group": "size=odd"}, "leave out margin, group and sequential"),
        ({"benchmark": "basics-choices"}, "has no answers that people could label"),
    ],
)
def test_gates_that_make_no_sense_are_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        freeze(stopping("good", gates=(GATE | change,)), by())


def test_a_run_without_such_a_gate_has_nothing_to_rule_on(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="takes labels; its verdict is the one in its seal"):
        review(run_of(tmp_path, labels=0))


def test_a_page_says_what_the_labels_make_of_it_and_is_made_again(copy: Path, tmp_path: Path) -> None:
    from orca_guard.pages import summary_of
    from orca_guard.reports.html import Html

    (copy / "report.html").write_text(Html().render(copy, summary_of(copy, verify(copy))), "utf-8")
    private, _ = keys(tmp_path, "auditor")
    labelled(copy, tmp_path / "out", agreeing, key=private)
    assert check_page(copy).status is Status.FAULT
    assert make_again(copy)
    assert check_page(copy).status is Status.PROVEN
    assert "With people" in (copy / "report.html").read_text("utf-8")
    assert summary_of(copy, verify(copy)).reviewed == "pass"
    assert summarised(copy).gates[0].ruling == "inconclusive"
