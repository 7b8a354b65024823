"""Every structured forgery is found by what docs/bundle.md says, or found by nothing, as it says there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orca_guard.configuration import ModelTable
from orca_guard.replay import replay
from orca_guard.verify import Check, Report, Status, verify
from tests.verify.conftest import STOPPING, Kind, Make, by
from tests.verify.forging import FORGERIES, Forger, Forgery

DOCS = Path(__file__).parents[2] / "docs" / "bundle.md"


def faulty(report: Report) -> set[str]:
    return {check.name for check in report.checks if check.status is Status.FAULT}


def kind(forgery: Forgery) -> Kind:
    return STOPPING if "stop" in forgery.name else 2 if "shard" in forgery.name else 1


def forge(forgery: Forgery, made: Make, folder: Path) -> Path:
    run = Path(shutil.copytree(made(kind(forgery)), folder))
    forgery.do(Forger(run))
    return run


def replayed(run: Path) -> Check:
    models = {"model": ModelTable(name="known:mixed"), "model-2": ModelTable(name="known:oracle")}
    return replay(run, by(), count=1000, nonce="n", models=models)


def test_an_honest_run_stands_when_it_is_replayed(made: Make) -> None:
    check = replayed(made(2))
    assert check.status is Status.ASSERTED
    assert "could not be followed: they ended in an error" in check.what


@pytest.mark.parametrize("forgery", [pytest.param(f, id=f.name) for f in FORGERIES])
def test_a_forgery_is_found(forgery: Forgery, made: Make, tmp_path: Path) -> None:
    run = forge(forgery, made, tmp_path / "run")
    found = faulty(verify(run))
    if forgery.found in {"nothing", "anchor", "replay"}:
        assert not found
    else:
        assert forgery.found in found, found
    if forgery.found == "anchor":
        registered = verify(made(kind(forgery))).plan
        assert faulty(verify(run, anchor=registered)) == {"anchor"}
    if forgery.found == "replay":
        assert replayed(run).status is Status.FAULT


def test_the_documentation_lists_them_all() -> None:
    text = DOCS.read_text("utf-8")
    missing = [f.name for f in FORGERIES if f"| {f.name} | {f.found} |" not in text]
    assert not missing


def test_names_are_different() -> None:
    assert len({f.name for f in FORGERIES}) == len(FORGERIES)
