"""Takes the first strategy and never another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orca_guard.contracts import SelectorFactory
from orca_guard.errors import UsageError
from orca_guard.types import Attempt, Question


@dataclass(frozen=True, slots=True)
class Fixed:
    """One strategy for every question."""

    strategy: str
    name: str = "fixed"
    escalates: bool = False

    def choose(self, question: Question, attempts: Sequence[Attempt], /) -> str | None:  # noqa: ARG002  # the contract
        """The strategy, once."""
        return None if attempts else self.strategy


def make(strategies: Sequence[str], options: Mapping[str, Any]) -> Fixed:
    """It has no settings: the first of the pipeline's strategies is the one."""
    if options:
        raise UsageError(f"selector 'fixed' takes no setting {min(options)!r}")
    return Fixed(strategies[0])


FACTORY = SelectorFactory(name="fixed", summary="always the first strategy of the pipeline", make=make)
