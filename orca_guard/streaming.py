"""Lets a growing text out piece by piece, each piece only after the guards have judged everything up to its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orca_guard.contracts import Target
from orca_guard.errors import GuardFailed
from orca_guard.guards import GuardInPlace, decide
from orca_guard.types import Action, Answer, Exhibit, Judge, Question, Verdict

STEP = 24
"""Characters that must be new before guards are asked again."""

HOLD = 24
"""Characters at the end of what was judged that are held back: of anything that guards stop and that is no longer than
this, not even the beginning is shown. So what is shown lies at most STEP + HOLD characters behind what was written:
that many tokens, if each has one character or more, and about a quarter of it in English."""


class Gate:
    """Between a streamed generation and the person who reads it.

    Args:
        places: the output guards, all of scope `window`.
        targets: where they are asked, so that a stream is judged by the same code as a batch.
        question: the item the text belongs to.
    """

    def __init__(self, places: Sequence[GuardInPlace], targets: Mapping[str, Target], question: Question) -> None:
        self._places = places
        self._targets = targets
        self._question = question
        self._released = ""
        self._seen = 0
        self._holding = False
        self.closed = False
        self.verdicts: list[Verdict] = []

    def release(self, text: str) -> Iterator[str]:
        """What may be shown now. After a REDACT the rest is held until the answer is whole."""
        if self._holding or self.closed or len(text) - self._seen < STEP:
            return
        self._seen = len(text)
        verdicts = self._judge(text)
        action = decide(verdicts)
        if action is Action.ALLOW:
            clear = text[: max(len(self._released), len(text) - HOLD)]
            yield clear[len(self._released) :]
            self._released = clear
        elif action is Action.REDACT:
            self._holding = True
        else:
            self.closed, self.verdicts = True, verdicts

    def finish(self, answer: Answer) -> Iterator[str]:
        """What is left to show of an answer that was let through."""
        if not answer.answered:
            return
        if answer.text.startswith(self._released.lstrip()):
            rest = answer.text[len(self._released.lstrip()) :]
        else:
            rest = f"\n{answer.text}"
        if rest:
            yield rest

    def _judge(self, text: str) -> list[Verdict]:
        exhibit = Exhibit(text=text, stage="output", part="answer", question=self._question)
        return [self._one(place, exhibit) for place in self._places]

    def _one(self, place: GuardInPlace, exhibit: Exhibit) -> Verdict:
        for _, verdict in self._targets[place.target].run([Judge(exhibit=exhibit, target=place.target)]):
            if isinstance(verdict, Verdict):
                return verdict
        return place.failed(GuardFailed("no verdict came back"), exhibit)
