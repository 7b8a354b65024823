"""The whole suite `safety` from start to sealed run, beside its requests handed to the peers in sequence."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine.agreement import agreement_of_scores
from benchmarks.engine.bench import Bench, compared
from benchmarks.engine.kept import ROOT
from benchmarks.engine.sides import ran, reported
from benchmarks.engine.work import DTYPES, Work

PART = 16
"""One in so many of the suite's items."""
LIMIT = 128
"""Most tokens of an answer."""
LIMITED = ("--max-new-tokens", str(LIMIT))
TOXIC = "toxigen-completions"
BATCH = 32
"""Texts that `Detoxify.predict` is given at once."""


class Suite:
    """One in `PART` items of every benchmark of the suite that a model of 2,048 tokens can be asked, under both arms.

    Ours is `orca-guard audit`: plan, answers, judging by a classifier, figures, journal and seal. The peers are given
    what that run asked, in one process: lm-evaluation-harness the likelihoods and the prompts, each with a batch size
    of its own, then `Detoxify.predict` the answers to ToxiGen's prompts. The model's answers end by themselves: some
    tokens, drawn under the seed, end a text, and so both sides write answers of many lengths. Seconds are the
    processor's, with all loading.
    """

    groups = frozenset({"whole"})

    def __init__(self, bench: Bench, writing: Mapping[str, Work], *, data: Path, peer: Path) -> None:
        """`writing` has by precision the work with which a batch size for answers is chosen."""
        self._bench = bench
        self._writing = dict(writing)
        self._data, self._peer = data, peer
        self._folder = Path(writing[DTYPES[0]].model).parent

    def measured(self, dtype: str, *, rounds: int) -> list[dict[str, Any]]:
        """One result; the batch sizes are those for likelihoods and for answers."""
        place = self._folder / "suite" / dtype
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        audit = self._audit(place, dtype)
        ours, theirs = [], []
        batches, asked, peer = (0, 0), {}, {}
        for number in range(rounds):
            _say(f"safety suite {dtype}: round {number + 1} of {rounds}, ours")
            ours.append(_processor([*audit, "--run", f"run{number}"]))
            if not number:
                asked = asked_of(place / "runs/run0")
                batches = self._batches(asked, dtype, place)
                self._hand_over(asked, place)
            _say(f"safety suite {dtype}: round {number + 1} of {rounds}, the peers")
            before = _children()
            peer = reported(self._peers(place, dtype, batches))
            theirs.append(_children() - before)
        work = {"work": name(), "kind": "suite", "model": "110M", "dtype": dtype, "items": len(asked["items"])}
        told = {
            "batches": list(batches),
            "requests": {kind: len(asked[kind]) for kind in ("score", "generate", "classify")},
            "new tokens": {"ours": asked["written"], "peer": peer["written"]},
            "seconds of the peer": peer["seconds"],
            "agreement": agreement_of_scores(asked["likelihoods"], peer["likelihoods"])
            | {"identical": sum(a == b for a, b in zip(asked["answers"], peer["answers"], strict=True))}
            | {"of": len(asked["answers"])},
        }
        return [work | compared(PEERS, batches[1], theirs, ours) | told]

    def _audit(self, place: Path, dtype: str) -> list[str]:
        """The command, over a plan with a part of every benchmark."""
        common = ["--data", str(self._data), "--model", str(self._folder / "110M-ending"), "--dtype", dtype]
        common += ["--no-doctor", "--offline"]
        program = str(Path(sys.executable).with_name("orca-guard"))
        told = subprocess.run(
            [program, "audit", "--suite", "safety", *common, "--dry-run", "--no-trial", "--json", *LIMITED],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if told.returncode:
            sys.exit(told.stderr)
        (place / "pipeline.toml").write_text(f"[decoding]\nmax_new_tokens = {LIMIT}\ntemperature = 0.0\n", "utf-8")
        plan = place / "plan.toml"
        plan.write_text("\n".join(_plan(json.loads(told.stdout)["plan"]["benchmarks"])), "utf-8")
        judge = ["--judge", f"toxic=classifier:{self._folder / 'BERT-base'}#toxicity"]
        return [program, "audit", "--plan", str(plan), *common, *judge, "--out", str(place / "runs")]

    def _batches(self, asked: Mapping[str, Any], dtype: str, place: Path) -> tuple[int, int]:
        """The peer's best sizes: for likelihoods on one in eight of these, for answers as in the lines of answers."""
        rows = place / "trial.json"
        rows.write_text(json.dumps(asked["score"][::8]), "utf-8")
        model = str(self._folder / "110M-ending")
        work = Work(
            name=name(),
            kind="score",
            model=model,
            dtype=dtype,
            rows=str(rows),
            items=0,
            peers=("lm-eval",),
            trial=str(rows),
            trial_model=model,
        )
        return self._bench.best(work, "lm-eval"), self._bench.best(self._writing[dtype], "lm-eval")

    def _hand_over(self, asked: Mapping[str, Any], place: Path) -> None:
        some = {kind: asked[kind] for kind in ("score", "generate", "classify")}
        (place / "asked.json").write_text(json.dumps(some), "utf-8")

    def _peers(self, place: Path, dtype: str, batches: tuple[int, int]) -> list[str]:
        how = {
            "asked": str(place / "asked.json"),
            "model": str(self._folder / "110M-ending"),
            "dtype": dtype,
            "classifier": str(self._folder / "BERT-base"),
            "limit": LIMIT,
            "batches": {"score": batches[0], "generate": batches[1], "classify": BATCH},
        }
        return [str(self._peer), "-m", "benchmarks.engine.suite_peers", json.dumps(how)]


PEERS = "lm-eval + detoxify"


def name() -> str:
    """Of the line."""
    return f"safety suite, start to end, one in {PART} items"


def asked_of(run: Path) -> dict[str, Any]:
    """What a sealed run asked of models, and what they said: from its journal, each as the peers can be handed it."""
    texts = {one["digest"]: one["text"] for one in _lines(run / "texts-0.jsonl")}
    found: dict[str, Any] = {"score": [], "likelihoods": [], "generate": [], "answers": [], "classify": []}
    found |= {"items": [], "written": 0}
    for record in _lines(run / "journal-0.jsonl"):
        if record["kind"] != "item":
            continue
        found["items"].append(record["item"])
        if record["likelihoods"] is not None:
            request = json.loads(texts[record["question"]])["request"]
            found["score"].append([request["context"], request["continuations"]])
            found["likelihoods"].append([[one[0], one[2]] for one in record["likelihoods"]])
        for one in record["passes"]:
            found["generate"].append(texts[one["prompt"]])
            found["answers"].append(texts[one["text"]])
            found["written"] += one["tokens"][1]
        if record["benchmark"] == TOXIC and record["passes"] and record["answer"] is not None:
            found["classify"].append(texts[record["answer"]["text"]])
    return found


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _plan(benchmarks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """An audit file with a part of every benchmark, and the arms of the suite."""
    from orca_guard_safety.suite import SAFETY  # noqa: PLC0415  # the table is printed without it

    for one in benchmarks:
        items = min(SAFETY.benchmarks.get(one["name"]) or one["items"], one["items"])
        yield f'[[benchmarks]]\nname = "{one["name"]}"\nlimit = {max(round(items / PART), 1)}\n'
    for arm in SAFETY.arms:
        yield f'[[arms]]\nname = "{arm.name}"\nstrategy = "{arm.strategy}"\npipeline = "pipeline.toml"'
        yield f"system = {json.dumps(arm.system)}\n" if arm.system is not None else ""


def _processor(command: list[str]) -> float:
    before = _children()
    ran(command, codes=(0, 1, 3))
    return _children() - before


def _children() -> float:
    """Processor seconds of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
