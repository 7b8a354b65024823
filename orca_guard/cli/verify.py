"""`orca-guard verify`: check a run from its folder alone."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orca_guard.cli import host_of
from orca_guard.cli.replaying import check_options, replay_options, replayed
from orca_guard.cli.run import PATH
from orca_guard.cli.streams import json_text

if TYPE_CHECKING:
    from orca_guard.verify import Check, Report

PAGE = "report.html"
STYLES = {"proven": "green", "asserted": "yellow", "fault": "bold red", "skipped": "dim"}


@click.command(
    epilog="""\b
    Examples:
      orca-guard verify runs/20260102-030405
      orca-guard verify runs/release-2 --anchor sha256:07b246be30dd06e0165a…
      orca-guard verify runs/release-2 --data packs --json
      orca-guard verify runs/release-2 --replay 300 --model ./Orca-2-7b

    \b
    Exit codes: 0 nothing contradicts the run, 1 a fault was found, 2 no run, not readable, or another model than
    the run's, 3 nothing contradicts it, but it is not sealed, or of nothing that was drawn a model could be asked."""
)
@click.argument("folder", type=PATH, metavar="RUN")
@click.option("--anchor", metavar="DIGEST", help="The plan's digest as it was registered beforehand.")
@click.option("--data", type=PATH, metavar="PATH", help="A pack, or a folder of them, to hold the items against.")
@click.option("--public-key", "public", type=PATH, metavar="FILE", help="The key the seal must be signed with: PEM.")
@replay_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def verify(
    ctx: click.Context, /, folder: Path, anchor: str | None, data: Path | None, public: Path | None, **options: Any
) -> int:
    """Check a run from its folder alone: chain, seal, completeness, and every figure computed again.

    Needs no model and no plugin, and says of each thing whether it is proven here or rests on somebody's word. With
    --replay and the model it finds answers and likelihoods that were made up.
    """
    from orca_guard.verify import Status  # noqa: PLC0415  # not needed for help
    from orca_guard.verify import verify as check_folder  # noqa: PLC0415

    as_json = options.pop("as_json")
    check_options(**options)
    if anchor is not None and not anchor.strip():
        raise click.UsageError("--anchor is empty: what was to give the digest gave nothing")
    report = check_folder(folder, anchor=anchor or "", data=data, public=public)
    if not report.faulty and (folder / PAGE).is_file():
        report = replace(report, checks=(*report.checks, _page(folder)))
    if options["count"] and not report.faulty:
        check = replayed(folder, host_of(ctx), **options)
        report = replace(report, checks=(*report.checks, check), unanswered=check.status is Status.SKIPPED)
    if as_json:
        checks = [asdict(one) for one in report.checks]
        told = {"run": str(folder), "plan": report.plan, "sealed": report.sealed, "faulty": report.faulty}
        click.echo(json_text(told | {"checks": checks}, indent=2))
    else:
        _show(report)
    return report.exit_code


def _page(folder: Path) -> Check:
    """The page that lies in the folder, held against the run. What makes pages is loaded where there is one."""
    from orca_guard.pages import check_page  # noqa: PLC0415  # as above

    return check_page(folder)


def _show(report: Report) -> None:
    from rich.table import Table  # noqa: PLC0415  # as above
    from rich.text import Text  # noqa: PLC0415

    from orca_guard.cli.show import console, safe  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("check", "status", "what"):
        table.add_column(column, overflow="fold", no_wrap=column != "what")
    for check in report.checks:
        table.add_row(safe(check.name), Text(check.status, STYLES[check.status]), safe(check.what))
    console().print(table)
    console().print(_summary(report), soft_wrap=True)


def _summary(report: Report) -> str:
    if report.faulty:
        count = sum(check.count for check in report.checks)
        told = "1 thing is not as it should be" if count == 1 else f"{count} things are not as they should be"
        return f"[bold red]faulty[/]: {told}"
    if report.unanswered:
        return "[yellow]not replayed[/]: nothing contradicts the run, and nothing that was drawn could be followed"
    if not report.sealed:
        return "[yellow]not sealed[/]: nothing contradicts what is here, and the run does not say that it is complete"
    unheld = any(check.name == "page" and check.status == "asserted" for check in report.checks)
    told = f". {PAGE} is not what was verified: it could not be made again here" if unheld else ""
    return f"[green]verified[/]: nothing contradicts the run. Its plan is {report.plan}{told}"
