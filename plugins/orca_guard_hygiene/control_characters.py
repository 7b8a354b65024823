"""Characters that act on a terminal or hide text from a reader."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from orca_guard.contracts import GuardFactory, GuardSettings
from orca_guard.errors import UsageError
from orca_guard.types import Action, Exhibit, Scope, Stage, Verdict

# C0 and C1 controls but tab, line feed, vertical tab, form feed, carriage return and next line, which text extracted
# from documents is full of; the two bidirectional overrides, which show text in another order than it is read; and tag
# characters, which are invisible, unless they spell a flag after U+1F3F4.
_HIDDEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202d\u202e]+|(?<![\U0001f3f4\U000e0000-\U000e007f])[\U000e0000-\U000e007f]+"
)


@dataclass(frozen=True, slots=True)
class ControlCharacters:
    """Blocks a question that holds such characters and masks them in an answer, unless told one action for both."""

    action: Action | None = None
    name: str = "control-characters"
    stages: frozenset[Stage] = frozenset({"input", "output"})
    scope: Scope = "window"

    def judge(self, exhibits: Sequence[Exhibit], /) -> Sequence[Verdict]:
        """One look at each text."""
        return [self._verdict(exhibit) for exhibit in exhibits]

    def _verdict(self, exhibit: Exhibit) -> Verdict:
        spans = tuple(match.span() for match in _HIDDEN.finditer(exhibit.text))
        if not spans:
            return Verdict(action=Action.ALLOW)
        found = exhibit.text[spans[0][0]]
        what = unicodedata.name(found, f"U+{ord(found):04X}")
        default = Action.BLOCK if exhibit.stage == "input" else Action.REDACT
        reason = f"the {exhibit.part} holds a control character ({what}) at character {spans[0][0]}"
        return Verdict(action=self.action or default, reason=reason, spans=spans, score=float(len(spans)), threshold=1)


def make(settings: GuardSettings) -> ControlCharacters:
    """It takes an action and nothing else."""
    if settings.threshold is not None or settings.options:
        raise UsageError("guard 'control-characters' takes an action, and no threshold or option")
    return ControlCharacters(settings.action)


FACTORY = GuardFactory(
    name="control-characters", summary="terminal escapes, hidden and bidirectional characters", make=make
)
