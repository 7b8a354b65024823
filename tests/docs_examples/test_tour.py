"""What `make run` shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tour_shows_strategies_a_trace_a_guard_and_a_sealed_audit(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORCA_GUARD_", "PYTHON"))}
    tour = subprocess.run(
        ["bash", ROOT / "docs" / "examples" / "tour.sh"],
        env={**kept, "PATH": path, "HF_HUB_OFFLINE": "1", "ORCA_GUARD_TOUR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert tour.returncode == 0, tour.stdout + tour.stderr
    for answer in ("Paris", "43", "18:30"):
        assert answer in tour.stdout
    assert "pass 1 · step-by-step" in tour.stderr
    assert "Blocked: prompt-injection" in tour.stderr
    assert re.search(r"^verdict: (pass|fail|inconclusive)$", tour.stdout, re.MULTILINE)
    opened = re.search(r"python3 -m webbrowser file://(\S+)", tour.stdout)
    assert opened
    assert Path(opened[1]).read_text("utf-8").startswith("<!doctype html>")


def test_the_makefile_lists_its_targets() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("run", "test", "test-fast", "check", "clean"):
        assert f"  make {target} " in listed
