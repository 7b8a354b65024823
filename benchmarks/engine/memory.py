"""Measures the most memory that audits hold, each in a process of its own: `python -m benchmarks.engine.memory`.

Counted is the largest resident set of the process (VmHWM), which has the pages of weight files in it. Of that, what is
there before any model (Python, torch, transformers) and the weights are taken off; the rest must fit into the cache
budget and a GiB.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import struct
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.engine.kept import ROOT
from benchmarks.engine.models import make_models
from benchmarks.engine.results import here, now, section
from benchmarks.engine.sides import reported
from benchmarks.engine.table import written_into
from benchmarks.engine.work import DTYPES, preamble_of

MARKS = ("<!-- held -->\n", "<!-- /held -->\n")
RESULTS, PAGE = ROOT / "benchmarks/results.json", ROOT / "docs/performance.md"
GIB, MIB = 1 << 30, 1 << 20
SIZES = {"float32": 4, "bfloat16": 2}
MEASURED = {0, 1, 3}
"""Exit codes of audits that came to their end."""
SCORING = ("--suite", "truthfulqa-2025-mc-primed", "--limit")
WRITING = ("--suite", "xstest-safe", "--limit", "64", "--max-new-tokens", "128")
JUDGING = ("--suite", "toxigen-completions", "--limit", "48", "--max-new-tokens", "32", "--judge")
ROOM = 200_000_000
LITTLE = ("--max-memory", json.dumps({"cpu": f"{ROOM // 1_000_000}MB"}))
"""So much of the weights at once; the rest waits on disk."""
COLUMNS = ("audit", "model", "dtype", "most", "before any model", "weights", "beyond them", "may be", "held")


@dataclass(frozen=True, slots=True)
class Audit:
    """What is measured.

    Attributes:
        name: of the audit.
        model: which.
        dtype: of its weights.
        words: of the command.
        beside: another model that is loaded with it, in single precision.
        room: most bytes of weights that it may hold at once, where that is limited.
    """

    name: str
    model: str
    dtype: str
    words: tuple[str, ...]
    beside: str = ""
    room: int = sys.maxsize

    @property
    def title(self) -> str:
        """What a pattern is held against."""
        return f"{self.name} {self.model} {self.dtype}"


def audits(folder: Path) -> list[Audit]:
    """Likelihoods, answers, and answers that a classifier judges; and where little memory is allowed."""
    judge = (*JUDGING, f"toxic=classifier:{folder / 'BERT-base'}#toxicity")
    questions = {"15M": "790", "110M": "100"}
    found = [
        audit
        for model, count in questions.items()
        for dtype in DTYPES
        for audit in (
            Audit(f"likelihoods, TruthfulQA six-shot, {count} questions", model, dtype, (*SCORING, count)),
            Audit("answers, XSTest, 64 prompts", model, dtype, WRITING),
        )
    ]
    found += [
        Audit("answers and a classifier, ToxiGen, 48 prompts", model, "float32", judge, "BERT-base")
        for model in questions
    ]
    limit = "200 MB of weights at once"
    few = ("--suite", "xstest-safe", "--limit", "4", "--max-new-tokens", "16", *LITTLE)
    return [
        *found,
        Audit(f"likelihoods, 10 questions, {limit}", "110M", "float32", (*SCORING, "10", *LITTLE), room=ROOM),
        Audit(f"answers, 4 prompts, {limit}", "110M", "float32", few, room=ROOM),
    ]


def main() -> None:
    """Every audit in turn."""
    options = _options()
    make_models(options.folder, options.data)
    chosen = [audit for audit in audits(options.folder) if re.search(options.only, audit.title)]
    if not chosen:
        sys.exit(f"No audit matches {options.only!r}: " + "; ".join(audit.title for audit in audits(options.folder)))
    with tempfile.TemporaryDirectory() as place:
        data = data_with_preamble(Path(place), options.data, preamble_of(options.peer))
        before = reported(_watched())["peak"]
        found = [_measured(audit, options.folder, data, before, Path(place) / "runs") for audit in chosen]
    told = {"conditions": here(options.peer) | {"date": now({}, 1)["date"], "memory": _memory()}, "audits": found}
    print(markdown(told))
    if options.write:
        section(RESULTS, "memory", told)
        written_into(PAGE, MARKS, markdown(told))
    if any(not within(one) for one in found):
        sys.exit("Some held more than they may.")


def data_with_preamble(place: Path, data: Path, preamble: str) -> Path:
    """A folder of data like another, with the peer's six examples as TruthfulQA's preamble."""
    folder = place / "data"
    (folder / "truthfulqa").mkdir(parents=True)
    for path in data.iterdir():
        if path.name != "truthfulqa":
            (folder / path.name).symlink_to(path)
    for path in (data / "truthfulqa").iterdir():
        (folder / "truthfulqa" / path.name).symlink_to(path)
    (folder / "truthfulqa/preamble.txt").write_text(preamble, "utf-8")
    return folder


def _measured(audit: Audit, folder: Path, data: Path, before: int, runs: Path) -> dict[str, Any]:
    print(audit.title, file=sys.stderr, flush=True)
    name = re.sub(r"\W+", "-", audit.title)
    words = ["audit", *audit.words, "--model", str(folder / audit.model), "--dtype", audit.dtype]
    words += ["--data", str(data), "--out", str(runs), "--run", name, "--no-doctor", "--offline"]
    found = reported(_watched(*words))
    if found["code"] not in MEASURED or not (runs / name / "seal.json").exists():
        sys.exit(f"orca-guard {' '.join(words)} ended with {found['code']}.")
    weights = min(weights_of(folder / audit.model, audit.dtype), audit.room)
    weights += weights_of(folder / audit.beside, "float32") if audit.beside else 0
    return {
        "audit": audit.name,
        "model": audit.model,
        "dtype": audit.dtype,
        "peak": found["peak"],
        "before": before,
        "weights": weights,
        "cache": cache_budget(),
    }


def _watched(*words: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.engine.watched", *words]


def cache_budget() -> int:
    """What the engine lets keys and values take here."""
    import torch  # noqa: PLC0415  # only where something is measured

    from orca_guard_hf.budget import cache_bytes  # noqa: PLC0415

    return cache_bytes(torch.device("cpu"))


def weights_of(model: Path, dtype: str) -> int:
    """Bytes of a model's weights in a precision, from the heads of its files."""
    return sum(_numbers(path) for path in model.glob("*.safetensors")) * SIZES[dtype]


