"""What strategies and asking guards are written with: typed steps to `yield from`."""

from __future__ import annotations

from collections.abc import Generator

from orca_guard.contracts import Answering
from orca_guard.errors import ModelFailed
from orca_guard.prompts import turns
from orca_guard.reading import final_answer
from orca_guard.types import AnswerForm, Generate, Generation, Question, Replies, Requests, Segment


def ask(request: Generate) -> Generator[Requests, Replies, Generation]:
    """One generation, to be taken up with `yield from`."""
    reply = yield request
    if not isinstance(reply, Generation):
        raise ModelFailed(f"a generation was asked for and {type(reply).__name__} came back")
    return reply


def one_pass(question: Question, *, marked: bool) -> Answering:
    """Ask the question once, as it stands.

    Args:
        question: laid out with its documents and choices.
        marked: whether the system message asked for a line that begins with `Answer:`. Without such a line there is
            then no answer; an unmarked answer is the whole text.
    """
    reply = yield from ask(Generate(messages=turns(question)))
    return segment(reply, marked=marked, form=question.form)


def segment(reply: Generation, *, marked: bool, form: AnswerForm = "free") -> Segment:
    """Where the final answer stands in a generation.

    "The answer is" in the middle of free prose is no mark where none was asked for: the prose is the answer.
    """
    found = final_answer(reply.text, phrases=marked or form != "free")
    return Segment(text=reply.text, answer=found if marked or found else reply.text, finish=reply.finish)
