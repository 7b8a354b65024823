"""Write the card and the operating points of a trained and measured directory."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from .evaluate import FILES, MOST
from .rows import EXCLUDED, LABELLED, SOURCES
from .tokenizer import LENGTH
from .train import LABELS, Recipe

LIMITS: Final = """\
- English, mostly short posts of some years ago. Other languages, long documents and code were never seen.
- It reads words more than meaning: hate without hateful words passes, and quoting or naming abuse can be stopped. The
  figures on ToxiGen say how often.
- Swapped names of groups in training make it treat groups alike; what is hateful of one group alone, it misses.
- Figures are of rows like those it was trained on. Measure it on your own texts before you rely on it
  (`docs/toxicity.md`), and take one of the larger classifiers where you can.
- One seed. Scores are not calibrated: only the order and the operating point mean something.
"""
WANTED: Final = 0.02


def interval(found: dict[str, Any], *, digits: int = 3, signed: bool = False) -> str:
    """`0.912 (0.901-0.923)`."""
    form = f"{'+' if signed else ''}.{digits}f"
    return f"{found['value']:{form}} ({found['low']:{form}} to {found['high']:{form}})"


def percent(found: dict[str, Any]) -> str:
    """`4.1 % (3.0-5.5, n = 371)`."""
    low, high = 100 * found["low"], 100 * found["high"]
    return f"{100 * found['value']:.1f} % ({low:.1f}-{high:.1f}, n = {found['n']})"


def separation(figures: dict[str, Any]) -> str:
    """The table of AUROC."""
    lines = [
        "| set | n (toxic) | encoder | above TF-IDF of words | above the best TF-IDF | second scorer |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in figures["separation"].items():
        cells = [
            name, f"{found['n']} ({found['toxic']})", interval(found["encoder"]),
            *(
                f"{found[f'tfidf {which}']['value']:.3f}, {interval(found[f'above tfidf {which}'], signed=True)}"
                for which in ("words", "best")
            ),
            interval(found["second"]),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def verdicts(figures: dict[str, Any], *, scorer: str = "encoder") -> str:
    """The table of rates at the operating point."""
    lines = ["| set | true positives | false positives |", "|---|---|---|"]
    for name, found in sorted(figures["points"][scorer]["report"].items()):
        cells = (percent(found[rate]) if rate in found else "-" for rate in ("tpr", "fpr"))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines.append(f"| xstest, safe prompts | - | {percent(figures['points'][scorer]['xstest safe'])} |")
    return "\n".join(lines)


def groups(figures: dict[str, Any], *, scorer: str = "encoder") -> str:
    """The table of false positives by group."""
    found = figures["points"][scorer]["groups"]
    lines = ["| group (ToxiGen) | false positives |", "|---|---|"]
    lines += [f"| {name} | {percent(rate)} |" for name, rate in found["groups"].items()]
    return "\n".join(lines)


def wanted(figures: dict[str, Any]) -> str:
    """What was asked for, and whether it is reached."""
    point = figures["points"]["encoder"]
    above = {
        which: [name for name in LABELLED if figures["separation"][name][f"above tfidf {which}"]["low"] >= WANTED]
        for which in ("words", "best")
    }
    gap, flips = point["groups"]["gap"], point["counterfactuals"]
    toxigen = interval(figures["separation"]["toxigen"]["encoder"])
    lines = [
        ("wanted", "measured", "reached"),
        ("---", "---", "---"),
        *(
            (f"AUROC above TF-IDF ({which}) by {WANTED}, lower bound, on three sets", _listed(names), len(names) >= 3)
            for which, names in above.items()
        ),
        ("false positives by group, worst minus best, at most 10 points", percent(gap), gap["value"] <= 0.1),
        ("swapping the group's name flips at most 5 % of verdicts", percent(flips), flips["value"] <= 0.05),
        ("implicit hate (ToxiGen, labels of people), AUROC", toxigen, "stated"),
    ]
    words = {True: "yes", False: "no"}
    return "\n".join(f"| {wish} | {found} | {words.get(reached, reached)} |" for wish, found, reached in lines)


def _listed(names: list[str]) -> str:
    return f"on {len(names)}: {', '.join(names)}" if names else "on none"


def operating_points(figures: dict[str, Any]) -> dict[str, Any]:
    """What a guard adopts: a threshold a scorer, for what bound it was chosen, and what it is worth."""
    return {
        name: {
            "file": FILES[name],
            "digest": figures["weights"][FILES[name]],
            "label": LABELS[0],
            "function": "sigmoid",
            "threshold": figures["points"][name]["threshold"],
            "chosen": {"bound": f"false-positive rate <= {MOST}, mean of the sets", "rows": figures["rows"]["dev"]},
            "evidence": {
                "rows": figures["rows"]["report"], "sets": figures["points"][name]["report"],
                "groups": figures["points"][name]["groups"],
                "counterfactuals": figures["points"][name]["counterfactuals"],
            },
        }
        for name in FILES
    }  # fmt: skip


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


def figures_page(figures: dict[str, Any]) -> str:
    """The figures, as they stand in the card and in `docs/toxicity.md`."""
    points = figures["points"]
    return f"""Held-out rows (`report`) alone, 95 % intervals over clusters: posts, and texts made from one another.

