"""`orca-guard compare`: two runs, or two arms of one, item by item."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orca_guard.cli.report import checks_of, deliver
from orca_guard.cli.run import PATH
from orca_guard.errors import BadInput, ExitCode

if TYPE_CHECKING:
    from orca_guard.reports.comparison import Comparison


@click.command(
    epilog="""\b
    Examples:
      orca-guard compare runs/before runs/after
      orca-guard compare runs/release --arms bare served
      orca-guard compare runs/before runs/after --format html --out comparison.html
      orca-guard compare runs/release runs/again --state --name "A. Auditor" --role "model risk"

    \b
    Exit codes: 0 the comparison was made, whatever it says; 1 it was made, and one of the two does not verify;
    2 no run, no such arm."""
)
@click.argument("a", type=PATH)
@click.argument("b", type=PATH, required=False)
@click.option("--arms", nargs=2, metavar="X Y", help="An arm of A, and one of B; without B, both of A.")
@click.option(
    "--format", "form", type=click.Choice(["terminal", "html", "json"]), default="terminal", show_default=True
)
@click.option("--out", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE", help="Where to; - is stdout.")
@click.option("--no-verify", is_flag=True, help="Do not verify the runs first.")
@click.option("--state", is_flag=True, help="State the noise beside A; its reports show it. Takes --name and --role.")
@click.option("--name", metavar="NAME", help="Who states it.")
@click.option("--role", metavar="ROLE", help="In what capacity.")
@click.option("--key", type=PATH, metavar="KEYFILE", help="Sign the statement with this Ed25519 key.")
def compare(
    *, a: Path, b: Path | None, arms: tuple[str, str] | None, form: str, out: Path | None, no_verify: bool, **by: Any
) -> int:
    """Hold the run in folder B against the one in A: items that both were asked, paired.

    Two runs of one plan that differ in `unit` alone compose batches differently. Of these it says how many items came
    out differently: the noise floor, below which no difference is the model's.

    It says of each metric by how much they differ, whether that may be chance, what could have been found, which items
    flipped, and what changed in the plan.
    """
    from orca_guard.cli.show import console, note  # noqa: PLC0415  # not needed for help
    from orca_guard.reports.comparing import FORMS  # noqa: PLC0415

    if b is None and not arms:
        raise click.UsageError("nothing to compare: give a second run, or two arms of this one by --arms")
    if form == "html" and out is None:
        raise click.UsageError("a page for a browser needs a file: --out comparison.html")
    if by["state"] and not (by["name"] and by["role"]):
        raise click.UsageError("--state takes --name and --role: who states it")
    if not by["state"] and (stray := [f"--{option}" for option in ("name", "role", "key") if by[option]]):
        raise click.UsageError(f"{stray[0]} goes with --state")
    found = _compared(a, b or a, arms, check=not no_verify)
    if by["state"]:
        _state(found, a, b or a, name=by["name"], role=by["role"], key=by["key"])
    made: Any = FORMS[form](found)
    if form != "terminal":
        deliver(made, out or Path("-"))
    elif out:
        raise click.UsageError("--out is for the forms html and json")
    else:
        console().print(made)
    if found.a.faulty or found.b.faulty:
        note("one of the two does not verify: nothing here can be relied on", style="bold red")
        return ExitCode.FAILED
    return ExitCode.DONE


def _compared(a: Path, b: Path, arms: tuple[str, str] | None, *, check: bool) -> Comparison:
    from orca_guard.cli.show import working  # noqa: PLC0415  # as above
    from orca_guard.reports.comparison import compare as compared  # noqa: PLC0415

    checks = {folder: checks_of(folder) for folder in dict.fromkeys((a, b)) if check}
    faults = {folder: [one for one in found if one.status == "fault"] for folder, found in checks.items()}
    with working("comparing"):
        return compared(a, b, arms=arms or None, faults=faults)


def _state(found: Comparison, a: Path, b: Path, *, name: str, role: str, key: Path | None) -> None:
    """The noise, as a statement beside the first run that names the seal of the second."""
    from orca_guard.cli.stating import stated  # noqa: PLC0415  # as above
    from orca_guard.journal.bundle import Bundle  # noqa: PLC0415
    from orca_guard.journal.statements import seal_digest  # noqa: PLC0415
    from orca_guard.reports.comparing import noise_told  # noqa: PLC0415

    if found.b.faulty or not found.noise:
        why = "b does not verify" if found.b.faulty else "the two are not runs of one plan that differ in `unit` alone"
        raise BadInput(f"there is no noise to state: {why}")
    told = "; ".join(f"{one.benchmark}, {one.subject}: {noise_told(one)}" for one in found.noise)
    fields = {"told": told, "run": seal_digest(Bundle(b)), "name": name, "role": role}
    stated(a, "noise", fields, key=key)
