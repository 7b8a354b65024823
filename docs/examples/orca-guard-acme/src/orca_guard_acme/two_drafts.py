"""Asks for a quick draft and a careful one, then for a decision between them."""

from __future__ import annotations

from dataclasses import dataclass

from orca_guard.contracts import Answering
from orca_guard.errors import ModelFailed
from orca_guard.passes import ask, segment
from orca_guard.prompts import rephrased, turns
from orca_guard.types import Generate, Generation, Question, Replies

QUICK = "Answer at once, in one sentence."
CAREFUL = "Work it out step by step before you answer."
DECIDE = (
    "Compare the two drafts. Where they disagree, find out which one is wrong. "
    "Give the right answer on a last line that begins with 'Answer:'."
)


@dataclass(frozen=True, slots=True)
class TwoDrafts:
    """Two passes that do not know of each other, and a third that has read both."""

    name: str = "two-drafts"
    summary: str = "a quick draft and a careful one, then a decision between them"
    system: str = (
        "You write drafts of answers, or decide between them. Be brief, and trust no draft because it is there."
    )
    chooses_inside_model: bool = False

    def answer(self, question: Question, /) -> Answering:
        """A tuple of requests is answered together: both drafts wait for one batch of the model."""
        replies = yield (_draft(question, "quick draft", QUICK), _draft(question, "careful draft", CAREFUL))
        quick, careful = _texts(replies)
        decided = yield from ask(Generate(messages=rephrased(question, _deciding(question, quick, careful))))
        return segment(decided, marked=True)


def _draft(question: Question, name: str, how: str) -> Generate:
    """`final=False`: a draft is no answer, so it is never streamed, and output guards are not shown it."""
    return Generate(messages=rephrased(question, f"{_asked(question)}\n\n{how}"), name=name, final=False)


def _deciding(question: Question, quick: str, careful: str) -> str:
    return f"{_asked(question)}\n\nFirst draft:\n{quick}\n\nSecond draft:\n{careful}\n\n{DECIDE}"


def _asked(question: Question) -> str:
    """The last turn with its documents and choices, laid out as every strategy lays them out."""
    return turns(question)[-1].content


def _texts(replies: Replies) -> list[str]:
    """The replies come in the order of the requests."""
    generations = [r for r in (replies if isinstance(replies, tuple) else ()) if isinstance(r, Generation)]
    if len(generations) != 2:  # noqa: PLR2004  # two were asked for
        raise ModelFailed("two drafts were asked for and something else came back")
    return [generation.text.strip() for generation in generations]
