"""Faults that are planted in a model are named where a report is opened, and a sound model raises no alarm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from orca_guard.configuration import GuardTable
from orca_guard.host import Host
from orca_guard.plan import Arm, BenchmarkTable
from orca_guard.reports.summary import Anomaly, Summary
from orca_guard.reports.terminal import FINDINGS
from tests.auditing import arm, audited, plugin, request
from tests.reports.conftest import summarised
from tests.reports.planted import BENCHMARKS, FAULTS, GUARDS, Fault, loader, model

ALLOWED_MISSES = 2
SEEDS = range(3)


def served(name: str, reference: str, guards: tuple[str, ...]) -> Arm:
    """An arm with these guards alone, whose failures are passed over."""
    found = arm(name, model=reference)
    tables = tuple(GuardTable(name=guard, on_error="allow") for guard in guards)
    return replace(found, table=msgspec.structs.replace(found.table, guards=tables))


def report(folder: Path, fault: Fault | None = None, *, seed: int = 0) -> Summary:
    """Of a real audit of the model with its fault."""
    models = [model(fault.model() if fault else {}, seed=seed), *([model(seed=seed)] if fault and fault.beside else [])]
    found = Host(extra={"planted": plugin(models=[loader(*models)], benchmarks=BENCHMARKS, guards=GUARDS)})
    guards = fault.guards if fault else ()
    arms = [served(f"arm-{n}", "planted" if n == 1 else f"planted-{n}", guards) for n in range(1, len(models) + 1)]
    names = [benchmark.name for benchmark in BENCHMARKS]
    if fault:  # the benchmark that shows it, and one that must not
        here = names.index(fault.benchmark)
        names = [names[here], names[here - 1]]
    benchmarks = tuple(BenchmarkTable(name=name) for name in names)
    audit, _ = audited(request(*arms, benchmarks=benchmarks, unit=64), folder, by=found)
    summary = summarised(audit.bundle.root)
    assert not summary.faulty
    return summary


def names(finding: Anomaly, fault: Fault) -> bool:
    return (finding.code, finding.benchmark) == (fault.code, fault.benchmark) and fault.says in finding.what


@pytest.fixture(scope="module")
def screens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Anomaly, ...]]:
    """Fault → what the first screen of its report says."""
    return {f.name: report(tmp_path_factory.mktemp("run"), f).findings[:FINDINGS] for f in FAULTS}


def test_nearly_all_planted_faults_are_named_on_the_first_screen(screens: dict[str, tuple[Anomaly, ...]]) -> None:
    assert len(FAULTS) >= 20
    missed = [f.name for f in FAULTS if not any(names(finding, f) for finding in screens[f.name])]
    assert len(missed) <= ALLOWED_MISSES, missed


def test_a_sound_model_raises_at_most_one_alarm(tmp_path: Path) -> None:
    for seed in SEEDS:
        found = report(tmp_path / str(seed), seed=seed).findings
        assert len(found) <= 1, found


def test_what_is_named_beside_the_fault_is_little(screens: dict[str, tuple[Anomaly, ...]]) -> None:
    """A fault may show in more than one way, but not everywhere."""
    strays = {
        name: [f for f in found if f.benchmark != fault.benchmark]
        for fault in FAULTS
        for name, found in [(fault.name, screens[fault.name])]
    }
    assert sum(map(len, strays.values())) <= len(FAULTS) // 4, strays
