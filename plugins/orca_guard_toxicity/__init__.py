"""Toxicity of what is asked and answered: detoxify's models, any classifier directory, and a small embedded one."""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import GuardFactory
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def guards() -> Iterable[GuardFactory]:
    """One by a classifier, and one of another kind to judge it by."""
    from orca_guard_toxicity import guard, second  # noqa: PLC0415  # nothing is imported before it is used

    return [guard.FACTORY, second.FACTORY]
