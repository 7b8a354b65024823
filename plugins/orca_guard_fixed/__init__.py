"""Selectors that need no data: always the first strategy, or the next one after every failed attempt."""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import SelectorFactory
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def selectors() -> Iterable[SelectorFactory]:
    """One that never tries again, and one that does."""
    from orca_guard_fixed import in_turn, selector  # noqa: PLC0415  # nothing is imported before it is used

    return [selector.FACTORY, in_turn.FACTORY]
