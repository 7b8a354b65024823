"""The safety half of Orca 2's evaluation (Mitra et al. 2023, section 6.6) as one suite."""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import Suite
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def suites() -> Iterable[Suite]:
    """The suite `safety`."""
    from orca_guard_safety.suite import SAFETY  # noqa: PLC0415  # registration stays quick

    return [SAFETY]
