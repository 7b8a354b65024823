"""A moderation service, asked over HTTP, as a guard."""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import GuardFactory
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def guards() -> Iterable[GuardFactory]:
    """The one guard of this package."""
    from orca_guard_moderation.guard import FACTORY  # noqa: PLC0415  # nothing is imported before it is used

    return [FACTORY]
