"""What guards are shown of a question and of an answer, and both of them with the marked parts masked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from orca_guard.guards import redact
from orca_guard.types import Action, Attempt, Exhibit, Question, Segment, Verdict


def shown(question: Question) -> list[Exhibit]:
    """Everything that came with the question. The operator's own system message is not put before guards."""
    turns = [(m.role, m.content) for m in question.messages]
    documents = [("document", d.text) for d in question.documents]
    choices = [("choice", choice) for choice in question.choices]
    parts: list[tuple[str, str]] = [*turns, *documents, *choices]
    return [Exhibit(text=text, stage="input", part=part, question=question) for part, text in parts]


def written(segment: Segment, question: Question) -> list[Exhibit]:
    """What came out: the text, and the answer where it is no part of the text."""
    texts = [segment.text]
    if segment.answer is not None and segment.answer not in segment.text:
        texts.append(segment.answer)
    return [Exhibit(text=text, stage="output", part="answer", question=question) for text in texts]


def _spans(verdicts: Iterable[Verdict]) -> list[tuple[int, int]]:
    return [span for verdict in verdicts if verdict.action is Action.REDACT for span in verdict.spans]


def redacted_question(question: Question, verdicts: Sequence[Verdict]) -> Question:
    """The question with what guards marked in each of its texts masked.

    Verdicts come guard by guard, each over the exhibits in the order of `shown`.
    """
    exhibits = shown(question)
    masked = iter([redact(e.text, _spans(verdicts[i :: len(exhibits)])) for i, e in enumerate(exhibits)])
    return replace(
        question,
        messages=tuple(replace(m, content=next(masked)) for m in question.messages),
        documents=tuple(replace(d, text=next(masked)) for d in question.documents),
        choices=tuple(next(masked) for _ in question.choices),
    )


def redacted_segment(attempt: Attempt) -> Segment:
    """The segment with what guards marked masked, in its text and in its answer."""
    segment = attempt.segment
    texts = 1 if segment.answer is None or segment.answer in segment.text else 2
    spans = _spans(attempt.verdicts[0::texts])
    text = redact(segment.text, spans)
    if segment.answer is None:
        return replace(segment, text=text)
    if texts > 1:
        return replace(segment, text=text, answer=redact(segment.answer, _spans(attempt.verdicts[1::texts])))
    start = segment.text.rfind(segment.answer)
    end = start + len(segment.answer)
    inside = [(max(a, start) - start, min(b, end) - start) for a, b in spans if a < end and b > start]
    return replace(segment, text=text, answer=redact(segment.answer, inside))