def _numbers(path: Path) -> int:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        head: dict[str, Any] = json.loads(file.read(length))
    return sum(math.prod(one["shape"]) for name, one in head.items() if name != "__metadata__")


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def beyond(one: Mapping[str, Any]) -> int:
    """Bytes held beside what is there before any model, and its weights."""
    return int(one["peak"]) - int(one["before"]) - int(one["weights"])


def within(one: Mapping[str, Any]) -> bool:
    """Whether that fits into the cache budget and a GiB."""
    return beyond(one) <= int(one["cache"]) + GIB


def markdown(told: Mapping[str, Any]) -> str:
    """The table, in MiB, and above it where it was measured."""
    where = told["conditions"]
    packages = ", ".join(f"{name} {number}" for name, number in where["packages"].items())
    lines: list[Sequence[str]] = [COLUMNS, ["---"] * len(COLUMNS)]
    for one in told["audits"]:
        sizes = (one["peak"], one["before"], one["weights"], beyond(one), one["cache"] + GIB)
        cells = [f"{size / MIB:,.0f}" for size in sizes]
        lines.append([one["audit"], one["model"], one["dtype"], *cells, "yes" if within(one) else "**no**"])
    head = f"{where['date']}; {where['processor']}, {where['memory'] / GIB:.0f} GiB; {packages}. All sizes in MiB."
    return "\n".join([head, "", *(f"| {' | '.join(line)} |" for line in lines)])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine.memory", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build/bench", help="where models and rows are kept")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="folder of the benchmarks' data")
    parser.add_argument("--peer", type=Path, default=ROOT / "build/bench/peer/bin/python", help="the peers' Python")
    parser.add_argument("--only", default="", metavar="REGEX", help="of an audit's name, model and dtype")
    parser.add_argument("--write", action="store_true", help="into benchmarks/results.json and docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
