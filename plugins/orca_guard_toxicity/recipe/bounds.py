"""What the labelled rows allow: `python -m orca_guard_toxicity.recipe.bounds DATA DIR`, after training and measuring.

Two things that are not shipped say why the encoder stands where it does: how it and its baseline grow with the rows of
ToxiGen, and how far several encoders and linear models come together. Nothing is chosen by them.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from orca_guard.identity import digest_file

from . import rows as labelled
from .evaluate import SEED, encoder
from .linear import Array, Scores, tfidf
from .measures import compared, resampled
from .rows import LABELLED, TOXIGEN, Row
from .scorers import FILES
from .train import Log, Recipe, say, train

SHARES: Final = (0.125, 0.25, 0.5, 1.0)
OTHERS: Final = (1, 2, 3, 4)
"""Seeds of the encoders that stand beside the first."""
WORDS: Final = "words"


def fewer(rows: Sequence[Row], *, share: float) -> list[Row]:
    """All rows, but of ToxiGen's training part a share, which follows from the texts: less is a part of more."""
    return [
        row
        for row in rows
        if row.source != TOXIGEN or row.part != "train" or int(labelled.digest([row])[-8:], 16) < share * 16**8
    ]


class Bounds:
    """Trains what is compared with the encoder in a directory, each in a folder of its own within.

    A run that was cut short goes on there.
    """

    def __init__(
        self, rows: Sequence[Row], *, recipe: Recipe, baseline: Mapping[str, Any], directory: Path, log: Log = say
    ) -> None:
        self.rows, self.recipe, self.baseline, self.directory, self.log = rows, recipe, baseline, directory, log
        self.held = labelled.reporting(rows)

    def growth(self) -> list[dict[str, Any]]:
        """AUROC on ToxiGen of the encoder and of TF-IDF of words, by the share of its rows that both have."""
        held, found = [row for row in self.held if row.source == TOXIGEN], []
        for share in SHARES:
            rows = fewer(self.rows, share=share)
            mine = [row for row in labelled.training(rows) if row.fold]
            counted = {"share": share, "rows": sum(row.source == TOXIGEN for row in mine)}
            rate = self._encoder(self.recipe, rows=rows, name=f"share-{share}") if share < 1 else self._own()
            linear = tfidf(mine, **self.baseline)
            found.append(counted | _compared(_rated(rate, held), _rated(linear, held), held))
        return found

    def together(self) -> dict[str, Any]:
        """AUROC of the encoders of all seeds and two linear models, their log odds standardised and added up."""
        mine = [row for row in labelled.training(self.rows) if row.fold]
        linear = [tfidf(mine, terms=terms, balance=0.5) for terms in (WORDS, "characters")]
        encoders = [
            self._encoder(replace(self.recipe, seed=seed), rows=self.rows, name=f"seed-{seed}") for seed in OTHERS
        ]
        words = _rated(tfidf(mine, **self.baseline), self.held)
        scores = sum(_standardised(_rated(rate, self.held)) for rate in (self._own(), *encoders, *linear))
        places = {source: [i for i, row in enumerate(self.held) if row.source == source] for source in LABELLED}
        return {
            "encoders": 1 + len(OTHERS),
            "linear": len(linear),
            "sets": {
                source: _compared(np.asarray(scores)[here], words[here], [self.held[i] for i in here])
                for source, here in places.items()
            },
        }

    def _own(self) -> Scores:
        return _log_odds_of(self.directory)

    def _encoder(self, recipe: Recipe, *, rows: Sequence[Row], name: str) -> Scores:
        out = self.directory / "bounds" / name
        if not (out / "training.json").exists():
            self.log(f"Training {name}")
            train(recipe, rows=rows, out=out, log=self.log)
        return _log_odds_of(out)


def _log_odds_of(directory: Path) -> Scores:
    rate = encoder(directory)

    def _log_odds(texts: Sequence[str]) -> Array:
        scores = rate(texts)[:, 0].clip(1e-9, 1 - 1e-9)
        return np.asarray(np.log(scores / (1 - scores)))

    return _log_odds


def _rated(score: Scores, rows: Sequence[Row]) -> Array:
    return score([row.text for row in rows])


def _standardised(scores: Array) -> Array:
    return np.asarray((scores - scores.mean()) / scores.std())


def _compared(scores: Array, words: Array, rows: Sequence[Row]) -> dict[str, Any]:
    draws = resampled([row.cluster for row in rows], seed=SEED)
    first, second, above = compared(scores, words, toxic=np.array([row.toxic for row in rows]), draws=draws)
    return {"scorer": asdict(first), WORDS: asdict(second), "above": asdict(above)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="How scorers grow with rows, and how far many go together.")
    parser.add_argument("data", type=labelled.folder)
    parser.add_argument("directory", type=Path, help="what was trained and measured")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    directory: Path = arguments.directory
    figures, training = (
        json.loads((directory / name).read_text("utf-8")) for name in ("figures.json", "training.json")
    )
    bounds = Bounds(
        labelled.read(arguments.data), recipe=Recipe(**training["recipe"]), baseline=figures["baselines"][WORDS],
        directory=directory,
    )  # fmt: skip
    found = {
        "weights": digest_file(directory / FILES["encoder"], fresh=True),
        "growth": bounds.growth(),
        "together": bounds.together(),
    }
    (directory / "bounds.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