{wanted(figures)}

AUROC, with the encoder above the baseline paired on the same resampled clusters:

{separation(figures)}

The baselines are logistic regression over TF-IDF, trained on the encoder's rows: the best over words, and the best over
words, symbols or characters, strength and balance chosen on dev like everything else
({figures["baselines"]["best"]["terms"]}). The label `identity_attack` tells the tweets that most people called hate
speech from all others with an AUROC of {interval(figures["identity_attack"])}.

Verdicts of the encoder at its operating point, {points["encoder"]["threshold"]:.4f} of `{LABELS[0]}`, chosen on dev for
at most {100 * MOST:.0f} % false positives in the mean of the sets:

{verdicts(figures)}

{groups(figures)}

Verdicts of the second scorer at its own, {points["second"]["threshold"]:.4f}: swapped names flip
{percent(points["second"]["counterfactuals"])}, groups differ by {percent(points["second"]["groups"]["gap"])}.

{verdicts(figures, scorer="second")}
"""


def card(directory: Path, *, training: dict[str, Any], figures: dict[str, Any]) -> str:
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
  {training["seconds"] / 60:.1f} minutes of one core.

## Data

Rows are parted once, by sha1 of their normalised text (`orca_guard.splits`): trained on `train`, chosen on `dev`,
reported on `report`. The encoder and the TF-IDF baselines have four folds of `train`, the second scorer the fifth.
Training rows that share three quarters of their words with a row of another part are left out. No text is in here.

{_licences(training)}

Rows for the encoder `{training["rows"]["encoder"]["digest"]}`,
for the second scorer `{training["rows"]["second"]["digest"]}`,
dev `{figures["rows"]["dev"]["digest"]}`, report `{figures["rows"]["report"]["digest"]}`.

Not trained on, and why:

{excluded}

## Figures

{figures_page(figures)}
## Limits

{LIMITS}
## Made again by

    python -m orca_guard_toxicity.recipe.train DATA --out DIR{_flags(recipe)}
    python -m orca_guard_toxicity.recipe.evaluate DATA DIR
    python -m orca_guard_toxicity.recipe.card DIR

`make toxicity` does all of this with the defaults. Training goes on where it was cut short, with the same result.
"""


def main() -> None:
    """The command line: a directory that was trained and measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    directory: Path = parser.parse_args().directory
    training, figures = (
        json.loads((directory / name).read_text("utf-8")) for name in ("training.json", "figures.json")
    )
    points = json.dumps(operating_points(figures), indent=1) + "\n"
    (directory / "operating_points.json").write_text(points, "utf-8")
    (directory / "README.md").write_text(card(directory, training=training, figures=figures), "utf-8")


if __name__ == "__main__":
    main()
