"""Audits that are killed, that fill the disk, and whose clock goes back: what is recorded stays, and is the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kill_audits import Audits, differences, disturb
from orca_guard.audit import Rank, close, resume, run
from orca_guard.cli.auditing import show_seal
from orca_guard.journal.reading import check_shard
from tests.auditing import arm, audited, begun, host, request

ROOT = Path(__file__).parents[1]
KNOWN = (sys.executable, "-m", "tests.known_audit")

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def audit(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*KNOWN, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_that_is_killed_ends_like_one_that_is_not(tmp_path: Path, seed: int) -> None:
    tally, _ = disturb(Audits(tmp_path, first=KNOWN, again=KNOWN), kills=4, seed=seed)
    assert (tally.kills, tally.stuck, tally.different) == (4, [], [])
    assert tally.runs > 0


def test_what_killed_runs_are_compared_by_sees_a_difference(tmp_path: Path) -> None:
    audited(request(arm(), limit=3), tmp_path, name="peace")
    audited(request(arm(), limit=3), tmp_path, name="run")
    assert differences(tmp_path / "peace", tmp_path / "run") == []
    journal = tmp_path / "run" / "journal-0.jsonl"
    journal.write_text(journal.read_text("utf-8").replace('"mark":"pass"', '"mark":"fail"', 1), "utf-8")
    [told] = differences(tmp_path / "peace", tmp_path / "run")
    assert told.startswith("run: basics-")


@pytest.mark.parametrize("largest", [1_000, 18_000, 30_000, 120_000])
def test_a_full_disk_stops_a_run_and_loses_nothing(tmp_path: Path, largest: int) -> None:
    assert audit("--out", tmp_path, "--run", "peace").returncode == 0
    full = audit("--out", tmp_path, "--run", "run", "--largest", str(largest))
    assert full.returncode == 2
    assert "make room and run the same command again" in full.stderr
    folder = tmp_path / "run"
    recorded = len((folder / "journal-0.jsonl").read_bytes()) if (folder / "journal-0.jsonl").exists() else 0
    again = ("--resume", folder) if (folder / "plan.json").exists() else ("--out", tmp_path, "--run", "again")
    done = audit(*again)
    assert done.returncode == 0, done.stderr
    sealed = folder if (folder / "plan.json").exists() else tmp_path / "again"
    assert differences(tmp_path / "peace", sealed) == []
    assert (recorded > 0) is (largest >= 18_000)


# --- a clock that goes back --------------------------------------------------------------------


def test_a_clock_that_goes_back_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Journal and seal keep what the clock said, and whoever looks at the seal is told."""
    asked = request(arm(), limit=9)
    _, peace = audited(asked, tmp_path, name="peace")
    cut = begun(asked, tmp_path, name="run")
    with pytest.raises(KeyboardInterrupt):
        run(cut, host(), place=Rank(), told=_interrupt)
    for module in ("journal.shard", "sealing"):
        monkeypatch.setattr(f"orca_guard.{module}.utc_now", lambda: "2001-01-01T00:00:00Z")
    again = resume(cut.bundle.root, host(), step=lambda *_: None)
    run(again, host(), place=Rank(), told=lambda *_: None)
    seal = close(again, place=Rank())
    assert seal
    assert seal["finished"] == "2001-01-01T00:00:00Z" < seal["started"]
    assert (seal["results"], seal["figures"]) == (peace["results"], peace["figures"])
    assert not check_shard(cut.bundle.journal(0), plan=cut.frozen.digest, rank=0).faults
    rows = [json.loads(line) for line in cut.bundle.journal(0).read_text("utf-8").splitlines()]
    assert [row["at"] for row in rows if row["kind"] == "resumed"] == ["2001-01-01T00:00:00Z"]
    assert (show_seal(tmp_path, peace, as_json=True), "clock" in capsys.readouterr().err) == (3, False)
    assert (show_seal(tmp_path, seal, as_json=True), "the clock went back" in capsys.readouterr().err) == (3, True)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
