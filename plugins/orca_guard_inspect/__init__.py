"""Shows a run as a log of Inspect, for its viewer and its data frames."""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import ReportForm
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def reports() -> Iterable[ReportForm]:
    """The log."""
    from orca_guard_inspect.log import InspectLog  # noqa: PLC0415  # registration stays quick

    return [InspectLog()]
