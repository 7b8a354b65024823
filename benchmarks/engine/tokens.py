"""Counts tokens that both sides send through a model, on all rows: `python -m benchmarks.engine.tokens`.

No model is behind either. The peer's are what its own code would forward at each batch size, padding too. Ours are
every distinct prefix once, the last token of a row left out, as nothing follows it: the least that any engine can read,
and what this one reads (1.03 times as many at most, by its tests).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine.kept import ROOT
from benchmarks.engine.results import section
from benchmarks.engine.sides import reported
from benchmarks.engine.table import written_into
from benchmarks.engine.work import Work, preamble_of, works

SIZES = (1, 4, 16, 64)
MARKS = ("<!-- counted -->\n", "<!-- /counted -->\n")
RESULTS, PAGE = ROOT / "benchmarks/results.json", ROOT / "docs/performance.md"


def main() -> None:
    """Count all, print, and write it down where that is asked for."""
    options = _options()
    whole = [
        work
        for work, groups in works(options.folder, options.data, preamble_of(options.peer))
        if work.kind == "score" and "whole" in groups and Path(work.model).name == "15M" and work.dtype == "float32"
    ]
    asked = {"model": whole[0].model, "rows": [work.rows for work in whole], "sizes": SIZES}
    print("The peer's own code sorts, groups and pads …", file=sys.stderr)
    peers = reported([str(options.peer), "-m", "benchmarks.engine.peer_tokens", json.dumps(asked)])
    counted = [counts(work, peers[work.rows]) for work in whole]
    print(markdown(counted))
    if options.write:
        section(RESULTS, "tokens", counted)
        written_into(PAGE, MARKS, markdown(counted))


def counts(work: Work, peer: Mapping[str, int]) -> dict[str, Any]:
    """Of one work: rows, texts, and the tokens of both sides."""
    asked = work.asked()
    return {
        "work": work.name,
        "texts": sum(len(choices) for _, choices in asked),
        "peer": dict(peer),
        "least": least(work.model, asked),
    }


def least(model: str, asked: Sequence[Any]) -> int:
    """Distinct prefixes that have a next token, over all rows, as the engine encodes them."""
    from orca_guard.contracts import ModelSpec  # noqa: PLC0415  # the table is printed without it
    from orca_guard.types import Score  # noqa: PLC0415
    from orca_guard_hf.loader import HuggingFace  # noqa: PLC0415
    from orca_guard_hf.scoring import fitted  # noqa: PLC0415

    described: Any = HuggingFace().describe(ModelSpec(reference=model))
    joints = (
        fitted(Score(context=context, continuations=tuple(choices)), described.prompter, None)
        for context, choices in asked
    )
    return len({row[:length] for joint in joints for row in joint.rows for length in range(1, len(row))})


def markdown(counted: Sequence[Mapping[str, Any]]) -> str:
    """The table."""
    columns = ["work", "texts", *(f"peer, batches of {size}" for size in SIZES), "the least", "peer / the least"]
    lines = [columns, ["---"] * len(columns)]
    for one in counted:
        ratios = [one["peer"][str(size)] / one["least"] for size in SIZES]
        spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
        peers = [f"{one['peer'][str(size)]:,}" for size in SIZES]
        lines.append([one["work"], f"{one['texts']:,}", *peers, f"{one['least']:,}", spread])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine.tokens", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build/bench", help="where models and rows are kept")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="folder of the benchmarks' data")
    parser.add_argument("--peer", type=Path, default=ROOT / "build/bench/peer/bin/python", help="the peers' Python")
    parser.add_argument("--write", action="store_true", help="into benchmarks/results.json and docs/performance.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
