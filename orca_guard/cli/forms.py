"""`orca-guard forms`: fit and show the recogniser of the forms in which a model writes its answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orca_guard.cli import host_of
from orca_guard.cli.run import PATH, open_pipeline, pipeline_options
from orca_guard.errors import BadInput

if TYPE_CHECKING:
    from orca_guard.forms import Forms
    from orca_guard.host import Host


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
@pipeline_options
@click.pass_context
def fit(ctx: click.Context, /, file: Path, out: Path, **options: Any) -> None:
    """Ask every question under every explicit strategy, and fit a recogniser on the answers.

    A model directory that holds the result as forms.json is read with it from then on.
    """
    from orca_guard.cli.show import note, progress  # noqa: PLC0415  # not before it is known to be needed
    from orca_guard.forms import fit as fitted  # noqa: PLC0415
    from orca_guard.rows import read_questions  # noqa: PLC0415

    questions = [row.question for row in read_questions(file) if row.question]
    pipeline = open_pipeline(ctx, options)
    explicit = _explicit(host_of(ctx))
    texts: dict[str, list[str]] = {}
    with progress(len(questions) * len(explicit)) as bar:
        for name, ask in explicit.items():
            texts[name] = []
            for _, answer in ask(pipeline).batch(questions):
                texts[name].append("\n".join(step.generation.text for step in answer.passes))
                bar.update(bar.task_ids[0], advance=1)
    recogniser = fitted(texts, model=_lasting(pipeline.model.identity), seed=pipeline.decoding.seed)
    try:
        recogniser.dump(out)
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error.strerror}") from error
    note(f"{out} is fitted on {sum(map(len, texts.values()))} answers")
    click.echo(table(recogniser))


def _lasting(identity: Mapping[str, str]) -> dict[str, str]:
    """The parts that make it the same model; a recogniser outlives a new version of a library."""
    parts = {key: identity[key] for key in ("weights", "tokenizer", "template") if key in identity}
    return parts or dict(identity)


def _explicit(host: Host) -> dict[str, Any]:
    """For each strategy that decides the form itself: how a pipeline is narrowed down to it, without guards."""
    from dataclasses import replace  # noqa: PLC0415  # as above

    fixed = host.selectors.get("fixed")
    found = {name: p.item for name, p in host.strategies if not p.item.chooses_inside_model}
    return {
        name: lambda pipeline, name=name, strategy=strategy: replace(
            pipeline, strategies={name: strategy}, selector=fixed.make([name], {}), guards=()
        )
        for name, strategy in found.items()
    }


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
    click.echo(json.dumps(recogniser.confusion, indent=2) if as_json else table(recogniser))


def table(recogniser: Forms) -> str:
    """The confusion on held-out texts, as Markdown: rows are what was asked for, columns what was recognised."""
    columns = sorted({form for row in recogniser.confusion.values() for form in row})
    lines = [f"| asked for | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for form, row in sorted(recogniser.confusion.items()):
        lines.append(f"| {form} | {' | '.join(str(row.get(column, 0)) for column in columns)} |")
    return "\n".join(lines)
