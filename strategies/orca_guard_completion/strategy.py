"""Goes on with a text, to the end of its line."""

from __future__ import annotations

from dataclasses import dataclass

from orca_guard.contracts import Answering
from orca_guard.passes import ask
from orca_guard.prompts import turns
from orca_guard.types import Generate, Question, Segment


@dataclass(frozen=True, slots=True)
class Completion:
    """The line that the model writes after the text is the answer; a line that is not finished is cut off."""

    name: str = "completion"
    summary: str = "the text continued as it stands, to the end of the line"
    system: str = ""
    chooses_inside_model: bool = False

    def answer(self, question: Question, /) -> Answering:
        """One pass, without a template."""
        reply = yield from ask(Generate(messages=turns(question), raw=True, stop=("\n",)))
        return Segment(text=reply.text, answer=reply.text, finish=reply.finish)
