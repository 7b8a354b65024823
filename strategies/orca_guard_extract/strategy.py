"""Asks for quotes from the text, then for an answer from the quotes alone."""

from __future__ import annotations

from dataclasses import dataclass

from orca_guard.contracts import Answering
from orca_guard.passes import ask, segment
from orca_guard.prompts import rephrased, turns, with_choices
from orca_guard.types import Generate, Message, Question

EXTRACT = (
    "Copy, word for word, the sentences above that bear on the question. "
    "Begin with 'Extract:'. If there are none, write 'Extract: none'."
)
ANSWER = (
    "Answer from the extract alone, on a line that begins with 'Answer:'. "
    "If the extract does not hold the answer, write 'Answer: not stated'."
)


@dataclass(frozen=True, slots=True)
class ExtractGenerate:
    """Two passes, so that the second sees the quotes and not the whole text.

    Without a document the text is taken to be part of the prompt.
    """

    name: str = "extract-generate"
    summary: str = "quotes from the text, then an answer from the quotes alone"
    system: str = (
        "Work only from the text you are given. "
        "First copy the sentences that bear on the question, then answer from them alone."
    )
    chooses_inside_model: bool = False

    def answer(self, question: Question, /) -> Answering:
        """Extract, then answer from the extract."""
        quotes = yield from ask(Generate(messages=_extracting(question), name="extract", final=False))
        answered = yield from ask(Generate(messages=_answering(question, _bare(quotes.text))))
        return segment(answered, marked=True, form=question.form)


def _extracting(question: Question) -> tuple[Message, ...]:
    asked = turns(question)
    return rephrased(question, f"{asked[-1].content}\n\n{EXTRACT}")


def _answering(question: Question, extract: str) -> tuple[Message, ...]:
    words = with_choices(question, question.prompt)
    return rephrased(question, f"Extract:\n{extract}\n\n{words}\n\n{ANSWER}")


def _bare(quotes: str) -> str:
    return quotes.strip().removeprefix("Extract:").strip()
