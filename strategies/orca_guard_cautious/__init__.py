"""Cautious reasoning: a generic message, and the model chooses the strategy inside its weights (Orca 2, section 3)."""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import Strategy
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def strategies() -> Iterable[Strategy]:
    """The one strategy of this package."""
    from orca_guard_cautious.strategy import Cautious  # noqa: PLC0415  # nothing is imported before it is used

    return [Cautious()]
