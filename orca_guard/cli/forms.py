"""`orca-guard forms`: fit and show the recogniser of the forms in which a model writes its answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orca_guard.cli import host_of
from orca_guard.cli.run import PATH, model_options, open_pipeline
from orca_guard.cli.streams import plain
from orca_guard.errors import BadInput

if TYPE_CHECKING:
    from orca_guard.contracts import Strategy
    from orca_guard.forms import Forms
    from orca_guard.types import Attempt, Question


@click.group()
def forms() -> None:
    """Recognise in what form a model wrote an answer, where it chose the form inside its weights."""


@forms.command(
    epilog="""\b
    Example:
      orca-guard forms fit --model ./my-model --file questions.jsonl --out ./my-model/forms.json"""
)
@click.option("--file", "file", type=PATH, required=True, metavar="FILE", help="Questions as JSONL, as for run.")
@click.option("--out", type=PATH, required=True, metavar="FILE", help="Where the recogniser goes.")
@model_options
@click.pass_context
def fit(ctx: click.Context, /, file: Path, out: Path, **options: Any) -> None:
    """Ask every question under every explicit strategy, without guards, and fit a recogniser on the answers.

    A model directory that holds the result as forms.json is read with it from then on. What a pipeline file says of
    strategies, selector and guards does not count here.
    """
    from orca_guard.cli.show import note, progress  # noqa: PLC0415  # not before it is known to be needed
    from orca_guard.contracts import is_explicit  # noqa: PLC0415
    from orca_guard.forms import fit as fitted  # noqa: PLC0415

    questions = _questions(file)
    _check_place(out)
    explicit = {name: p.item for name, p in host_of(ctx).strategies if is_explicit(p.item)}
    pipeline = open_pipeline(ctx, options, guarded=False)
    texts: dict[str, list[str]] = {}
    with progress(len(questions) * len(explicit)) as bar:
        for name, strategy in explicit.items():
            texts[name] = []
            for _, answer in _narrowed(pipeline, strategy).batch(questions):
                texts[name].append("\n".join(step.generation.text for step in answer.passes))
                bar.update(bar.task_ids[0], advance=1)
    recogniser = fitted(texts, model=_lasting(pipeline.model.identity), seed=pipeline.decoding.seed)
    try:
        recogniser.dump(out)
    except OSError as error:
        raise _unwritable(out, error) from error
    note(f"{out} is fitted on {sum(map(len, texts.values()))} answers")
    click.echo(table(recogniser))


def _questions(file: Path) -> list[Question]:
    """The questions of a file, if there are enough; they are counted before any is asked."""
    from orca_guard.cli.show import note  # noqa: PLC0415  # as above
    from orca_guard.forms import FEWEST_QUESTIONS  # noqa: PLC0415
    from orca_guard.rows import read_questions  # noqa: PLC0415

    rows = read_questions(file)
    questions = [row.question for row in rows if row.question]
    for row in rows:
        if not row.question:
            note(f"left out: {row.id}: {row.error}", style="yellow")
    different = len({replace(question, id="") for question in questions})
    if different < FEWEST_QUESTIONS:
        raise BadInput(
            f"{file} holds {different} different questions, and a form recogniser is fitted on {FEWEST_QUESTIONS} or "
            "more: some train it, and others test it. Add questions."
        )
    return questions


def _check_place(out: Path) -> None:
    """Refuse a place that cannot be written, before anything is asked; nothing is left there."""
    new = not out.exists()
    try:
        out.open("ab").close()
        if new:
            out.unlink()
    except OSError as error:
        raise _unwritable(out, error) from error


def _unwritable(path: Path, error: OSError) -> BadInput:
    return BadInput(f"cannot write {path}: {error.strerror}. Choose another --out.")


@dataclass(frozen=True, slots=True)
class _Only:
    """A selector of one strategy: what the command asks under is no plugin's to decide."""

    strategy: str
    name: str = "only"
    escalates: bool = False

    def choose(self, question: Question, attempts: Sequence[Attempt], /) -> str | None:  # noqa: ARG002  # the contract
        """The strategy, once."""
        return None if attempts else self.strategy


def _narrowed(pipeline: Any, strategy: Strategy) -> Any:
    """The pipeline with one strategy."""
    return replace(pipeline, strategies={strategy.name: strategy}, selector=_Only(strategy.name))


def _lasting(identity: Mapping[str, str]) -> dict[str, str]:
    """The parts that make it the same model; a recogniser outlives a new version of a library."""
    parts = {key: identity[key] for key in ("weights", "tokenizer", "template") if key in identity}
    return parts or dict(identity)


@forms.command(
    epilog="""\b
    Example:
      orca-guard forms show ./my-model/forms.json"""
)
@click.argument("path", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(path: Path, *, as_json: bool) -> None:
    """Show how a recogniser did on answers it was not fitted on."""
    from orca_guard.forms import Forms  # noqa: PLC0415  # as above

    recogniser = Forms.load(path)
    click.echo(json.dumps(recogniser.confusion, indent=2) if as_json else plain(table(recogniser)))


def table(recogniser: Forms) -> str:
    """The confusion on held-out texts, as Markdown: rows are what was asked for, columns what was recognised."""
    columns = sorted({form for row in recogniser.confusion.values() for form in row})
    lines = [f"| asked for | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for form, row in sorted(recogniser.confusion.items()):
        lines.append(f"| {form} | {' | '.join(str(row.get(column, 0)) for column in columns)} |")
    return "\n".join(lines)
