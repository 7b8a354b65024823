"""Bounds that are wrong no more often than they say, on a small part of the grid of benchmarks/coverage.py."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from orca_guard.stats import Sample, linear

TRIALS = 2000


def _benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("_coverage", Path(__file__).parents[1] / "benchmarks" / "coverage.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["_coverage"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


grid = _benchmark()
CELLS = [
    cell
    for cell in grid.grid()
    if cell.clusters in {10, 35, 100} and cell.rate in {0.05, 0.2} and cell.correlation in {0.0, 0.3}
]


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_no_bound_is_wrong_more_often_than_it_says_nor_too_far_away(cell: object) -> None:
    assert grid.row_of(cell, TRIALS).faults == []


@pytest.mark.parametrize("sizes", grid.SIZES)
def test_what_is_simulated_is_what_audits_compute(sizes: str) -> None:
    cell = grid.Cell(sizes, 20, 0.0 if sizes == "single" else 0.3, 0.2)
    drawn, events = grid.drawn(cell, 50, np.random.default_rng(1))
    for row, wanted in zip(range(50), grid.effective(drawn, events), strict=True):
        rows = [
            (float(place < hits), str(which))
            for which, (size, hits) in enumerate(zip(drawn[row], events[row], strict=True))
            for place in range(int(size))
        ]
        sample = Sample(scores=[score for score, _ in rows], clusters=[cluster for _, cluster in rows])
        assert linear(sample.columns()).effective == pytest.approx(wanted)


def test_a_plain_interval_would_not_do() -> None:
    """What the simulation is there to find: items of clusters taken for independent ones."""
    cell = grid.Cell("1 to 15", 100, 0.3, 0.2)
    sizes, events = grid.drawn(cell, TRIALS, np.random.default_rng(1))
    n = sizes.sum(1)
    assert (grid.bounds(events.sum(1) / n, n)[1] < cell.rate).mean() > 0.15
