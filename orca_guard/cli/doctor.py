"""`orca-guard doctor`: whether plugins, model and benchmarks can be relied on, before anybody does."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from orca_guard.cli import added_commands, host_of
from orca_guard.cli.audit import DATA_HELP, SUITE_HELP
from orca_guard.cli.run import PATH, from_json, pipeline_options
from orca_guard.cli.streams import json_text
from orca_guard.errors import ExitCode, NotReady
from orca_guard.types import Finding, Health

STYLES = {Health.WELL: "green", Health.ILL: "bold red", Health.NOT_APPLICABLE: "dim"}


@click.command(
    epilog="""\b
    Examples:
      orca-guard doctor
      orca-guard doctor --suite basics --json
      orca-guard doctor --model ./Orca-2-7b --device-map auto

    \b
    Exit codes: 0 all is well, 2 wrong usage or bad input, 3 something is ill,
    4 internal error, 130 interrupted."""
)
@click.option("--suite", "suites", multiple=True, metavar="NAME", help=SUITE_HELP)
@click.option("--data", type=PATH, metavar="DIR", help=DATA_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pipeline_options
@click.pass_context
def doctor(ctx: click.Context, /, suites: tuple[str, ...], data: Path | None, *, as_json: bool, **options: Any) -> int:
    """Examine plugins, model and benchmarks, and say what to do about what is ill."""
    from orca_guard.api import table_of  # noqa: PLC0415  # not before the options are known to be good
    from orca_guard.cli.show import stderr  # noqa: PLC0415
    from orca_guard.configuration import overridden  # noqa: PLC0415
    from orca_guard.data.sets import folder_named  # noqa: PLC0415
    from orca_guard.doctor import diagnose  # noqa: PLC0415

    table = overridden(table_of(options.pop("pipeline")), **from_json(options))
    host = host_of(ctx)
    added_commands(ctx)
    folder = folder_named(str(data or ""))
    with stderr().status("examining"):
        findings = list(diagnose(table, host, suites=suites, data=Path(folder) if folder else None))
    well = all(finding.health is not Health.ILL for finding in findings)
    if as_json:
        click.echo(json_text({"well": well, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        show(findings)
    return ExitCode.DONE if well else ExitCode.INCONCLUSIVE


def require(findings: Iterable[Finding], *, names: Collection[str]) -> None:
    """Say what is ill, on stderr, and stop if it is one of those that are needed.

    Args:
        findings: of an examination.
        names: what an audit rests on: its models and benchmarks.

    Raises:
        NotReady: one of them is ill.
    """
    from orca_guard.cli.show import note  # noqa: PLC0415  # a third of the start-up time

    ill = [finding for finding in findings if finding.health is Health.ILL]
    for f in ill:
        note(f"{f.about}, {f.name}: {f.detail}; {f.advice}", style="bold red" if f.about in names else "yellow")
    needed = sorted({finding.about for finding in ill if finding.about in names})
    if needed:
        raise NotReady(f"{', '.join(needed)} cannot be relied on; orca-guard doctor says more")


def show(findings: Sequence[Finding]) -> None:
    """A row a finding, and below them what to do."""
    from rich.table import Table  # noqa: PLC0415  # a third of the start-up time
    from rich.text import Text  # noqa: PLC0415

    from orca_guard.cli.show import console, safe  # noqa: PLC0415  # as above
    from orca_guard.cli.streams import plain  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("about", "examined", "found", ""):
        table.add_column(column, overflow="fold")
    for f in findings:
        table.add_row(safe(f.about), safe(f.name), Text(f.health, STYLES[f.health]), safe(f.detail))
    console().print(table)
    for f in findings:
        if f.advice:
            what = Text(plain(f"{f.about}, {f.name}"), STYLES[f.health])
            console().print(Text.assemble(what, ": ", plain(f.advice)), soft_wrap=True)
