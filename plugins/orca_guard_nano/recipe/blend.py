"""The mean of two stages' weights: `python -m orca_guard_nano.recipe.blend FIRST SECOND --share 0.5 --out DIR`.

A later stage learns what it is there for and loses some of what it does not practise. Weights of both are joined by one
training, so their mean still works, and has most of the one and more of the other ("WiSE-FT": Wortsman et al. 2022,
"Robust fine-tuning of zero-shot models").
"""

import argparse
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer

from .fleet import member
from .train import kept_weights, save


def blend(first: Path, second: Path, *, out: Path, share: float) -> None:
    """Write a directory with weights between those of two.

    Raises:
        ValueError: the two do not read the same tokens.
    """
    tokenizers = [(directory / "tokenizer.json").read_text("utf-8") for directory in (first, second)]
    if tokenizers[0] != tokenizers[1]:
        raise ValueError(f"{first} and {second} have tokenizers that differ, so their weights have no mean")
    config, one = kept_weights(first)
    _, other = kept_weights(second)
    between = {name: torch.lerp(one[name], other[name], share) for name in one}
    save(config, Tokenizer.from_str(tokenizers[1]), weights=member(between, 0), out=out)
    (out / "tokenizer.json").write_text(tokenizers[1], "utf-8")
    training = json.loads((second / "training.json").read_text("utf-8"))
    training["stages"][-1]["blended"] = {"with": first.name, "share": share}
    (out / "training.json").write_text(json.dumps(training, indent=1), "utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--share", type=float, required=True, help="of the second, between 0 and 1")
    arguments = parser.parse_args()
    blend(arguments.first, arguments.second, out=arguments.out, share=arguments.share)


if __name__ == "__main__":
    main()
