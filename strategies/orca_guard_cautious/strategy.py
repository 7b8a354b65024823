"""Gives a generic message and lets the model choose how to answer."""

from __future__ import annotations

from dataclasses import dataclass

from orca_guard.contracts import Answering
from orca_guard.passes import one_pass
from orca_guard.types import Question


@dataclass(frozen=True, slots=True)
class Cautious:
    """The message says nothing of any form, as in Orca 2's prompt erasing; profiles word it for their family."""

    name: str = "cautious"
    summary: str = "the model chooses the form inside its weights"
    system: str = (
        "You are a cautious assistant. You follow instructions with care, "
        "you choose how to work, and you say so when you do not know."
    )
    chooses_inside_model: bool = True

    def answer(self, question: Question, /) -> Answering:
        """One pass; where the model marks its answer the mark counts, else the whole text does."""
        return one_pass(question, marked=False)
