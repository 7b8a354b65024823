"""Asks for what the model knows before it asks for the answer."""

from __future__ import annotations

from dataclasses import dataclass

from orca_guard.contracts import Answering
from orca_guard.passes import one_pass
from orca_guard.types import Question


@dataclass(frozen=True, slots=True)
class RecallGenerate:
    """Facts, then the answer on the last line that begins with `Answer:`."""

    name: str = "recall-generate"
    summary: str = "the facts that bear on it, then the answer"
    system: str = (
        "First recall the facts that bear on the question, then answer. "
        "Begin the facts with 'Recall:' and the last line with 'Answer:'."
    )
    chooses_inside_model: bool = False

    def answer(self, question: Question, /) -> Answering:
        """One pass."""
        return one_pass(question, marked=True)


@dataclass(frozen=True, slots=True)
class RecallReasonGenerate:
    """Facts, reasoning from them, then the answer on the last line that begins with `Answer:`."""

    name: str = "recall-reason-generate"
    summary: str = "the facts, reasoning from them, then the answer"
    system: str = (
        "First recall the facts that bear on the question, then reason from them, then answer. "
        "Begin the facts with 'Recall:', the reasoning with 'Reason:' and the last line with 'Answer:'."
    )
    chooses_inside_model: bool = False

    def answer(self, question: Question, /) -> Answering:
        """One pass."""
        return one_pass(question, marked=True)
