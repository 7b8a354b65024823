"""Rows on stdout: a table for people, or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from orca_guard.cli.streams import json_text


def show_table(rows: Sequence[Mapping[str, Any]], *, as_json: bool, whole: Any) -> None:
    """Print rows of one shape.

    Args:
        rows: in order; the first one's keys are the columns.
        as_json: print `whole` instead.
        whole: everything there is to say.
    """
    if as_json:
        click.echo(json_text(whole, indent=2))
        return
    from rich.table import Table  # noqa: PLC0415  # not needed for JSON

    from orca_guard.cli.show import console, safe  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, value in rows[0].items() if rows else ():
        table.add_column(name, justify="right" if isinstance(value, int | float) else "left")
    for row in rows:
        table.add_row(*(safe(_shown(value)) for value in row.values()))
    console().print(table)


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{number} {name}" for name, number in value.items())
    return str(value)
