"""What should not get near a model: control characters, too much text, and attempts to replace its instructions."""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import GuardFactory, Scorer
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def guards() -> Iterable[GuardFactory]:
    """Guards with logic of their own."""
    from orca_guard_hygiene import control_characters, injection, length  # noqa: PLC0415  # nothing is imported before it is used

    return [control_characters.FACTORY, length.FACTORY, injection.FACTORY]


@hookimpl
def scorers() -> Iterable[Scorer]:
    """The pattern list, which the host makes a guard of."""
    from orca_guard_hygiene.prompt_injection import PromptInjection  # noqa: PLC0415  # as above

    return [PromptInjection()]
