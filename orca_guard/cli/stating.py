"""What commands share that state something of a run: who says it, with which key, and of which sealed run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from orca_guard.cli.run import PATH


def speaker_options(command: Any) -> Any:
    """Who states it, and with which key."""
    for option in reversed(
        (
            click.option("--name", required=True, metavar="NAME", help="Who states it."),
            click.option("--role", required=True, metavar="ROLE", help="In what capacity."),
            click.option("--key", type=PATH, metavar="KEYFILE", help="Sign the statement with this Ed25519 key."),
        )
    ):
        command = option(command)
    return command


def stated(folder: Path, kind: str, fields: Mapping[str, Any], *, key: Path | None) -> dict[str, Any]:
    """Append a statement to a run that verifies, and say where it stands.

    Raises:
        BadInput: the run is not sealed or does not verify, a text in it is empty, or it cannot be written.
        NotReady: a key was given, and the package that signs is not installed.
    """
    from orca_guard.cli.show import note, working  # noqa: PLC0415  # not needed for help
    from orca_guard.errors import BadInput  # noqa: PLC0415
    from orca_guard.journal.bundle import Bundle  # noqa: PLC0415
    from orca_guard.journal.statements import path_of, state  # noqa: PLC0415
    from orca_guard.verify import verify  # noqa: PLC0415

    if empty := [name for name, value in fields.items() if isinstance(value, str) and not value.strip()]:
        raise BadInput(f"--{empty[0]} is empty")
    bundle = Bundle(folder)
    with working(f"verifying {folder}"):
        found = verify(folder)
    if found.faulty:
        raise BadInput(f"{folder} does not verify, and nothing is stated of it. Run: orca-guard verify {folder}")
    row = state(bundle, kind, fields, key=key)
    note(f"stated in {path_of(bundle)}, line {row['n'] + 1}{'' if key else ', without a signature'}")
    renew_page(folder)
    return row


def renew_page(folder: Path) -> None:
    """A page that was made before does not say what was stated since, and is made again."""
    from orca_guard.cli.show import note, working  # noqa: PLC0415  # as above
    from orca_guard.pages import PAGE, make_again  # noqa: PLC0415

    with working(f"making {folder / PAGE} again"):
        made = make_again(folder)
    if made:
        note(f"written: {folder / PAGE}")
