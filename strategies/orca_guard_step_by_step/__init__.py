"""Step-by-step: a worked derivation, then the answer (Orca 2, section 3)."""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import Strategy
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def strategies() -> Iterable[Strategy]:
    """The one strategy of this package."""
    from orca_guard_step_by_step.strategy import StepByStep  # noqa: PLC0415  # nothing is imported before it is used

    return [StepByStep()]
