"""Direct answer: the answer alone, in one pass (Orca 2, section 3, names it among the strategies)."""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import Strategy
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def strategies() -> Iterable[Strategy]:
    """The one strategy of this package."""
    from orca_guard_direct.strategy import Direct  # noqa: PLC0415  # nothing is imported before it is used

    return [Direct()]
