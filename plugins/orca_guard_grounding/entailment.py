"""The guard `entailment`: every statement of an answer, against the documents, by a classifier of pairs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orca_guard.contracts import Examining, GuardFactory, GuardSettings
from orca_guard.errors import UsageError
from orca_guard.types import Action, Exhibit, Stage, Verdict
from orca_guard.windows import classified_beside
from orca_guard_grounding.claims import claims
from orca_guard_grounding.settings import Standing, directory, standing

NAME = "entailment"
OPTIONS = frozenset({"model", "label"})

SUPPORTS = ("entailment", "entailed", "supported", "consistent", "factual", "attributable")
"""Labels that mean "held up by the premise", in the order in which they are looked for: of natural-language inference
and of fact checkers. A classifier with one output is taken at its word."""

UNNAMED = ("LABEL_0", "LABEL_1")
"""Of two labels without names the second means it, as in MiniCheck's classifiers; of three nobody knows."""


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
        loose = [
            (claim.start, claim.end)
            for claim, support in zip(stated, supports, strict=True)
            if 1 - support >= self.standing.threshold
        ]
        reason = f"{len(loose)} of {len(stated)} statements are not held up by the documents"
        return self.standing.verdict(1 - min(supports), reason, loose)


def supporting(labels: Iterable[str], wanted: str = "") -> str:
    """The label that means support.

    Raises:
        UsageError: there is no such label, or none is known.
    """
    labels = tuple(labels)
    if wanted and wanted not in labels:
        raise UsageError(f"the classifier has no label {wanted!r}. It has: {', '.join(labels)}.")
    if wanted or len(labels) == 1:
        return wanted or labels[0]
    if labels == UNNAMED:
        return UNNAMED[1]
    for known in SUPPORTS:
        for label in labels:
            if label.casefold() == known.casefold():
                return label
    raise UsageError(
        f"which label means that a statement is held up? The classifier has {', '.join(labels)}. "
        'Say it in the guard\'s options: label = "...".'
    )


def make(settings: GuardSettings) -> Entailment:
    """The guard of these settings. Raises `UsageError` for those that make no sense."""
    stands = standing(settings, name=NAME, known=OPTIONS)
    model = directory(settings, name=NAME, what="a classifier of pairs (entailment, or a fact checker)")
    label = str(settings.options.get("label", ""))
    _check_labels(model, label)
    return Entailment(model=model, standing=stands, label=label)


def _check_labels(model: str, wanted: str) -> None:
    """Find out before the first question what every verdict would fail on. What is no directory is seen later."""
    try:
        config = json.loads((Path(model).expanduser() / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return
    if names := config.get("id2label"):
        supporting((str(names[key]) for key in sorted(names, key=int)), wanted)


FACTORY = GuardFactory(name=NAME, summary="statements that the documents do not entail", make=make)
