"""Audits by two processes under torchrun: what they find is what one finds, and what disturbs them loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.packs import SHARED, needs_data

BIN = Path(sys.executable).parent
PATIENCE_S = 240.0
NOISE = 1e-3
"""Of log-likelihoods in single precision, as docs/bundle.md says."""

AUDIT = """
name = "ranks"
unit = 4

[[benchmarks]]
name = "basics-choices"

[[benchmarks]]
name = "basics-questions"
limit = 20

[[arms]]
name = "direct"
strategy = "direct"

[[arms]]
name = "cautious"
strategy = "cautious"

[[gates]]
benchmark = "basics-choices"
metric = "accuracy"
at_least = 0.05
"""

INSIDE = """
import sys
from accelerate import PartialState
from orca_guard.audit import Rank
from orca_guard.cli import invoke

state = PartialState(cpu=True)
assert Rank.here() == Rank(state.process_index, state.num_processes), state
code = invoke(sys.argv[1:])
state.destroy_process_group()
sys.exit(code)
"""
"""A program of one's own, with a process group open around the audit."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the audit file and the run `alone`, by one process."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "audit.toml").write_text(AUDIT, "utf-8")
    command(folder, "audit", "--plan", "audit.toml", "--run", "alone")
    return folder


def command(folder: Path, *arguments: str, code: int = 0) -> str:
    """What `orca-guard` prints, which must end so."""
    done = subprocess.run([BIN / "orca-guard", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def torchrun(folder: Path, *arguments: str | Path, processes: int = 2) -> subprocess.Popen[str]:
    """So many processes of one command, with one pipe for all that they say."""
    launch: list[str | Path] = [BIN / "torchrun", "--nnodes", "1", "--nproc-per-node", str(processes), "--standalone"]
    environ = os.environ | {"OMP_NUM_THREADS": "1", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([*launch, *arguments], cwd=folder, env=environ, **pipes)


def audit_by_two(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return torchrun(folder, "--no-python", "--", "orca-guard", "audit", *arguments)


def records(run: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    lines = (json.loads(line) for path in run.glob("journal-*.jsonl") for line in path.read_bytes().splitlines())
    return {(r["benchmark"], r["item"], r["subject"]): r for r in lines if r["kind"] == "item"}


EXACT = ("digest", "question", "unit", "identity", "passes", "disposition", "mark", "value", "verdicts", "attempts")


def check_equal(folder: Path, name: str, *, alone: str = "alone") -> None:
    """The run is sealed, holds together, and found what the one by a single process did."""
    command(folder, "verify", f"runs/{name}")
    one, two = (json.loads((folder / "runs" / run / "seal.json").read_bytes()) for run in (alone, name))
    assert [shard["rank"] for shard in two["shards"]] == [0, 1]
    assert (one["plan"], one["verdict"], len(one["figures"])) == (two["plan"], two["verdict"], len(two["figures"]))
    for a, b in zip(one["figures"], two["figures"], strict=True):
        assert a["value"] == pytest.approx(b["value"], abs=NOISE)
        assert a["counts"] == b["counts"]
    wanted, found = (records(folder / "runs" / run) for run in (alone, name))
    assert wanted.keys() == found.keys()
    for key, record in wanted.items():
        assert {k: record[k] for k in EXACT} == {k: found[key][k] for k in EXACT}
        assert record["scores"] == pytest.approx(found[key]["scores"], abs=NOISE)
        for a, b in zip(record["likelihoods"] or (), found[key]["likelihoods"] or (), strict=True):
            assert (a[0] == pytest.approx(b[0], abs=NOISE), a[1:]) == (True, b[1:])


def test_two_processes_with_a_group_of_their_own_find_what_one_does(store: Path) -> None:
    (store / "inside.py").write_text(INSIDE, "utf-8")
    running = torchrun(store, "--", "inside.py", "audit", "--plan", "audit.toml", "--run", "both", "--cache", "kept")
    said, _ = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 0, said
    check_equal(store, "both")
    shares = [len(path.read_bytes().splitlines()) for path in sorted((store / "runs" / "both").glob("journal-*"))]
    assert max(shares) - min(shares) <= 2 * 2  # one item of each benchmark more, each under two subjects at most
    running = audit_by_two(store, "--plan", "audit.toml", "--run", "kept", "--cache", "kept")
    said, _ = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 0, said
    assert all(record.get("cached") for record in records(store / "runs" / "kept").values())


@needs_data
def test_a_suite_of_published_benchmarks(store: Path) -> None:
    """Questions, likelihoods, labels and judges by classifier, of several benchmarks."""
    asked = ("--suite", "safety", "--limit", "2", "--data", str(SHARED), "--no-doctor")
    command(store, "audit", *asked, "--run", "safety-alone", code=3)
    running = audit_by_two(store, *asked, "--run", "safety")
    said, _ = running.communicate(timeout=PATIENCE_S)
    assert "sealed: runs/safety" in said
    check_equal(store, "safety", alone="safety-alone")


@pytest.fixture
def cut(store: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[Callable[[int, int], None]], str]]:
    """Disturb a run when both processes have recorded something; what the processes said."""
    name = request.node.name.removeprefix("test_")
    running = audit_by_two(store, "--plan", "audit.toml", "--run", name)
    shards = [store / "runs" / name / f"journal-{rank}.jsonl" for rank in (0, 1)]

    def disturb(how: Callable[[int, int], None]) -> str:
        until = time.monotonic() + PATIENCE_S
        while not all(path.exists() and path.read_bytes().count(b"\n") > 5 for path in shards):
            assert time.monotonic() < until, "nothing was recorded"
            assert running.poll() is None, running.communicate()
            time.sleep(0.02)
        how(running.pid, worker(running.pid, rank=1))
        said, _ = running.communicate(timeout=PATIENCE_S)
        assert running.returncode != 0, said
        assert not (shards[0].with_name("seal.json")).exists()
        return said

    yield disturb
    if running.poll() is None:
        running.kill()
        running.communicate()


def worker(launcher: int, *, rank: int) -> int:
    """The process of that rank among a launcher's children."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            parent = f"PPid:\t{launcher}\n" in status.read_text("utf-8")
            environ = status.with_name("environ").read_bytes().split(b"\0") if parent else []
        except OSError:
            continue
        if f"RANK={rank}".encode() in environ:
            return int(status.parent.name)
    raise AssertionError(f"there is no process {rank}")


def gone_on_with(store: Path, name: str) -> None:
    running = audit_by_two(store, "--resume", f"runs/{name}", "--world-size", "2")
    said, _ = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 0, said
    check_equal(store, name)


def test_killed(store: Path, cut: Callable[[Callable[[int, int], None]], str]) -> None:
    said = cut(lambda _launcher, worker: os.kill(worker, signal.SIGKILL))
    assert "what is recorded is safe; go on with: orca-guard audit --resume runs/killed, by 2 processes" in said
    done = subprocess.run(
        [BIN / "orca-guard", "audit", "--resume", "runs/killed"], cwd=store, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "was begun with 2 processes, and now there is 1" in done.stderr
    gone_on_with(store, "killed")


def test_interrupted(store: Path, cut: Callable[[Callable[[int, int], None]], str]) -> None:
    workers: list[int] = []

    def interrupt(launcher: int, _worker: int) -> None:
        workers.extend(worker(launcher, rank=rank) for rank in (0, 1))
        os.kill(launcher, signal.SIGINT)

    said = cut(interrupt)
    assert said.count("what is recorded is safe") == said.count("\ninterrupted") == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    gone_on_with(store, "interrupted")


def test_another_number_of_processes_than_was_asked_for_is_refused(store: Path) -> None:
    running = audit_by_two(store, "--plan", "audit.toml", "--run", "refused", "--world-size", "3")
    said, _ = running.communicate(timeout=PATIENCE_S)
    assert running.returncode != 0
    assert "3 processes were asked for, and there are 2. Start as many by `torchrun --nproc-per-node 3`" in said
    assert not (store / "runs" / "refused").exists()
