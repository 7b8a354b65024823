"""The selector that always takes the first strategy."""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import SelectorFactory
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def selectors() -> Iterable[SelectorFactory]:
    """The one selector of this package."""
    from orca_guard_fixed.selector import FACTORY  # noqa: PLC0415  # nothing is imported before it is used

    return [FACTORY]
