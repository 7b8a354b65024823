"""Runs that stop as soon as their gates have ruled: where, after being killed, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orca_guard.audit import Rank, begin, close, resume, run
from orca_guard.errors import BadInput
from orca_guard.freezing import freeze
from orca_guard.journal.bundle import RunStore
from orca_guard.rescore import rescore
from orca_guard.verify import Status, verify
from tests import independent_figures, independent_stops, independent_verifier
from tests.auditing import audited, begun
from tests.stopping import GATES, Sums, by, stopping


def nothing(*_: object) -> None:
    """Nothing is told."""


def independent(folder: Path) -> None:
    for script in (independent_verifier, independent_figures, independent_stops):
        script.verify(folder)


@pytest.mark.parametrize(
    ("names", "rulings"),
    [
        (["good"], ["pass"]),
        (["poor"], ["fail"]),
        (["good", "poor"], ["pass", "fail"]),
        (["middling"], ["inconclusive"]),
    ],
)
def test_a_run_stops_when_its_gates_have_ruled(names: list[str], rulings: list[str], tmp_path: Path) -> None:
    audit, seal = audited(stopping(*names), tmp_path, by=by())
    of_flow = [gate for gate in seal["gates"] if gate["benchmark"] == "flow"]
    assert [gate["ruling"] for gate in of_flow] == rulings
    decided = "inconclusive" not in rulings
    assert ("stopped" in seal) is decided
    assert (seal["records"] < audit.frozen.plan["records"]) is decided
    assert sum(f["n"] for f in seal["figures"] if f["benchmark"] == "basics-choices" and not f["group"]) == 12 * len(
        names
    )
    report = verify(audit.bundle.root)
    assert not report.faulty, report
    independent(audit.bundle.root)


def test_a_figure_of_such_a_run_has_the_bounds_of_its_gate(tmp_path: Path) -> None:
    gates = ({**GATES[0], "confidence": 0.975},)
    _, seal = audited(stopping("good", gates=gates), tmp_path, by=by())
    gate, figure = seal["gates"][0], seal["figures"][0]
    assert (figure["low"], figure["high"]) == pytest.approx((gate["low"], gate["high"]))
    assert "bounds that hold whenever asking stops" in gate["reason"]


def test_the_stop_is_where_it_was_whether_or_not_the_run_was_killed(tmp_path: Path) -> None:
    known = by()
    _, whole = audited(stopping("good"), tmp_path, name="whole", by=known)
    audit = begun(stopping("good"), tmp_path, name="cut", by=known)

    def killed(unit: Any, records: Any) -> None:
        if unit.number >= 3 and records:
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(audit, known, place=Rank(), told=killed)
        audit = resume(audit.bundle.root, known, step=nothing)
    run(audit, known, place=Rank(), told=nothing)
    seal = close(audit, place=Rank())
    assert seal is not None
    assert (seal["stopped"], seal["results"], seal["gates"]) == (whole["stopped"], whole["results"], whole["gates"])
    assert not verify(audit.bundle.root).faulty


def test_a_run_that_was_cut_before_its_stop_is_not_complete(tmp_path: Path) -> None:
    known = by()
    audit = begun(stopping("good"), tmp_path, by=known)

    def killed(unit: Any, _records: Any) -> None:
        if unit.number == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(audit, known, place=Rank(), told=killed)
    with pytest.raises(BadInput, match=r"cannot be sealed: .* missing"):
        close(audit, place=Rank())
    status = {check.name: check.status for check in verify(audit.bundle.root).checks}
    assert status["completeness"] is Status.SKIPPED


def test_one_process_decides(tmp_path: Path) -> None:
    frozen = freeze(stopping("good"), by())
    with pytest.raises(BadInput, match="by one process, and here are 2"):
        begin(stopping("good"), frozen, store=RunStore(tmp_path), name="run", place=Rank(0, 2))
    assert not (tmp_path / "run").exists()


def test_clusters_are_asked_one_after_the_other() -> None:
    names = [item.cluster for item in freeze(stopping("good"), by()).benchmarks[0].items if item.cluster]
    assert len([n for n, name in enumerate(names) if not n or names[n - 1] != name]) == len(set(names))
    usual = freeze(stopping("good", gates=({**GATES[0], "sequential": False},)), by())
    assert [item.id for item in usual.benchmarks[0].items] != names


@pytest.mark.parametrize(
    ("gates", "why"),
    [
        (({**GATES[0], "sequential": "yes"},), "sequential is true or false, not 'yes'"),
        (({**GATES[0], "group": "size=odd"},), "leave out margin and group"),
        (({**GATES[0], "at_least": None, "margin": 0.1, "baseline": "good"},), "leave out margin and group"),
        ((GATES[0], {**GATES[0], "at_least": 0.5, "sequential": False}), "make all gates on it sequential, or none"),
        (({**GATES[0], "at_least": 0.999},), "cannot pass"),
    ],
)
def test_gates_that_make_no_sense_are_refused(gates: tuple[Mapping[str, Any], ...], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        freeze(stopping("good", gates=gates), by())


def test_few_clusters_are_refused() -> None:
    with pytest.raises(BadInput, match="has 99 clusters here, and a sequential gate takes 100"):
        freeze(stopping("good"), by(Sums(clusters=99)))
    freeze(stopping("good"), by(Sums(clusters=100)))


def test_scored_again_a_run_ends_where_it_did(tmp_path: Path) -> None:
    audit, seal = audited(stopping("good"), tmp_path, by=by())
    again = rescore(audit.bundle.root, scoring="match-folded", benchmark="flow")
    assert again.seal["stopped"] == seal["stopped"]
    assert again.bundle.read_plan()["rescored"]["asked"] == seal["stopped"]
    assert not verify(again.bundle.root).faulty
    independent(again.bundle.root)
    third = rescore(again.bundle.root, scoring="match", benchmark="flow")
    assert third.seal["stopped"] == seal["stopped"]
    assert json.loads((third.bundle.root / "seal.json").read_bytes())["gates"] == seal["gates"]
