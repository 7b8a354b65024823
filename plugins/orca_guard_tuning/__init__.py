"""Explanation tuning with prompt erasing: the recipe of Orca 2 for a model of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from orca_guard.hookspecs import hookimpl

if TYPE_CHECKING:
    import click

ORCA_GUARD_API = 1


@hookimpl
def commands() -> Iterable[click.Command]:
    """The group of commands."""
    from orca_guard_tuning.cli import tune  # noqa: PLC0415  # registration stays quick

    return [tune]
