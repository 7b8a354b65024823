"""Measures the engine beside its peers, in turns, on the same files and rows: `python -m benchmarks.engine`."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.engine.table import agreement, conditions, markdown, written_into
from benchmarks.engine.work import Work, preamble_of, task_files, works

ROOT = Path(__file__).parents[2]
RESULTS, PAGE = ROOT / "benchmarks/results.json", ROOT / "docs/performance.md"
BATCHES = {"score": (1, 4), "generate": (16, 64), "classify": (32,)}
SMALLEST = {"score": "15M", "generate": "15M", "classify": "BERT-base"}
MARKS = ("<!-- measured -->\n", "<!-- /measured -->\n")


def main() -> None:
    """Every work in turn: a trial for the peer's best batch size, then rounds in which who goes first changes."""
    options = _options()
    bench = Bench(options.peer, options.folder)
    before = conditions(bench.ours("peak"))
    done = Done(options.folder / "done", rounds=options.rounds, full=options.full)
    measured: list[dict[str, Any]] = []
    for work in works(options.folder, options.data, preamble_of(options.peer), full=options.full):
        if re.search(options.only, f"{work.name} {Path(work.model).name} {work.dtype}"):
            measured += done.once(str(work.as_json()), partial(bench.measured, work, rounds=options.rounds))
            print(markdown(measured[-len(work.peers) :], before, header=False), flush=True)
    if re.search(options.only, "audit"):
        measured += done.once("audit", partial(bench.one_question, options.data, rounds=options.rounds))
    found = {"conditions": before | {"load after": os.getloadavg()[0], "rounds": options.rounds}, "results": measured}
    (options.folder / "results.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    if options.write:
        _write(found)
    if not options.only:
        done.forget()


class Done:
    """What a run that was cut short has measured: it is not measured again by the same code on the same rows."""

    def __init__(self, folder: Path, *, rounds: int, full: bool) -> None:
        code = [*(ROOT / "benchmarks/engine").glob("*.py"), *(ROOT / "plugins/orca_guard_hf").glob("*.py")]
        self._key = sha256(b"".join(path.read_bytes() for path in sorted(code))).hexdigest() + f"{rounds} {full}"
        self._folder = folder

    def once(self, name: str, measure: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """The results of this name, measured now unless they are there."""
        path = self._folder / f"{sha256(f'{self._key} {name}'.encode()).hexdigest()[:24]}.json"
        if not path.exists():
            found = measure()
            self._folder.mkdir(exist_ok=True)
            path.with_suffix(".part").write_text(json.dumps(found), "utf-8")
            path.with_suffix(".part").replace(path)
        results: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
        return results

    def forget(self) -> None:
        """The run is complete."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build/bench", help="where models and rows are kept")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="folder of the benchmarks' data")
    parser.add_argument("--peer", type=Path, default=ROOT / "build/bench/peer/bin/python", help="the peers' Python")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", metavar="REGEX", help="of a work's name, model and dtype")
    parser.add_argument("--full", action="store_true", help="all questions: hours")
    parser.add_argument("--write", action="store_true", help="into benchmarks/results.json and docs/performance.md")
    return parser.parse_args()


class Bench:
    """Runs each side in a process of its own, one at a time."""

    def __init__(self, peer: Path, folder: Path) -> None:
        self._peer = peer
        self._folder = folder
        self._best_of: dict[tuple[str, str, str], int] = {}

    def measured(self, work: Work, *, rounds: int) -> list[dict[str, Any]]:
        """A result for every peer, with all rounds' seconds and what the last one computed compared."""
        batches = {peer: self._best(work, peer) for peer in work.peers}
        taken: dict[str, list[dict[str, Any]]] = {side: [] for side in ("ours", *work.peers)}
        for number in range(rounds):
            sides = list(taken) if number % 2 == 0 else list(reversed(taken))
            for side in sides:
                taken[side].append(self.ours(work) if side == "ours" else self.peer(work, side, batches[side]))
        return [_result(work, peer, batches[peer], taken) for peer in work.peers]

    def ours(self, work: Work | str) -> dict[str, Any]:
        """What `benchmarks.engine.ours` found."""
        asked = json.dumps(work if isinstance(work, str) else work.as_json())
        return self._run([sys.executable, "-m", "benchmarks.engine.ours", asked])

    def peer(self, work: Work, peer: str, batch: int) -> dict[str, Any]:
        """What `benchmarks.engine.peer` found."""
        asked = json.dumps(work.as_json())
        return self._run([str(self._peer), "-m", "benchmarks.engine.peer", asked, peer, str(batch)])

    def _best(self, work: Work, peer: str) -> int:
        """The batch size at which the peer is fastest, found with the first model of a kind of work and precision.

        On an eighth of the rows, or on all where they differ much.
        """
        sizes, kind = BATCHES[work.kind], (work.kind, work.dtype, peer)
        if kind not in self._best_of:
            rows = work.asked()
            some = rows if work.kind == "generate" else rows[:: max(len(rows) // 8, 1)]
            path = self._folder / "trial.json"
            path.write_text(json.dumps(some), "utf-8")
            trial = Work(**{**work.as_json(), "model": str(self._folder / SMALLEST[work.kind]), "rows": str(path)})
            taken = {size: float(self.peer(trial, peer, size)["seconds"]) for size in sizes} if sizes[1:] else {}
            self._best_of[kind] = min(taken, key=lambda size: taken[size]) if taken else sizes[0]
        return self._best_of[kind]

    def _run(self, command: Sequence[str]) -> dict[str, Any]:
        quiet = {"TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            done = subprocess.run(
                [*command, out.name], cwd=ROOT, env=os.environ | quiet, capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(f"{' '.join(command)[:300]}\n{done.stderr[-3000:]}")
            found: dict[str, Any] = json.loads(Path(out.name).read_text("utf-8"))
            return found

    def one_question(self, data: Path, *, rounds: int) -> list[dict[str, Any]]:
        """From start to sealed run, against the peer's own command with a task of its own wording, in wall seconds."""
        model, place = self._folder / "15M", self._folder / "one"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        task = _local_task(self._peer, data, place)
        ours = [str(Path(sys.executable).with_name("orca-guard")), "audit", "--suite", "basics-choices", "--limit", "1"]
        ours += ["--model", str(model), "--out", str(place / "runs"), "--no-doctor", "--run"]
        theirs = [str(self._peer.with_name("lm_eval")), "run", "--model", "hf", "--model_args"]
        theirs += [f"pretrained={model},dtype=float32", "--tasks", task, "--include_path", str(place)]
        theirs += ["--limit", "1", "--device", "cpu", "--batch_size", "1"]
        taken: dict[str, list[float]] = {"ours": [], "lm-eval": []}
        for number in range(rounds):
            taken["ours"].append(_wall([*ours, f"run{number}"]))
            taken["lm-eval"].append(_wall(theirs))
        work = {"work": "one-question audit, start to end", "model": "15M", "dtype": "float32", "kind": "audit"}
        return [work | _compared("lm-eval", 1, taken["lm-eval"], taken["ours"])]


def _result(work: Work, peer: str, batch: int, taken: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    ours, theirs = taken["ours"], taken[peer]
    return {
        "work": work.name,
        "kind": work.kind,
        "model": Path(work.model).name,
        "dtype": work.dtype,
        **_compared(peer, batch, [one["seconds"] for one in theirs], [one["seconds"] for one in ours]),
        "tokens": {"ours": ours[-1]["tokens"], "peer": theirs[-1]["tokens"]},
        "rows": {"ours": ours[-1]["rows"], "peer": theirs[-1]["rows"]},
        "peak bytes": {"ours": max(one["peak"] for one in ours), "peer": max(one["peak"] for one in theirs)},
        "agreement": agreement(work, ours[-1]["values"], theirs[-1]["values"]),
    }


def _compared(peer: str, batch: int, theirs: Sequence[float], ours: Sequence[float]) -> dict[str, Any]:
    ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
    seconds = {"ours": [round(s, 3) for s in ours], "peer": [round(s, 3) for s in theirs]}
    ratio = {"median": median(ratios), "low": min(ratios), "high": max(ratios)}
    return {"peer": peer, "batch": batch, "seconds": seconds, "ratio": ratio}


def _wall(command: Sequence[str]) -> float:
    import time  # noqa: PLC0415  # only here

    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=False
    )
    if done.returncode not in {0, 1, 3}:
        sys.exit(f"{' '.join(command)[:300]}\n{done.stderr[-3000:]}")
    return time.perf_counter() - started


def _local_task(peer: Path, data: Path, place: Path) -> str:
    """The peer's own task, reading rows from a file here."""
    row = json.loads((data / "truthfulqa/mc_task.json").read_text("utf-8"))[0]
    targets = {"choices": list(row["mc1_targets"]), "labels": list(row["mc1_targets"].values())}
    rows = place / "rows.jsonl"
    rows.write_text(json.dumps({"question": row["question"], "mc1_targets": targets}) + "\n", "utf-8")
    text = (task_files(peer) / "truthfulqa_mc1.yaml").read_text("utf-8").replace("task: truthfulqa_mc1", "task: one")
    text = re.sub(r"dataset_path: .*", "dataset_path: json", text)
    text = re.sub(r"dataset_name: .*", f"dataset_kwargs:\n  data_files:\n    validation: {rows}", text)
    (place / "one.yaml").write_text(text, "utf-8")
    return "one"


def _write(found: dict[str, Any]) -> None:
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    written_into(PAGE, MARKS, markdown(found["results"], found["conditions"], header=True))


if __name__ == "__main__":
    main()
