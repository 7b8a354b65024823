"""Strategies, guards and audits around a trained language model, in one pipeline that fails closed.

import orca_guard

guarded = orca_guard.load()
answer = guarded.ask("What is the capital of France?")
print(answer.final if answer.answered else answer.reason)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orca_guard.api import load
    from orca_guard.errors import OrcaGuardError
    from orca_guard.host import Host
    from orca_guard.pipeline import Pipeline
    from orca_guard.types import Action, Answer, Decoding, Document, Message, Outcome, Question

__all__ = [
    "Action",
    "Answer",
    "Decoding",
    "Document",
    "Host",
    "Message",
    "OrcaGuardError",
    "Outcome",
    "Pipeline",
    "Question",
    "load",
]

_HOME = {"Host": "host", "OrcaGuardError": "errors", "Pipeline": "pipeline", "load": "api"}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are asked for, so that a command line starts at once."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"orca_guard.{_HOME.get(name, 'types')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
