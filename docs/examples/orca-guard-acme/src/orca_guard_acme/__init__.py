"""Acme's plugins for orca-guard: the strategy `two-drafts` and the guard `email-addresses`.

This file holds registration only. orca-guard imports it for every command, `--help` included, so whatever is heavy is
imported inside the hooks.
"""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import GuardFactory, Strategy
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1
"""The version of orca-guard's contracts that this plugin was written for."""


@hookimpl
def strategies() -> Iterable[Strategy]:
    """Ways to answer."""
    from orca_guard_acme.two_drafts import TwoDrafts  # noqa: PLC0415  # nothing is imported before it is used

    return [TwoDrafts()]


@hookimpl
def guards() -> Iterable[GuardFactory]:
    """Guards with logic of their own."""
    from orca_guard_acme.email_addresses import FACTORY  # noqa: PLC0415  # as above

    return [FACTORY]
