"""Asks for the work, then the result."""

from __future__ import annotations

from dataclasses import dataclass

from orca_guard.contracts import Answering
from orca_guard.passes import one_pass
from orca_guard.types import Question


@dataclass(frozen=True, slots=True)
class StepByStep:
    """The answer stands on the last line that begins with `Answer:`."""

    name: str = "step-by-step"
    summary: str = "the work written out, then the result"
    system: str = (
        "Think step by step. Write out each step of the work, "
        "then give the result on a last line that begins with 'Answer:'."
    )
    chooses_inside_model: bool = False

    def answer(self, question: Question, /) -> Answering:
        """One pass."""
        return one_pass(question, marked=True)
