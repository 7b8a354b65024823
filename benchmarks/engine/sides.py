"""Each side runs in a process of its own, one at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine.kept import ROOT
from benchmarks.engine.work import Work

QUIET = {"TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


class Sides:
    """Ours, and the peers under a Python of their own."""

    def __init__(self, peer: Path) -> None:
        self._peer = peer

    def ours(self, work: Work | str) -> dict[str, Any]:
        """What `benchmarks.engine.ours` found."""
        asked = json.dumps(work if isinstance(work, str) else work.as_json())
        return reported([sys.executable, "-m", "benchmarks.engine.ours", asked])

    def peer(self, work: Work, peer: str, batch: int) -> dict[str, Any]:
        """What `benchmarks.engine.peer` found."""
        return self._of_peer(work, peer, str(batch))

    def tried(self, work: Work, peer: str, sizes: Sequence[int]) -> dict[int, float]:
        """The peer's seconds at each of some batch sizes."""
        found = self._of_peer(work, peer, ",".join(map(str, sizes)))
        return {int(size): float(seconds) for size, seconds in found["seconds"].items()}

    def _of_peer(self, work: Work, peer: str, sizes: str) -> dict[str, Any]:
        asked = json.dumps(work.as_json())
        return reported([str(self._peer), "-m", "benchmarks.engine.peer", asked, peer, sizes])


def reported(command: Sequence[str]) -> dict[str, Any]:
    """What a command wrote into the file that is its last argument."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        ran([*command, out.name])
        found: dict[str, Any] = json.loads(Path(out.name).read_text("utf-8"))
        return found


def ran(command: Sequence[str], *, codes: Sequence[int] = (0,)) -> float:
    """Wall seconds of a command; ends everything, with what it said, where it ended otherwise than by these codes."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=os.environ | QUIET, capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        sys.exit(f"{' '.join(command)[:300]}\n{done.stderr[-3000:]}")
    return time.perf_counter() - started
