"""`orca-guard waive`: a gate that did not hold, and why somebody goes on all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from orca_guard.cli.run import PATH
from orca_guard.cli.stating import speaker_options, stated
from orca_guard.errors import BadInput


@click.command(
    epilog="""\b
    Examples:
      orca-guard waive runs/release 2 --reason "measured again in May" --expires 2031-06-30 \\
        --name "A. Auditor" --role "model risk"
      orca-guard waive runs/release "basics-questions accuracy served ≥ 0.9" --reason … --expires …"""
)
@click.argument("folder", type=PATH, metavar="RUN")
@click.argument("gate", metavar="GATE")
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), required=True, metavar="DATE", help="Last day.")
@speaker_options
def waive(*, folder: Path, gate: str, reason: str, expires: datetime, name: str, role: str, key: Path | None) -> None:
    """State that a gate of the sealed run in RUN is waived until a day. Its ruling and the verdict stay as they are.

    GATE is its number in the report, from 1, or its name there.
    """
    if expires.date() < datetime.now(UTC).date():
        raise BadInput(f"{expires:%Y-%m-%d} is over: nothing would be waived")
    named = gate_named(gate, folder)
    said = {"gate": named, "reason": reason, "expires": f"{expires:%Y-%m-%d}", "name": name, "role": role}
    stated(folder, "waive", said, key=key)


def gate_named(wanted: str, folder: Path) -> str:
    """The name of a gate of the run, from its number or its name.

    Raises:
        BadInput: there is no such gate, or it holds and there is nothing to waive.
    """
    from orca_guard.journal.bundle import Bundle  # noqa: PLC0415  # not needed for help
    from orca_guard.reports.summarise import gate_title  # noqa: PLC0415

    gates: Sequence[Mapping[str, Any]] = Bundle(folder).read_seal()["gates"]
    titles = [gate_title(row) for row in gates]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(titles):
        number = int(wanted) - 1
    elif wanted in titles:
        number = titles.index(wanted)
    else:
        listed = "; ".join(f"{number} {title}" for number, title in enumerate(titles, 1)) or "none"
        raise BadInput(f"{folder} has no gate {wanted!r}. Its gates: {listed}")
    if gates[number]["ruling"] == "pass":
        raise BadInput(f"gate {number + 1} ({titles[number]}) holds: there is nothing to waive")
    return titles[number]
