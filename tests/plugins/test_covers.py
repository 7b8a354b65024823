"""What our own benchmarks say that they cover is a row of a catalogue."""

from __future__ import annotations

import tomllib
from pathlib import Path

from orca_guard import Host
from orca_guard.reports import coverage


def test_every_row_that_a_benchmark_names_is_there() -> None:
    tables = tomllib.loads((Path(coverage.__file__).parent / "coverage.toml").read_text("utf-8"))
    known = {f"{framework['id']}/{row['id']}" for framework in tables["framework"] for row in framework["rows"]}
    known |= {f"{coverage.LIMITATIONS}/{row['id']}" for row in tables["limitation"]}
    named = {row for _, provided in Host.installed().benchmarks for row in getattr(provided.item, "covers", ())}
    assert named
    assert named <= known
