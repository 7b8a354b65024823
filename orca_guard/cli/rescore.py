"""`orca-guard rescore`: what another scoring rule makes of a sealed run."""

from __future__ import annotations

from pathlib import Path

import click

PATH = click.Path(path_type=Path)


@click.command(
    epilog="""\b
    Examples:
      orca-guard rescore runs/20260102-030405 --scoring match
      orca-guard rescore runs/20260102-030405 --scoring likelihood-per-character --benchmark basics-choices

    \b
    Exit codes: 0 done and no gate failed, 1 a gate failed, 2 wrong usage or bad input,
    3 not enough evidence, 4 internal error, 130 interrupted."""
)
@click.argument("run", type=PATH)
@click.option("--scoring", required=True, metavar="RULE", help="The other rule.")
@click.option("--benchmark", default="", metavar="NAME", help="Score only this one again.")
@click.option("--run", "name", default="", metavar="NAME", help="Of the new run's folder; RUN and RULE if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rescore(run: Path, *, scoring: str, benchmark: str, name: str, as_json: bool) -> int:
    """Score the answers recorded in RUN by another rule, as a new run beside it. No model is asked."""
    from orca_guard import rescore as rescoring  # noqa: PLC0415  # not needed for help
    from orca_guard.cli.auditing import show_seal  # noqa: PLC0415
    from orca_guard.cli.show import note  # noqa: PLC0415

    made = rescoring.rescore(run, scoring=scoring, benchmark=benchmark, name=name)
    note(f"{made.changed} of {made.seal['records']} records have other scores than before")
    if made.dropped:
        note(f"{made.dropped} records are unscored: {rescoring.DROPPED}", style="yellow")
    return show_seal(made.bundle.root, made.seal, as_json=as_json)
