"""A run held against another one: by the same items, under the same metric, as it was sealed, and verified alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orca_guard.errors import OrcaGuardError
from orca_guard.freezing import freeze
from orca_guard.journal.bundle import Bundle
from orca_guard.plan import BenchmarkTable, read
from orca_guard.verify import Status, verify
from tests import independent_figures, independent_verifier
from tests.auditing import MODELS, arm, audited, host, request
from tests.verify.forging import Forger

TABLES = (BenchmarkTable(name="basics-questions"),)
TUNED = replace(
    MODELS["oracle"], name="tuned", writes=lambda prompt: MODELS["oracle"].writes(prompt) if "7" not in prompt else "?"
)
BY = {**MODELS, "tuned": TUNED}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    audit, _ = audited(request(arm("oracle"), benchmarks=TABLES), tmp_path_factory.mktemp("base"))
    return audit.bundle.root


def gate(run: Path, **more: Any) -> dict[str, Any]:
    margin = {"margin": 0.4, "baseline": "oracle", "baseline_run": str(run)}
    return {"benchmark": "basics-questions", "metric": "accuracy", **margin, **more}


def test_a_fine_tune_is_held_against_what_it_was_made_of(base: Path, tmp_path: Path) -> None:
    gates = (gate(base), gate(base, margin=0.1))
    asked = request(arm("tuned"), arm("oracle"), benchmarks=TABLES, gates=gates)
    audit, seal = audited(asked, tmp_path, by=host(BY))
    rulings = {(row["subject"], row["margin"]): row["ruling"] for row in seal["gates"]}
    assert rulings["oracle", 0.1] == "pass", "an arm may be called as the baseline of another run is"
    assert rulings["tuned", 0.4] == "pass"
    assert rulings["tuned", 0.1] in {"inconclusive", "fail"}
    plan = audit.bundle.read_plan()
    [baseline] = plan["baselines"]
    assert (len(baseline["scores"]), set(baseline["scores"])) == (50, {1})
    assert {row["baseline_run"] for row in plan["gates"]} == {baseline["run"]}
    assert not verify(audit.bundle.root).faulty
    independent_verifier.verify(audit.bundle.root)
    independent_figures.verify(audit.bundle.root)


@pytest.mark.parametrize(
    ("more", "tables", "words"),
    [
        ({"baseline": "orcle"}, TABLES, "unknown subject of .*: did you mean 'oracle'"),
        ({"baseline_run": "nowhere"}, TABLES, "nowhere"),
        ({"metric": "acuracy"}, TABLES, "another 'acuracy'"),
        ({"benchmark": "basics-choices"}, (BenchmarkTable(name="basics-choices"),), "unknown benchmark of"),
    ],
)
def test_what_cannot_be_compared_is_refused(base: Path, more: Any, tables: Any, words: str) -> None:
    with pytest.raises(OrcaGuardError, match=words):
        freeze(request(arm("tuned"), benchmarks=tables, gates=(gate(base, **more),)), host(BY))


def test_other_items_are_refused(tmp_path: Path) -> None:
    few = (BenchmarkTable(name="basics-questions", limit=20),)
    audit, _ = audited(request(arm("oracle"), benchmarks=few), tmp_path)
    with pytest.raises(OrcaGuardError, match="30 of 50 items are not those of"):
        freeze(request(arm("tuned"), benchmarks=TABLES, gates=(gate(audit.bundle.root),)), host(BY))


def test_a_baseline_that_was_changed_is_refused(tmp_path: Path) -> None:
    audit, _ = audited(request(arm("oracle"), benchmarks=TABLES), tmp_path)
    journal = Bundle(audit.bundle.root).journal(0)
    journal.write_bytes(journal.read_bytes().replace(b'"mark":"pass"', b'"mark":"fail"', 1))
    with pytest.raises(OrcaGuardError, match="is not as it was sealed"):
        freeze(request(arm("tuned"), benchmarks=TABLES, gates=(gate(audit.bundle.root),)), host(BY))


@pytest.mark.parametrize("bound", [{"margin": 0.1}, {"at_least": 0.1}])
def test_a_baseline_run_without_a_baseline_is_told_so(base: Path, bound: Any) -> None:
    asked = {"benchmark": "basics-questions", "metric": "accuracy", "baseline_run": str(base), **bound}
    with pytest.raises(OrcaGuardError, match="baseline") as refused:
        freeze(request(arm("tuned"), benchmarks=TABLES, gates=(asked,)), host(BY))
    assert "None" not in str(refused.value)


def test_a_run_is_found_from_the_audit_files_folder(tmp_path: Path) -> None:
    file = tmp_path / "audit.toml"
    file.write_text(
        '[[benchmarks]]\nname = "basics-questions"\n[[gates]]\nbenchmark = "basics-questions"\nmetric = "accuracy"\n'
        'margin = 0.1\nbaseline = "default"\nbaseline_run = "runs/base"\n'
    )
    assert read(file).table.gates[0]["baseline_run"] == str(tmp_path / "runs/base")


@pytest.mark.parametrize("strange", [[{}], [{"run": 3}], 7])
def test_baselines_that_are_none_are_a_fault_and_no_crash(base: Path, tmp_path: Path, strange: Any) -> None:
    forger = Forger(Path(shutil.copytree(base, tmp_path / "run")))
    forger.plan["baselines"] = strange
    forger.rechain()
    forger.write()
    faults = [check.name for check in verify(forger.folder).checks if check.status is Status.FAULT]
    assert "plan" in faults


def test_scores_of_a_baseline_that_were_changed_are_found(base: Path, tmp_path: Path) -> None:
    asked = request(arm("tuned"), benchmarks=TABLES, gates=(gate(base, margin=0.1),))
    audit, _ = audited(asked, tmp_path, by=host(BY))
    forger = Forger(audit.bundle.root)
    forger.plan["baselines"][0]["scores"] = [0] * 50
    forger.rechain()
    forger.seal |= {"plan": forger.digest}
    forger.write()
    faults = {check.name for check in verify(audit.bundle.root).checks if check.status is Status.FAULT}
    assert {"gates", "verdict"} & faults


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"group": "category=nope"}, r"gate 1 \(.*\) cannot pass: no item that is asked is of category=nope"),
        ({"labels": 5000}, "5000 labels are asked for, and basics-questions has 50 items"),
        ({"benchmark": "nope", "policy": "mine"}, "gate 1 names a policy"),
    ],
)
def test_a_gate_that_nobody_could_pass_is_refused_before_anything_is_asked(more: Any, words: str) -> None:
    asked = {"benchmark": "basics-questions", "metric": "accuracy", "at_least": 0.1, **more}
    with pytest.raises(OrcaGuardError, match=words):
        freeze(request(arm("oracle"), benchmarks=TABLES, gates=(asked,)), host(BY))
