"""The guard `word-overlap`: the statement of an answer whose words occur least in the documents. It needs no model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orca_guard.contracts import GuardFactory, GuardSettings
from orca_guard.types import Action, Exhibit, Scope, Stage, Verdict
from orca_guard_grounding.claims import claims
from orca_guard_grounding.settings import Standing, standing

NAME = "word-overlap"
SHORTEST: Final = 4
"""Letters of a word that says something; numbers count whatever their length."""
STEM: Final = 5
"""Letters by which words are compared: `opened` is `opens`, and `nation` is `national`."""
_WORD = re.compile(r"\d+(?:[.,:]\d+)*|\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class WordOverlap:
    """Scores the share of words that no document has, of the statement that has most of them.

    The lexical baseline of faithfulness (knowledge precision, as in Shuster et al. 2021, the other way round). Who
    says it in other words is held for inventing, and who denies what the document says is not noticed.

    Attributes:
        standing: threshold and action; REDACT masks the statements that reach the threshold.
    """

    standing: Standing
    name: str = NAME
    stages: frozenset[Stage] = frozenset({"output"})
    scope: Scope = "whole"

    @property
    def classifiers(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def scored_by(self) -> Mapping[str, Any]:
        """What counts as a word, and when two are the same."""
        return {"shortest": SHORTEST, "stem": STEM, "version": 1}

    def judge(self, exhibits: Sequence[Exhibit], /) -> Sequence[Verdict]:
        """A verdict an answer; what has no documents is not judged."""
        return [self._one(exhibit) for exhibit in exhibits]

    def _one(self, exhibit: Exhibit) -> Verdict:
        stated = claims(exhibit)
        if not stated or not exhibit.question.documents:
            return Verdict(action=Action.ALLOW)
        known = {word for document in exhibit.question.documents for word in words(document.text)}
        known |= set(words(exhibit.question.prompt))
        supports = [1 - unknown(words(exhibit.text[claim.start : claim.end]), known) for claim in stated]
        return self.standing.of_statements(stated, supports, "say what no document does")


def words(text: str) -> list[str]:
    """Numbers, and the stems of words that are long enough to say something."""
    found = _WORD.findall(text.casefold())
    return [word if word[0].isdigit() else word[:STEM] for word in found if word[0].isdigit() or len(word) >= SHORTEST]


def unknown(stated: Sequence[str], known: Iterable[str]) -> float:
    """The share of words that are not known; none of no words."""
    held = set(known)
    return sum(word not in held for word in stated) / len(stated) if stated else 0.0


def make(settings: GuardSettings) -> WordOverlap:
    """The guard of these settings. Raises `UsageError` for those that make no sense."""
    return WordOverlap(standing=standing(settings, name=NAME, known=()))


FACTORY = GuardFactory(name=NAME, summary="statements in words that no document has", make=make)
