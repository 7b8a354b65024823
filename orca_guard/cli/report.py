"""`orca-guard report`: what a run found, for people and for programs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orca_guard.cli import host_of
from orca_guard.cli.run import PATH
from orca_guard.errors import BadInput, ExitCode, UnknownName
from orca_guard.reports import FORMS

if TYPE_CHECKING:
    from orca_guard.host import Host
    from orca_guard.reports.summary import Check, Summary
    from orca_guard.verify import Report

HELP = f"{', '.join(FORMS)}, or one of a plugin."


@click.command(
    epilog="""\b
    Examples:
      orca-guard report runs/release
      orca-guard report runs/release --format html
      orca-guard report runs/release --format markdown --out - >> "$GITHUB_STEP_SUMMARY"
      orca-guard report runs/release --format junit --out gates.xml

    \b
    Exit codes: 0 the report was made, whatever it says; 1 it was made, and the run does not verify;
    2 no run, or a form that nobody provides."""
)
@click.argument("folder", type=PATH, metavar="RUN")
@click.option("--format", "form", default="terminal", show_default=True, metavar="FORM", help=HELP)
@click.option("--out", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE", help="Where to; - is stdout.")
@click.option("--no-verify", is_flag=True, help="Do not verify the run first; the report says so.")
@click.pass_context
def report(ctx: click.Context, folder: Path, form: str, out: Path | None, *, no_verify: bool) -> int:
    """Show what the run in the folder RUN found, from that folder alone.

    It is verified first. A page for a browser goes to RUN/report.html unless --out says otherwise; all else to stdout.
    """
    from orca_guard.cli.show import console, note  # noqa: PLC0415  # not needed for help

    chosen = form_of(form, host_of(ctx))
    summary = summary_of(folder, check=not no_verify)
    if form == "terminal" and out is None:
        from orca_guard.reports.terminal import rendered  # noqa: PLC0415

        console().print(rendered(summary))
        note(f"a page for a browser: orca-guard report {folder} --format html")
    else:
        deliver(chosen.render(folder, summary), out or (folder / "report.html" if form == "html" else Path("-")))
    if summary.faulty:
        note("this run does not verify: nothing in the report can be relied on", style="bold red")
    return ExitCode.FAILED if summary.faulty else ExitCode.DONE


def form_of(name: str, host: Host) -> Any:
    """One of our forms, or a plugin's.

    Raises:
        UnknownName: nobody provides it.
        PluginFailed, NameWithdrawn: whoever did cannot be relied on.
    """
    if name in FORMS:
        module, _, kind = FORMS[name].partition(":")
        return getattr(import_module(f"orca_guard.reports.{module}"), kind)()
    known = host.reports
    if name in known.names() or name in known.withdrawn:
        return known.get(name)
    raise UnknownName("report form", name, [*FORMS, *known.names()])


def checks_of(folder: Path) -> list[Check]:
    """What `verify` finds, as reports take it. Raises `BadInput`."""
    from orca_guard import pages  # noqa: PLC0415  # as above

    return pages.told(_verified(folder))


def summary_of(folder: Path, *, check: bool = True) -> Summary:
    """What the run has to say, verified first. Raises `BadInput`."""
    from orca_guard import pages  # noqa: PLC0415  # as above
    from orca_guard.cli.show import working  # noqa: PLC0415

    found = _verified(folder) if check else None
    with working(f"reading {folder}"):
        return pages.summary_of(folder, found)


def _verified(folder: Path) -> Report:
    from orca_guard.cli.show import working  # noqa: PLC0415  # as above
    from orca_guard.verify import verify  # noqa: PLC0415

    with working(f"verifying {folder}"):
        return verify(folder)


def deliver(text: str, out: Path) -> None:
    """To a file, whole, or to stdout.

    Raises:
        BadInput: it cannot be written.
    """
    from orca_guard.cli.show import note  # noqa: PLC0415  # as above
    from orca_guard.journal.disk import write_out  # noqa: PLC0415

    if str(out) == "-":
        click.echo(text, nl=not text.endswith("\n"))
        return
    if not out.parent.is_dir():
        raise BadInput(f"there is no folder {out.parent}")
    write_out(out, text.encode())
    note(f"written: {out}")
    if out.suffix == ".html":
        note(f"open it in a browser: file://{out.resolve()}")
