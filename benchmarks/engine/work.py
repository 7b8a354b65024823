"""What is measured: every line of the table, on models and rows that are made under a seed and kept in a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from benchmarks.engine import rows
from benchmarks.engine.models import TOKENIZER, make_models

Kind = Literal["score", "generate", "classify"]
DTYPES = ("float32", "bfloat16")
PEERS = {"score": ("lm-eval",), "generate": ("lm-eval", "generate", "batching"), "classify": ("detoxify",)}
BATCHES = {"score": (1, 4, 16), "generate": (16, 64), "classify": (32,)}
"""Sizes that a peer is tried with."""
WHOLE = 790
"""Questions of TruthfulQA, release of 2025."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Some lines of the table, one a peer.

    Attributes:
        name: of the work, with the number of its items.
        kind: of its requests.
        model: which, a directory.
        dtype: of our weights, and of the peer's unless it always uses single precision.
        rows: file of the requests.
        items: questions, prompts or texts.
        peers: who else does it.
        trial: file of the rows on which a peer's batch size is chosen: few, so that many rows do not make it dearer.
        trial_model: which model it is chosen with.
    """

    name: str
    kind: Kind
    model: str
    dtype: str
    rows: str
    items: int
    peers: tuple[str, ...]
    trial: str
    trial_model: str

    def asked(self) -> list[Any]:
        """The requests."""
        asked: list[Any] = json.loads(Path(self.rows).read_text("utf-8"))
        return asked

    def as_json(self) -> dict[str, Any]:
        """As it is handed to the processes that do it."""
        return asdict(self)

    def on_trial(self) -> Work:
        """The rows and the model with which a batch size is chosen."""
        return replace(self, rows=self.trial, model=self.trial_model)

    def in_single(self) -> Work:
        """The same in single precision."""
        return replace(self, dtype="float32")

    @property
    def title(self) -> str:
        """What a pattern is held against."""
        return f"{self.name} {Path(self.model).name} {self.dtype}"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many items a work has for each model: in a run of less than an hour, in a whole one, and on trial."""

    part: dict[str, int]
    whole: dict[str, int]
    trial: dict[str, int]


SHOTS = {
    "six-shot": Sizes({"15M": 60, "110M": 10}, {"15M": WHOLE, "110M": 100}, {"15M": 8, "110M": 4}),
    "zero-shot": Sizes({"15M": 60, "110M": 10}, {"15M": WHOLE, "110M": 100}, {"15M": 30, "110M": 10}),
}
CHOICES = {"HellaSwag": rows.hellaswag, "ARC-Challenge by text": rows.arc, "MMLU by text": rows.mmlu}


def works(folder: Path, data: Path, preamble: str) -> Iterator[tuple[Work, frozenset[str]]]:
    """Everything that can be measured, and whether it belongs to the `part`, to the `whole`, or to both.

    What is missing in the folder is made.
    """
    make_models(folder, data)
    for shots, sizes in SHOTS.items():
        yield from _truthfulqa(folder, data, shots, sizes, preamble)
    for name, read in CHOICES.items():
        yield from _choices(folder, name, read(data))
    both = frozenset({"part", "whole"})
    prompts = _keep(folder, "gsm8k-64", rows.gsm8k(data, 64))
    for model in ("15M", "110M"):
        for dtype in DTYPES:
            yield _work(folder, "generation, 64 prompts", "generate", model, dtype, prompts, prompts), both
    trial = _keep(folder, "comments-8", rows.comments(data, 8))
    for count, group in ((48, "part"), (1000, "whole")):
        texts = _keep(folder, f"comments-{count}", rows.comments(data, count))
        for dtype in DTYPES:
            name = f"toxicity, {count:,} texts"
            yield _work(folder, name, "classify", "BERT-base", dtype, texts, trial), frozenset({group})


def gpu_rows(folder: Path, data: Path, target: Path) -> None:
    """What a GPU is given, in a folder that can be carried to it: the tokenizer of the models here, and rows."""
    make_models(folder, data)
    (target / "tokenizer").mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER:
        (target / "tokenizer" / name).write_bytes((folder / "110M" / name).read_bytes())
    preamble = preamble_of(folder / "peer/bin/python")
    asked = {
        "TruthfulQA six-shot": rows.truthfulqa(data, preamble + "\n\n", WHOLE),
        "TruthfulQA zero-shot": rows.truthfulqa(data, "", WHOLE),
        "prompts": rows.gsm8k(data, 256),
    }
    (target / "rows.json").write_text(json.dumps(asked), "utf-8")


def preamble_of(peer: Path) -> str:
    """The six shots of TruthfulQA in the peer's installed package."""
    text = (task_files(peer) / "truthfulqa_mc1.yaml").read_text("utf-8")
    quoted = text.split("prompt_qa = '", 1)[1].split("'%}", 1)[0]
    return re.sub(r"\\\n\s*", "", quoted).replace("\\n", "\n")


def task_files(peer: Path) -> Path:
    """Where the peer's package has that task."""
    return next(peer.parents[1].glob("lib/python*/site-packages/lm_eval/tasks/truthfulqa"))


def _truthfulqa(
    folder: Path, data: Path, shots: str, sizes: Sizes, preamble: str
) -> Iterator[tuple[Work, frozenset[str]]]:
    header = f"{preamble}\n\n" if shots == "six-shot" else ""

    def kept(count: int) -> Path:
        return _keep(folder, f"truthfulqa-{shots}-{count}", rows.truthfulqa(data, header, count))

    for group, counts in {"part": sizes.part, "whole": sizes.whole}.items():
        for model, count in counts.items():
            asked, trial = kept(count), kept(sizes.trial[model])
            for dtype in DTYPES:
                name = f"TruthfulQA MC1+MC2, {shots}, {count} questions"
                work = _work(folder, name, "score", model, dtype, asked, trial)
                yield replace(work, items=count), frozenset({group})


def _choices(folder: Path, name: str, found: list[Any]) -> Iterator[tuple[Work, frozenset[str]]]:
    trial = _keep(folder, f"{name}-30", found[:30])
    for group, some in {"part": found[:60], "whole": found}.items():
        asked = _keep(folder, f"{name}-{len(some)}", some)
        title = f"{name}, zero-shot, {len(some):,} questions"
        yield _work(folder, title, "score", "15M", "float32", asked, trial), frozenset({group})


def _work(folder: Path, name: str, kind: Kind, model: str, dtype: str, asked: Path, trial: Path) -> Work:  # noqa: PLR0917
    return Work(
        name=name,
        kind=kind,
        model=str(folder / model),
        dtype=dtype,
        rows=str(asked),
        items=len(json.loads(asked.read_text("utf-8"))),
        peers=PEERS[kind],
        trial=str(trial),
        trial_model=str(folder / ("15M" if kind == "generate" else model)),
    )


def _keep(folder: Path, name: str, asked: list[Any]) -> Path:
    path = folder / f"{name.replace(' ', '-')}.json"
    path.write_text(json.dumps(asked), "utf-8")
    return path
