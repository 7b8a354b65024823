"""The guard `entailment`: every statement of an answer, against the documents, by a classifier of pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orca_guard.contracts import Examining, GuardFactory, GuardSettings
from orca_guard.labels import counted, labels_of
from orca_guard.types import Action, Exhibit, Stage, Verdict
from orca_guard.windows import classified_beside
from orca_guard_grounding.claims import claims
from orca_guard_grounding.settings import Standing, directory, standing

NAME = "entailment"
OPTIONS = frozenset({"model", "label"})

SUPPORTS = ("entailment", "entailed", "supported", "consistent", "factual", "attributable")
"""Labels that mean "held up by the premise", in the order in which they are looked for: of natural-language inference
and of fact checkers. Of MiniCheck's two, which have no names, it is the second. One output is taken at its word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entailment:
    """Scores 1 minus the support of the statement that is held up least.

    A statement's support is the highest over all windows of all documents (SummaC's zero-shot rule, Laban et al. 2022:
    maximum over the premise, then the least over the answer). What has no documents is not judged.

    Attributes:
        model: directory of the classifier, or a hub id.
        label: that means support; empty is the first of `SUPPORTS` that it has.
        standing: threshold and action; REDACT masks the statements that are not held up.
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
        """Ask for every statement beside every window, all at once."""
        stated, documents = claims(exhibit), [d.text for d in exhibit.question.documents]
        if not stated or not documents:
            return Verdict(action=Action.ALLOW)
        held = yield from classified_beside(self.model, documents, [claim.text for claim in stated])
        label = supporting(held[0][0].scores, self.label)
        supports = [max(one.scores[label] for one in of_claim) for of_claim in held]
        return self.standing.of_statements(stated, supports, "are not held up by the documents")


def supporting(labels: Iterable[str], wanted: str = "") -> str:
    """The label that means support. Raises `UsageError` as `labels.counted` does."""
    labels = tuple(labels)
    if len(labels) == 1:
        return labels[0]
    asked = (wanted,) if wanted else ()
    return counted(labels, wanted=asked, known=SUPPORTS, meaning="that a statement is held up", option="label")[0]


def make(settings: GuardSettings) -> Entailment:
    """The guard of these settings. Raises `UsageError` for those that make no sense."""
    stands = standing(settings, name=NAME, known=OPTIONS)
    model = directory(settings, name=NAME, what="a classifier of pairs (entailment, or a fact checker)")
    label = str(settings.options.get("label", ""))
    if stated := labels_of(model):  # what every verdict would fail on is found out before the first question
        supporting(stated, label)
    return Entailment(model=model, standing=stands, label=label)


FACTORY = GuardFactory(name=NAME, summary="statements that the documents do not entail", make=make)
