"""The guard `invented`: the words of an answer that a token classifier holds for made up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orca_guard.contracts import Examining, GuardFactory, GuardSettings
from orca_guard.errors import ModelFailed
from orca_guard.labels import counted, labels_of
from orca_guard.types import Action, Exhibit, Stage, Verdict
from orca_guard.windows import Window, classified_beside
from orca_guard_grounding.settings import Standing, directory, standing

NAME = "invented"
OPTIONS = frozenset({"model", "label"})

INVENTED = ("hallucinated", "hallucination", "unsupported", "invented")
"""Labels that mean "made up", in the order in which they are looked for; of LettuceDetect's two, which have no names,
it is the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invented:
    """Scores the token of an answer that is made up most surely.

    A token's score is the lowest over all windows of the documents, for what one window does not hold up another may.
    The question stands before the document, as LettuceDetect was trained (Kovács and Recski 2025).

    Attributes:
        model: directory of the classifier, or a hub id.
        label: that means made up; empty is the first of `INVENTED` that it has.
        standing: threshold and action; REDACT masks the tokens.
    """

    model: str
    standing: Standing
    label: str = ""
    name: str = NAME
    stages: frozenset[Stage] = frozenset({"output"})

    @property
    def classifiers(self) -> tuple[str, ...]:
        """The one it asks."""
        return (self.model,)

    @property
    def scored_by(self) -> Mapping[str, Any]:
        """The label."""
        return {"label": self.label}

    def examine(self, exhibit: Exhibit, /) -> Examining:
        """Ask for the whole answer beside every window."""
        question = exhibit.question
        documents = [f"{question.prompt.strip()}\n{d.text}" for d in question.documents]
        if not documents or not exhibit.text.strip():
            return Verdict(action=Action.ALLOW)
        [held] = yield from classified_beside(self.model, documents, [exhibit.text])
        tokens = _tokens(held, self.label)
        spans = merged(((a, b) for a, b, score in tokens if score >= self.standing.threshold), exhibit.text)
        highest = max((score for _, _, score in tokens), default=0.0)
        return self.standing.verdict(highest, f"{len(spans)} passages are not held up by the documents", spans)


def _tokens(held: Sequence[Window], wanted: str) -> list[tuple[int, int, float]]:
    """Every token with its lowest score; all windows have the same tokens, those of the answer."""
    if any([(s.start, s.end) for s in one.spans] != [(s.start, s.end) for s in held[0].spans] for one in held):
        raise ModelFailed("the classifier does not cut the answer into the same tokens beside every window")
    label = inventing(held[0].spans[0].scores, wanted) if held[0].spans else ""
    return [
        (token.start, token.end, min(one.spans[at].scores[label] for one in held))
        for at, token in enumerate(held[0].spans)
    ]


def inventing(labels: Iterable[str], wanted: str = "") -> str:
    """The label that means made up. Raises `UsageError` as `labels.counted` does."""
    asked = (wanted,) if wanted else ()
    return counted(labels, wanted=asked, known=INVENTED, meaning="that something is made up", option="label")[0]


def merged(spans: Iterable[tuple[int, int]], text: str) -> list[tuple[int, int]]:
    """Spans with nothing but blanks between them as one."""
    out: list[tuple[int, int]] = []
    for start, end in spans:
        if out and not text[out[-1][1] : start].strip():
            out[-1] = (out[-1][0], end)
        else:
            out.append((start, end))
    return out


def make(settings: GuardSettings) -> Invented:
    """The guard of these settings. Raises `UsageError` for those that make no sense."""
    stands = standing(settings, name=NAME, known=OPTIONS)
    model = directory(settings, name=NAME, what="a token classifier")
    label = str(settings.options.get("label", ""))
    if stated := labels_of(model):  # what every verdict would fail on is found out before the first question
        inventing(stated, label)
    return Invented(model=model, standing=stands, label=label)


FACTORY = GuardFactory(name=NAME, summary="words that a token classifier holds for made up", make=make)
