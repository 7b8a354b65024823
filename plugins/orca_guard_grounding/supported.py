"""The guard `supported`: what the pipeline's own model says when it is asked whether a statement is held up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orca_guard.contracts import Examining, GuardFactory, GuardSettings
from orca_guard.errors import ModelFailed
from orca_guard.types import Action, Exhibit, Message, Score, Scores, Stage, Verdict
from orca_guard_grounding.claims import claims
from orca_guard_grounding.settings import Standing, standing

NAME = "supported"
YES, NO = ("Yes", "yes"), ("No", "no")
ASKED = "Is the statement supported by the text above? Answer yes or no.\nStatement: {statement}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Supported:
    """Scores 1 minus the least P(yes) over the statements of an answer, where yes and no together are certain.

    Nothing is generated: likelihoods of two words are read in one forward, and statements on the same documents share
    all of the prompt but its end.

    Attributes:
        standing: threshold and action; REDACT masks the statements.
    """

    standing: Standing
    name: str = NAME
    stages: frozenset[Stage] = frozenset({"output"})

    @property
    def classifiers(self) -> tuple[str, ...]:
        """None but the pipeline's model."""
        return ()

    @property
    def scored_by(self) -> Mapping[str, Any]:
        """The model, and how it is asked."""
        return {"model": "", "asked": ASKED}

    def examine(self, exhibit: Exhibit, /) -> Examining:
        """One request a statement, all at once."""
        stated, documents = claims(exhibit), [d.text for d in exhibit.question.documents]
        if not stated or not documents:
            return Verdict(action=Action.ALLOW)
        before = "Text:\n" + "\n\n".join(text.strip() for text in documents) + "\n\n"
        replies = yield tuple(
            Score(messages=(Message("user", before + ASKED.format(statement=claim.text)),), continuations=(*YES, *NO))
            for claim in stated
        )
        chances = [affirmed(reply) for reply in (replies if isinstance(replies, tuple) else (replies,))]
        return self.standing.of_statements(stated, chances, "are unsupported, says the model itself")


def affirmed(reply: Any) -> float:
    """P(yes) / (P(yes) + P(no)), each summed over its ways of writing.

    Raises:
        ModelFailed: the likelihoods are no numbers, or are not those that were asked for.
    """
    if not isinstance(reply, Scores) or len(reply.likelihoods) != len(YES) + len(NO):
        raise ModelFailed("the model did not rate yes and no")
    logs = [likelihood.logprob for likelihood in reply.likelihoods]
    if not all(math.isfinite(log) for log in logs):
        raise ModelFailed("the model rates yes and no with what is no number")
    highest = max(logs)
    weights = [math.exp(log - highest) for log in logs]
    return math.fsum(weights[: len(YES)]) / math.fsum(weights)


def make(settings: GuardSettings) -> Supported:
    """The guard of these settings. Raises `UsageError` for those that make no sense."""
    return Supported(standing=standing(settings, name=NAME, known=()))


FACTORY = GuardFactory(name=NAME, summary="statements that the model itself holds for unsupported", make=make)
