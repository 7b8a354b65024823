"""A limit on how much text one turn or document may hold, whatever the model's context is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orca_guard.contracts import GuardFactory, GuardSettings
from orca_guard.errors import UsageError
from orca_guard.types import Action, Exhibit, Scope, Stage, Verdict

DEFAULT = 200_000


@dataclass(frozen=True, slots=True)
class Length:
    """Stops a text of more characters than the threshold."""

    threshold: float = DEFAULT
    action: Action = Action.BLOCK
    name: str = "length"
    stages: frozenset[Stage] = frozenset({"input"})
    scope: Scope = "window"

    def judge(self, exhibits: Sequence[Exhibit], /) -> Sequence[Verdict]:
        """Counts."""
        return [self._verdict(exhibit) for exhibit in exhibits]

    def _verdict(self, exhibit: Exhibit) -> Verdict:
        size = len(exhibit.text)
        if size <= self.threshold:
            return Verdict(action=Action.ALLOW, score=size, threshold=self.threshold)
        reason = f"the {exhibit.part} has {size} characters, the limit is {self.threshold:g}"
        return Verdict(action=self.action, score=size, threshold=self.threshold, reason=reason)


def make(settings: GuardSettings) -> Length:
    """Raises `UsageError` for a limit below one character, an action it cannot take, and any option."""
    threshold = DEFAULT if settings.threshold is None else settings.threshold
    if settings.options:
        raise UsageError(f"guard 'length' takes no option {next(iter(settings.options))!r}, nor any other")
    if threshold < 1:
        raise UsageError(f"guard 'length' takes a threshold of 1 character or more, not {threshold:g}")
    if settings.action is Action.REDACT:
        raise UsageError("guard 'length' blocks, revises or abstains: what is too long has nothing to redact")
    return Length(threshold, settings.action or Action.BLOCK)


FACTORY = GuardFactory(name="length", summary=f"more than {DEFAULT} characters in one turn or document", make=make)
