"""`tune run`: the stages of a training."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orca_guard.cli import host_of
from orca_guard.cli.run import PATH, Range
from orca_guard.errors import BadInput, ExitCode

if TYPE_CHECKING:
    from orca_guard_tuning.prepare import Prepared
    from orca_guard_tuning.stages import StagesTable
    from orca_guard_tuning.trainer import Told


@click.command(
    epilog="""\b
    Examples:
      orca-guard tune run stages.toml --out ./my-model --dry-run
      orca-guard tune run stages.toml --out ./my-model
      accelerate launch --num_processes 4 "$(which orca-guard)" tune run stages.toml --out ./my-model
      orca-guard run --model ./my-model "What is 17 + 26?"

    \b
    Exit codes: 0 the model is there, 2 wrong usage or bad input, 3 the loss was no number any more,
    130 interrupted. A run that was interrupted or killed goes on by the same command, and ends with
    the same weights."""
)
@click.argument("stages", type=PATH)
@click.option("--out", type=PATH, required=True, metavar="DIR", help="The model's directory.")
@click.option(
    "--checkpoint-every",
    type=Range(0),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="What a kill may cost at most.",
)
@click.option("--offline", is_flag=True, help="Never touch the network.")
@click.option("--dry-run", is_flag=True, help="Read and count all data, and train nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def run(ctx: click.Context, /, stages: Path, out: Path, **options: Any) -> int:
    """Train through the stages of a file, and write a directory that plain transformers loads.

    Triples are packed into rows in which none attends to another, and only the tokens of answers have a loss. The
    directory holds tokenizer, chat template, a plot of the loss, and a card with the digests of all data.
    """
    from orca_guard_tuning.stages import read_stages  # noqa: PLC0415  # not needed for help

    table = read_stages(stages)
    reference = _reference(ctx, table)
    from orca_guard.cli.show import stderr  # noqa: PLC0415  # as above
    from orca_guard_tuning.run import accelerator_for, prepared_for, train  # noqa: PLC0415  # imports torch

    accelerator = accelerator_for(table)
    with stderr().status("reading model and data"):
        prepared = prepared_for(table, reference, offline=options["offline"])
    first = accelerator.is_main_process
    if first:
        _show_plan(prepared, as_json=options["as_json"])
    if options["dry_run"]:
        return ExitCode.DONE
    with _progress(prepared, shown=first) as (begun, tell):
        done = train(prepared, out, accelerator=accelerator, every=options["checkpoint_every"], tell=tell, begun=begun)
    if first:
        from orca_guard.cli.show import note  # noqa: PLC0415  # as above

        note(f"{out} holds the model" if done else f"{out} already holds the model; nothing is left to do")
    return ExitCode.DONE


def _reference(ctx: click.Context, table: StagesTable) -> str:
    """The directory or hub id that training starts from."""
    from orca_guard.assembly import resolve  # noqa: PLC0415  # as above
    from orca_guard.configuration import ModelTable  # noqa: PLC0415

    loader, spec = resolve(ModelTable(name=table.start), host_of(ctx))
    if loader.item.name != "hf":
        raise BadInput(
            f"training starts from a model directory or hub id, and {table.start!r} is opened by {loader.item.name!r}"
        )
    if Path(spec.reference).expanduser().is_absolute() and not Path(spec.reference).expanduser().is_dir():
        raise BadInput(f"cannot start from {spec.reference}: there is no such directory")
    return (
        os.fspath(Path(spec.reference).expanduser()) if Path(spec.reference).expanduser().is_dir() else spec.reference
    )


def _show_plan(prepared: Prepared, *, as_json: bool) -> None:
    from orca_guard.cli.show import note  # noqa: PLC0415  # as above
    from orca_guard_tuning.card import counted_row  # noqa: PLC0415
    from orca_guard_tuning.cli.tables import show_table  # noqa: PLC0415

    rows = [counted_row(count) for count in prepared.counted]
    shown = [
        {
            "stage": row["stage"],
            "triples": row["triples"],
            "examples": row["examples"],
            "left out": sum(row["left_out"].values()),
            "tokens": row["tokens"],
            "learned": row["answer_tokens"],
            "steps": row["steps"],
            "filled": f"{row['filled']:.0%}",
        }
        for row in rows
    ]
    show_table(
        shown, as_json=as_json, whole={"stages": rows, "held_out": len(prepared.held_out), "alone": prepared.alone}
    )
    for row in rows:
        for reason, count in row["left_out"].items():
            note(f"stage {row['stage']}: {count} left out: {reason}", style="yellow")
    if prepared.alone:
        note(f"every example has a row of its own, which is slower: {prepared.alone}", style="yellow")


@contextmanager
def _progress(prepared: Prepared, *, shown: bool) -> Iterator[tuple[Callable[[int], None], Callable[[Told], None]]]:
    """A bar with the loss on stderr, where that is a terminal; and a line at the end of every stage."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    from orca_guard.cli.show import note, stderr  # noqa: PLC0415  # as above

    names = [stage.name for stage in prepared.stages]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
    )
    off = not (shown and stderr().is_terminal)
    with Progress(*columns, TimeRemainingColumn(), console=stderr(), transient=True, disable=off) as bar:
        task = bar.add_task(names[0], total=sum(len(stage.steps) for stage in prepared.stages), loss="")

        def begun(steps: int) -> None:
            if steps and shown:
                note(f"{steps} steps were done before")
            bar.update(task, completed=steps)

        def tell(told: Told) -> None:
            name = names[told.place.stage]
            if told.held_out:
                if shown:
                    note(f"stage {name}: loss on what is held out {told.loss:.4f}")
                return
            bar.update(task, advance=1, description=name, loss=f"{told.loss:.3f}")
            if shown and told.place.step + 1 == len(prepared.stages[told.place.stage].steps):
                note(f"stage {name}: done, loss {told.loss:.4f} in its last step")

        try:
            yield begun, tell
        except KeyboardInterrupt:
            if shown:
                note("interrupted; run the same command again to go on", style="yellow")
            raise
