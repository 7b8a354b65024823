"""Checks a run from its folder alone: no model, no plugin, nothing of the program that made it is trusted."""

from __future__ import annotations

from orca_guard.verify.checks import verify
from orca_guard.verify.report import Check, Report, Status

__all__ = ["Check", "Report", "Status", "verify"]
