"""Write the model card of a trained and measured directory."""

import argparse
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from . import evaluate
from .batches import LONGEST
from .messages import CAUTIOUS, SYSTEM
from .train import STAGES

# What suits the machine; it decides nothing where the tokens are spent before the minutes.
MACHINE: Final = ("device", "workers", "minutes")

LIMITS = """- It knows some hundred facts and nothing else; it should decline all other questions, and does not always.
- Reading is its weakest part: of several sentences that say the same of different subjects it often takes a wrong one.
- Questions outside the trained templates and long texts are where else it errs most. The unseen templates were worded
  by the hands that worded the trained ones, which are checked against them for equality alone.
- Under extract-generate a question without a text is answered "not stated": that strategy works from a text alone.
- The fixed messages of the strategies are single tokens; a reworded message is read like any other unfamiliar one.
- One seed a stage. The figures are of generated questions; they say nothing about other questions.
"""


def digest(path: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def profile() -> str:
    """The profile that goes with the weights: the system messages they were trained with."""
    message = SYSTEM[CAUTIOUS]
    source = "The recipe that made these weights."
    return f'name = "nano"\nsource = "{source}"\n\n[system]\ncautious = "{message}"\ndefault = "{message}"\n'


def _share(hits: int, of: int) -> str:
    low, high = evaluate.wilson(hits, of)
    return f"{100 * hits / of:.1f} % ({100 * low:.1f}-{100 * high:.1f}, n = {of})"


def _overall(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| strategy | known templates | unseen templates | form right, known | tokens, known |",
        "|---|---|---|---|---|",
    ]
    for strategy in evaluate.STRATEGIES:
        shares = [_share(*evaluate.overall(rows, strategy=strategy, unseen=u)) for u in (False, True)]
        form = _share(*evaluate.overall(rows, strategy=strategy, unseen=False, field="formed"))
        tokens, of = evaluate.overall(rows, strategy=strategy, unseen=False, field="tokens")
        lines.append(f"| {strategy} | {shares[0]} | {shares[1]} | {form} | {tokens / of:.1f} |")
    return "\n".join(lines)


def _stage(spent: dict[str, Any]) -> str:
    """What one stage was, in a line."""
    recipe = spent["recipe"]
    mean = spent.get("blended")
    blended = f", then {mean['share']:.0%} of it with {1 - mean['share']:.0%} of `{mean['with']}`" if mean else ""
    return (
        f"| {recipe['stage']} | {recipe['seed']} | {spent['tokens']:,} | {spent['steps']:,} | "
        f"{spent['minutes']} minutes on {spent['device']}{blended} |"
    )


def _command(spent: dict[str, Any], *, before: str) -> str:
    """The commands of a stage, with what was asked for other than its defaults."""
    recipe = spent["recipe"]
    usual = asdict(STAGES[recipe["stage"]])
    changed = {name: value for name, value in recipe.items() if value != usual[name] and name not in MACHINE}
    flags = "".join(f" --{name.replace('_', '-')} {value}" for name, value in changed.items())
    where = f"DIR/{recipe['stage']}"
    out = "DIR" if recipe["stage"] == list(STAGES)[-1] else "DIR/blended"
    start = f" --stage {recipe['stage']} --start DIR/{before}" if before else ""
    chosen = " --chosen DIR/chosen.json" if "chosen" in spent else ""
    measured = ["python -m orca_guard_nano.recipe.choose DIR/third --out DIR/chosen.json"] if chosen else []
    trained = f"python -m orca_guard_nano.recipe.train --out {where}{start}{chosen}{flags}"
    lines = [*measured, trained]
    if mean := spent.get("blended"):
        both = f"DIR/{mean['with']} {where}"
        lines.append(f"python -m orca_guard_nano.recipe.blend {both} --share {mean['share']} --out {out}")
    return "\n".join(f"    {line}" for line in lines)


def _commands(stages: list[dict[str, Any]]) -> str:
    names = ["", *("blended" if "blended" in spent else spent["recipe"]["stage"] for spent in stages)]
    return "\n".join(_command(spent, before=name) for spent, name in zip(stages, names, strict=False))


def _chosen(stages: list[dict[str, Any]]) -> str:
    """Which strategy the last stage erased from which kind of question."""
    table = stages[-1].get("chosen")
    if not table:
        return ""
    said = ", ".join(f"{category}: {strategy}" for category, strategy in table.items())
    return f"- Erased in the last stage, as measured on a selection split: {said}.\n"


def card(directory: Path, *, training: dict[str, Any], measured: dict[str, Any], note: str = "") -> str:
    """The text of the card; a note says what no flag shows."""
    stages, weights = training["stages"], directory / "model.safetensors"
    first, speed = stages[0]["recipe"], measured["tokens_per_second"]
    note = f"- {note}\n" if note else ""
    each = measured["rows"][0]["n"]
    count = f" --count {each}" if each != evaluate.COUNT else ""
    return f"""# nano

A tiny demonstration model: plain LlamaForCausalLM, trained from nothing on questions made by the generators in
`orca_guard_nano/recipe`. No text from elsewhere took part.

- Weights: `model.safetensors`, {weights.stat().st_size / 1e6:.2f} MB, sha256 `{digest(weights)}`
- Tokenizer: byte-level BPE, one token a digit, sha256 of `tokenizer.json` `{digest(directory / "tokenizer.json")}`
- Trained length: documents of up to {LONGEST} tokens (most have fewer than 150); 2,048 positions exist, those above
  {LONGEST} are untrained.
- Recipe: size `{first["size"]}`, in the stages below. Muon for matrices, AdamW for the rest, trapezoid rate, mean
  of weights. The first two layers start with heads that look back and repeat, because copying is what everything else
  waits for.
{_chosen(stages)}{note}- Run it in float32 on a CPU: {speed:.0f} new tokens a second, one core, one prompt.

| stage | seed | tokens | steps | time |
|---|---|---|---|---|
{chr(10).join(_stage(spent) for spent in stages)}

## Figures

Greedy answers, questions of held-out items (seed {measured["seed"]}), "unseen" templates never occur in training.
Share right with 95 % Wilson intervals. Overall is over arithmetic, facts, compositions, reading and multiple choice.

{_overall(measured["rows"])}

{chr(10).join("- " + evaluate.margin_in_words(margin) for margin in measured["margins"])}

{evaluate.show(measured["rows"])}

## Limits

{LIMITS}
## Made again by

{_commands(stages)}
    python -m orca_guard_nano.recipe.evaluate DIR{count} --json > measured.json
    python -m orca_guard_nano.recipe.card DIR --training DIR/training.json --measured measured.json

Training goes on where it was cut short. `make nano` does all of this with the defaults.
"""


def main() -> None:
    """The command line: DIR, and the file that `evaluate --json` wrote."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--measured", type=Path, required=True)
    parser.add_argument("--training", type=Path, required=True)
    parser.add_argument("--note", default="")
    arguments = parser.parse_args()
    training, measured = (json.loads(p.read_text()) for p in (arguments.training, arguments.measured))
    (arguments.directory / "profile.toml").write_text(profile())
    text = card(arguments.directory, training=training, measured=measured, note=arguments.note)
    (arguments.directory / "README.md").write_text(text)


if __name__ == "__main__":
    main()
