"""`orca-guard sign`: a person's decision on a sealed run, beside it."""

from __future__ import annotations

from pathlib import Path

import click

from orca_guard.cli.run import PATH
from orca_guard.cli.stating import speaker_options, stated

DECISIONS = ("go", "no-go", "conditional")


@click.command(
    epilog="""\b
    Examples:
      orca-guard sign runs/release --name "A. Auditor" --role "model risk" --decision no-go
      orca-guard sign runs/release --name "A. Auditor" --role "model risk" --decision conditional \\
        --comment "for internal use, with a person reading along" --key auditor.pem"""
)
@click.argument("folder", type=PATH, metavar="RUN")
@speaker_options
@click.option("--decision", type=click.Choice(DECISIONS), required=True, help="What is decided.")
@click.option("--comment", default=None, metavar="TEXT", help="Conditions, or why.")
def sign(*, folder: Path, name: str, role: str, key: Path | None, decision: str, comment: str | None) -> None:
    """State a decision on the sealed run in the folder RUN. It changes nothing that was computed.

    The run is verified first. The statement is a line of RUN/statements.jsonl, bound to the seal and the line before.
    """
    from orca_guard.cli.show import note  # noqa: PLC0415  # not needed for help
    from orca_guard.journal.bundle import Bundle  # noqa: PLC0415

    said = {"name": name, "role": role, "decision": decision} | ({} if comment is None else {"comment": comment})
    stated(folder, "sign", said, key=key)
    verdict = Bundle(folder).read_seal()["verdict"]
    if decision == "go" and verdict != "pass":
        note(f"the verdict of the run is {verdict}, and stays so beside this decision", style="yellow")
