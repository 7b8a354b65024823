"""How a question's documents and choices are laid out in the user's turn: one way for every strategy."""

from __future__ import annotations

from string import ascii_uppercase

from orca_guard.types import Message, Question


def letters(question: Question) -> tuple[str, ...]:
    """The letters that stand for the choices."""
    return tuple(ascii_uppercase[: len(question.choices)])


def turns(question: Question) -> tuple[Message, ...]:
    """The conversation with documents before, and choices after, the words of the last turn."""
    return rephrased(question, with_documents(question, with_choices(question, question.prompt)))


def rephrased(question: Question, last: str) -> tuple[Message, ...]:
    """The conversation with another last turn."""
    return (*question.messages[:-1], Message("user", last))


def with_documents(question: Question, prompt: str) -> str:
    """The documents, then `prompt`."""
    return "\n\n".join((*map(_document, _titles(question), (d.text for d in question.documents)), prompt))


def with_choices(question: Question, prompt: str) -> str:
    """`prompt`, then the lettered choices."""
    if not question.choices:
        return prompt
    options = (f"{letter}. {choice}" for letter, choice in zip(letters(question), question.choices, strict=True))
    return prompt + "\n\n" + "\n".join(options)


def _titles(question: Question) -> list[str]:
    several = len(question.documents) > 1
    return [d.name or (f"Text {n}" if several else "Text") for n, d in enumerate(question.documents, 1)]


def _document(title: str, text: str) -> str:
    return f"{title}:\n{text.strip()}"
