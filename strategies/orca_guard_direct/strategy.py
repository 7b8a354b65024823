"""Asks for the answer and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from orca_guard.contracts import Answering
from orca_guard.passes import one_pass
from orca_guard.types import Question


@dataclass(frozen=True, slots=True)
class Direct:
    """The whole text is the answer."""

    name: str = "direct"
    summary: str = "the answer alone"
    system: str = "Answer directly. Give only the answer, with no explanation."
    chooses_inside_model: bool = False

    def answer(self, question: Question, /) -> Answering:
        """One pass."""
        return one_pass(question, marked=False)
