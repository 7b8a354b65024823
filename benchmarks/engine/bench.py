"""Both sides in turns, on the same files and rows."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.engine.agreement import agreement, errors
from benchmarks.engine.kept import Kept, digest_of, engine
from benchmarks.engine.sides import Sides, ran
from benchmarks.engine.work import BATCHES, Work, task_files

Taken = dict[str, list[dict[str, Any]]]


class Bench:
    """Measures a work: a trial for the peer's batch size, then rounds in which who goes first changes."""

    def __init__(self, sides: Sides, kept: Kept, packages: Mapping[str, str]) -> None:
        self._sides = sides
        self._kept = kept
        self._packages = dict(packages)

    def measured(self, work: Work, *, rounds: int) -> list[dict[str, Any]]:
        """A result for every peer, with all rounds' seconds and what the last one computed compared."""
        batches = {peer: self._best(work, peer) for peer in work.peers}
        taken: Taken = {side: [] for side in ("ours", *work.peers)}
        for number in range(rounds):
            for side in list(taken) if number % 2 == 0 else list(reversed(taken)):
                _say(f"{work.title}: round {number + 1} of {rounds}, {side}")
                taken[side].append(
                    self._sides.ours(work) if side == "ours" else self._sides.peer(work, side, batches[side])
                )
        for side, some in taken.items():
            self._kept.keep(self._key_of_values(work, side), some[-1]["values"])
        more = self._errors(work, taken)
        return [
            _result(work, peer, batches[peer], taken) | {"tried": self._tried(work, peer)} | more for peer in work.peers
        ]

    def _errors(self, work: Work, taken: Taken) -> dict[str, Any]:
        """How far each side's likelihoods in half precision lie from its own in single precision."""
        if work.kind != "score" or work.dtype == "float32":
            return {}
        found = {side: errors(some[-1]["values"], self._single(work, side)) for side, some in taken.items()}
        peer = next(side for side in taken if side != "ours")
        return {"off single precision": {"ours": found["ours"], "peer": found[peer]}}

    def _single(self, work: Work, side: str) -> list[Any]:
        """What a side computes in single precision: kept from its own line, or computed now."""

        def compute() -> list[Any]:
            _say(f"{work.title}: {side} in single precision, to compare with")
            single = work.in_single()
            if side == "ours":
                return list(self._sides.ours(single)["values"])
            return list(self._sides.peer(single, side, self._best(single, side))["values"])

        return self._kept.once(self._key_of_values(work.in_single(), side), compute)

    def _key_of_values(self, work: Work, side: str) -> list[Any]:
        of = engine() if side == "ours" else ""
        return ["values", side, of, _files(work.rows, work.model), work.dtype, self._packages]

    def _best(self, work: Work, peer: str) -> int:
        seconds = self._tried(work, peer)
        return min(seconds, key=lambda size: seconds[size])

    def _tried(self, work: Work, peer: str) -> dict[int, float]:
        """The peer's seconds at each batch size, on a few rows of the kind; empty times where there is no choice."""
        sizes = BATCHES[work.kind]
        if not sizes[1:]:
            return dict.fromkeys(sizes, 0.0)
        trial = work.on_trial()

        def measure() -> dict[str, float]:
            _say(f"{work.title}: {peer} is tried with batches of {', '.join(map(str, sizes))}")
            return {str(size): taken for size, taken in self._sides.tried(trial, peer, sizes).items()}

        key = ["batches", peer, sizes, _files(trial.rows, trial.model), trial.dtype, self._packages]
        return {int(size): taken for size, taken in self._kept.once(key, measure).items()}


class OneQuestion:
    """From start to sealed run, against the peer's own command with a task of its own wording, in wall seconds."""

    title = "one-question audit, start to end 15M float32"
    names = (("one-question audit, start to end", "15M", "float32", "lm-eval"),)
    groups = frozenset({"part", "whole"})

    def __init__(self, folder: Path, data: Path, peer: Path) -> None:
        self._folder, self._data, self._peer = folder, data, peer

    def measured(self, *, rounds: int) -> list[dict[str, Any]]:
        """One result."""
        model, place = self._folder / "15M", self._folder / "one"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        task = _local_task(self._peer, self._data, place)
        ours = [str(Path(sys.executable).with_name("orca-guard")), "audit", "--suite", "basics-choices", "--limit", "1"]
        ours += ["--model", str(model), "--out", str(place / "runs"), "--no-doctor", "--run"]
        theirs = [str(self._peer.with_name("lm_eval")), "run", "--model", "hf", "--model_args"]
        theirs += [f"pretrained={model},dtype=float32", "--tasks", task, "--include_path", str(place)]
        theirs += ["--limit", "1", "--device", "cpu", "--batch_size", "1"]
        taken: dict[str, list[float]] = {"ours": [], "lm-eval": []}
        for number in range(rounds):
            _say(f"{self.title}: round {number + 1} of {rounds}")
            taken["ours"].append(ran([*ours, f"run{number}"], codes=(0, 1, 3)))
            taken["lm-eval"].append(ran(theirs))
        work = {"work": "one-question audit, start to end", "model": "15M", "dtype": "float32", "kind": "audit"}
        return [work | {"items": 1} | compared("lm-eval", 1, taken["lm-eval"], taken["ours"])]


def compared(peer: str, batch: int, theirs: Sequence[float], ours: Sequence[float]) -> dict[str, Any]:
    """Seconds of both sides round by round, and what the peer's come to in ours."""
    ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
    seconds = {"ours": [round(s, 3) for s in ours], "peer": [round(s, 3) for s in theirs]}
    ratio = {"median": median(ratios), "low": min(ratios), "high": max(ratios)}
    return {"peer": peer, "batch": batch, "seconds": seconds, "ratio": ratio}


def _result(work: Work, peer: str, batch: int, taken: Taken) -> dict[str, Any]:
    ours, theirs = taken["ours"], taken[peer]
    return {
        "work": work.name,
        "kind": work.kind,
        "model": Path(work.model).name,
        "dtype": work.dtype,
        "items": work.items,
        **compared(peer, batch, [one["seconds"] for one in theirs], [one["seconds"] for one in ours]),
        "tokens": {"ours": ours[-1]["tokens"], "peer": theirs[-1]["tokens"]},
        "rows": {"ours": ours[-1]["rows"], "peer": theirs[-1]["rows"]},
        "peak bytes": {"ours": max(one["peak"] for one in ours), "peer": max(one["peak"] for one in theirs)},
        "agreement": agreement(work.kind, ours[-1]["values"], theirs[-1]["values"]),
    }


def _files(rows: str, model: str) -> list[str]:
    """What tells rows and a model from others: their contents."""
    return [digest_of(Path(rows)), digest_of(*(path for path in Path(model).iterdir() if path.is_file()))]


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


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
