"""Held-out questions as JSONL, as `orca-guard run --file` takes them: `python -m orca_guard_nano.recipe.questions`."""

import argparse
import json
from collections.abc import Iterator
from random import Random

from . import evaluate, forms
from .items import CATEGORIES


def rows(seed: int, *, count: int) -> Iterator[dict[str, str]]:
    """`count` questions of every category, typed as people type, of templates that training shows."""
    rng = Random(seed)
    for category in CATEGORIES:
        for number, item in enumerate(evaluate.sample(seed, category=category, count=count, unseen=False)):
            yield {"id": f"{category}-{number}", "prompt": forms.presented(item, rng)[1]}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="questions a category")
    parser.add_argument("--seed", type=int, default=30_001)
    arguments = parser.parse_args()
    for row in rows(arguments.seed, count=arguments.count):
        print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
