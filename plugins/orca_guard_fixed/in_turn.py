"""Takes the strategies in order: after guards let an answer through to nobody, the next and more careful one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orca_guard.contracts import SelectorFactory
from orca_guard.errors import UsageError
from orca_guard.types import Attempt, Question


@dataclass(frozen=True, slots=True)
class InTurn:
    """Escalates through the pipeline's strategies, as long as its limits allow another attempt."""

    strategies: tuple[str, ...]
    name: str = "in-turn"
    escalates: bool = True

    def choose(self, question: Question, attempts: Sequence[Attempt], /) -> str | None:  # noqa: ARG002  # the contract
        """The next strategy, or None after the last: then the answer is withheld."""
        return self.strategies[len(attempts)] if len(attempts) < len(self.strategies) else None


def make(strategies: Sequence[str], options: Mapping[str, Any]) -> InTurn:
    """It has no settings. Raises `UsageError` for one strategy alone: there would be no next one."""
    if options:
        raise UsageError(f"selector 'in-turn' takes no setting {min(options)!r}")
    if len(strategies) < 2:  # noqa: PLR2004  # one and the next
        raise UsageError("selector 'in-turn' needs a second strategy to turn to: name two or more")
    return InTurn(tuple(strategies))


FACTORY = SelectorFactory(name="in-turn", summary="the strategies in order, the next after every failed one", make=make)
