"""The guard `self-consistency`: an answer beside what the model says when it is asked the same again."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orca_guard.contracts import Examining, GuardFactory, GuardSettings
from orca_guard.errors import ModelFailed, UsageError
from orca_guard.prompts import turns
from orca_guard.types import Action, Exhibit, Generate, Generation, Stage, Verdict
from orca_guard_grounding.claims import sentences
from orca_guard_grounding.settings import Standing, standing, whole

NAME = "self-consistency"
OPTIONS = frozenset({"samples", "n", "temperature"})
SAMPLES = 4
TEMPERATURE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfConsistency:
    """Scores the sentence of an answer that its samples make least likely (SelfCheckGPT, Manakul et al. 2023, 5.3).

    An answer that has documents to be held against is not judged here.

    Attributes:
        standing: threshold and action.
        samples: how often the model is asked again.
        n: words of an n-gram; 1 is the unigram.
        temperature: of the samples.
    """

    standing: Standing
    samples: int = SAMPLES
    n: int = 1
    temperature: float = TEMPERATURE
    name: str = NAME
    stages: frozenset[Stage] = frozenset({"output"})

    @property
    def classifiers(self) -> tuple[str, ...]:
        """None but the pipeline's model."""
        return ()

    @property
    def scored_by(self) -> Mapping[str, Any]:
        """The model, and how it is asked again."""
        return {"model": "", "samples": self.samples, "n": self.n, "temperature": self.temperature}

    def examine(self, exhibit: Exhibit, /) -> Examining:
        """Ask for all samples at once."""
        if exhibit.question.documents or not re.search(r"\w", exhibit.text):
            return Verdict(action=Action.ALLOW)
        asked = turns(exhibit.question)
        replies = yield tuple(
            Generate(messages=asked, name=NAME, final=False, sample=sample, temperature=self.temperature)
            for sample in range(1, self.samples + 1)
        )
        texts = [r.text for r in (replies if isinstance(replies, tuple) else (replies,)) if isinstance(r, Generation)]
        if len(texts) != self.samples:
            raise ModelFailed("the model did not answer every sample")
        score = max(inconsistencies(exhibit.text, texts, n=self.n))
        reason = f"asked again {self.samples} times, the model does not say the same"
        return self.standing.verdict(score, reason, ())


def inconsistencies(text: str, samples: Sequence[str], *, n: int = 1) -> list[float]:
    """How unlikely each sentence of a text is under an n-gram model of the samples and of the text itself.

    The model counts the text once, as SelfCheckGPT does, and adds one to every count. A sentence's number is the mean
    negative log-probability of its n-grams, as a share of what one has that occurs nowhere; so it lies in [0, 1].
    """
    counts = Counter(gram for each in (text, *samples) for gram in _grams(each, n))
    total = math.log(counts.total() + len(counts) + 1)
    found = []
    for start, end in sentences(text):
        grams = _grams(text[start:end], n)
        surprise = [total - math.log(counts[gram] + 1) for gram in grams]
        found.append(math.fsum(surprise) / len(surprise) / total if surprise else 0.0)
    return found or [0.0]


def _grams(text: str, n: int) -> list[tuple[str, ...]]:
    """N-grams of words; of a text with fewer words, all of it."""
    words = re.findall(r"\w+", text.casefold())
    return [tuple(words[at : at + n]) for at in range(max(1, len(words) - n + 1))] if words else []


def make(settings: GuardSettings) -> SelfConsistency:
    """The guard of these settings. Raises `UsageError` for those that make no sense."""
    stands = standing(settings, name=NAME, known=OPTIONS, redacts=False)
    temperature = settings.options.get("temperature", TEMPERATURE)
    if not isinstance(temperature, int | float) or not 0 < temperature <= 100:  # noqa: PLR2004  # as decoding allows
        raise UsageError(f"guard {NAME!r}: temperature is a number above 0: at 0 every sample is the same")
    return SelfConsistency(
        standing=stands,
        samples=whole(settings, "samples", SAMPLES, name=NAME, least=1, most=64),
        n=whole(settings, "n", 1, name=NAME, least=1, most=5),
        temperature=float(temperature),
    )


FACTORY = GuardFactory(name=NAME, summary="answers that the model does not give again", make=make)
