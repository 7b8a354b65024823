"""Write the card of a trained and measured directory."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from .figures import page
from .rows import EXCLUDED, SOURCES
from .scorers import FILES, LABELS
from .tokenizer import LENGTH
from .train import Recipe

LIMITS: Final = """\
- It does not reach all that was wanted of it: the first table says what. A linear model does as well on some sets.
- English, mostly short posts of some years ago. Other languages, long documents and code were never seen.
- It reads words more than meaning: hate without hateful words passes, and quoting or naming abuse can be stopped. The
  figures on ToxiGen say how often.
- Swapped names of groups in training make it treat groups alike; what is hateful of one group alone, it misses.
- Figures are of rows like those it was trained on. Measure it on your own texts before you rely on it
  (`docs/toxicity.md`), and take one of the larger classifiers where you can.
- One seed. Scores are not calibrated: only the order and the operating point mean something.
"""


def _licences(training: dict[str, Any]) -> str:
    lines = ["| set | licence | encoder, rows | second scorer, rows | how it is used |", "|---|---|---|---|---|"]
    for source in SOURCES:
        counts = [
            sum(n for kind, n in training["rows"][name]["of"].items() if kind.split()[0] == source.name)
            for name in ("encoder", "second")
        ]
        lines.append(f"| {source.name} | {source.licence} | {counts[0]} | {counts[1]} | {source.use} |")
    return "\n".join(lines)


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.2f} MB"


def _flags(recipe: dict[str, Any]) -> str:
    usual = asdict(Recipe())
    return "".join(f" --{name} {value}" for name, value in recipe.items() if value != usual[name])


def card(
    directory: Path, *, training: dict[str, Any], figures: dict[str, Any], bounds: dict[str, Any] | None = None
) -> str:
    """The text of the card."""
    recipe, history = training["recipe"], training["history"]
    best = max(range(len(history)), key=lambda epoch: (history[epoch]["mean"], -epoch))
    excluded = "\n".join(f"- {name}: {reason}." for name, reason in EXCLUDED.items())
    return f"""# Toxicity, embedded

A tiny classifier for machines without a network: plain BertForSequenceClassification, trained from nothing, labels
`{LABELS[0]}` and `{LABELS[1]}` under a sigmoid. And a second scorer that shares no row and no code with it, so that a
guard can be judged by something that is not the guard.

- Encoder: `{FILES["encoder"]}`, {_size(directory / FILES["encoder"])}, `{figures["weights"][FILES["encoder"]]}`
- Second scorer: `{FILES["second"]}`, {_size(directory / FILES["second"])}, `{figures["weights"][FILES["second"]]}`,
  logistic regression over hashed character n-grams (`orca_guard_toxicity.ngrams`)
- Reads {LENGTH} tokens at once; {figures["texts_per_second"]} short texts a second, one core.
- Recipe: seed {recipe["seed"]}, {len(history)} epochs of which number {best + 1} was the best on dev,
  {training["seconds"] / 60:.1f} minutes of one core; the linear models take one more.

## Data

Rows are parted once, by sha1 of their normalised text (`orca_guard.splits`): trained on `train`, chosen on `dev`,
reported on `report`. The encoder and the TF-IDF baselines have four folds of `train`, the second scorer the fifth.
Training rows that share three quarters of their words with a row of another part, or were made from one, are left out,
and so are dev rows that are so close to a row of report. No text is in here.

{_licences(training)}

Rows for the encoder `{training["rows"]["encoder"]["digest"]}`,
for the second scorer `{training["rows"]["second"]["digest"]}`,
dev `{figures["rows"]["dev"]["digest"]}`, report `{figures["rows"]["report"]["digest"]}`.

Not trained on, and why:

{excluded}

## Figures

{page(figures, bounds=bounds)}
## Limits

{LIMITS}
## Made again by

    python -m orca_guard_toxicity.recipe.train DATA --out DIR{_flags(recipe)}
    python -m orca_guard_toxicity.recipe.evaluate DATA DIR
    python -m orca_guard_toxicity.recipe.bounds DATA DIR
    python -m orca_guard_toxicity.recipe.card DIR

`make toxicity` does all of this with the defaults. Training goes on where it was cut short, with the same result.
"""


def main() -> None:
    """The command line: a directory that was trained and measured; what its rows allow need not be known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    directory: Path = parser.parse_args().directory
    training, figures = (
        json.loads((directory / name).read_text("utf-8")) for name in ("training.json", "figures.json")
    )
    known = directory / "bounds.json"
    bounds = json.loads(known.read_text("utf-8")) if known.exists() else None
    (directory / "README.md").write_text(card(directory, training=training, figures=figures, bounds=bounds), "utf-8")


if __name__ == "__main__":
    main()
