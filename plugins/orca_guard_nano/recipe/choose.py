"""Measure which strategy is best for each category: `python -m orca_guard_nano.recipe.choose DIR --out chosen.json`.

The rule is that of the experiment: of the strategies within a point of the most accurate one, the cheapest. It is read
from a selection split of held-out items, of which no figure of the card is; so the choice is measured and not assigned
beforehand, as Orca 2 chose "guided by performance".
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from . import evaluate
from .items import CATEGORIES, CHAT, UNKNOWN
from .messages import DIRECT, EXPLICIT

SELECTION_SEED: Final = 30_001
TOLERANCE: Final = 0.01 + 1e-9
"""A point, whatever fractions of binary numbers make of it."""


def best(rows: Sequence[Mapping[str, Any]], *, category: str) -> str:
    """The cheapest of the strategies that are within the tolerance of the most accurate one."""
    own: dict[str, tuple[float, float]] = {
        r["strategy"]: (r["right"] / r["n"], r["tokens"] / r["n"]) for r in rows if r["part"] == category
    }
    top = max(share for share, _ in own.values())
    return min((s for s, (share, _) in own.items() if share >= top - TOLERANCE), key=lambda s: own[s][1])


def measure(directory: Path, *, count: int, seed: int = SELECTION_SEED) -> list[dict[str, Any]]:
    """Every category under every explicit strategy, on the selection split."""
    ask = evaluate.asker(directory)
    items = [i for c in CATEGORIES for i in evaluate.sample(seed, category=c, count=count, unseen=False)]
    return [
        row
        for strategy in EXPLICIT
        for row in evaluate.rows_of(evaluate.run(ask, items, strategy=strategy, seed=seed), unseen=False)
    ]


def table(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The strategy of each category; talk and what is outside its world are answered directly."""
    picked = {category: best(rows, category=category) for category in CATEGORIES}
    return {**picked, CHAT: DIRECT, UNKNOWN: DIRECT}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300, help="items a category and strategy")
    arguments = parser.parse_args()
    rows = measure(arguments.directory, count=arguments.count)
    arguments.out.write_text(json.dumps({"seed": SELECTION_SEED, "chosen": table(rows), "rows": rows}, indent=1))
    print(evaluate.show(rows))
    print(json.dumps(table(rows)))


if __name__ == "__main__":
    main()
