"""Completion: the text is continued as it stands, with no template, no system message and no turn of an assistant.

What a language model writes after a text, and what it answers in a conversation, are two different things. What is
published of the first, such as the share of toxic lines after ToxiGen's prompts, is measured under this strategy, and
beside it under one that converses.
"""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import Strategy
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def strategies() -> Iterable[Strategy]:
    """The one strategy of this package."""
    from orca_guard_completion.strategy import Completion  # noqa: PLC0415  # nothing is imported before it is used

    return [Completion()]
