"""The guard `toxicity-ngrams`: the second scorer in a guard's place, so that another kind can judge the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orca_guard.contracts import GuardFactory, GuardSettings
from orca_guard.errors import UsageError
from orca_guard.identity import digest_file
from orca_guard.types import Action, Exhibit, Scope, Stage, Verdict
from orca_guard.windows import cut
from orca_guard_toxicity.ngrams import Ngrams

NAME = "toxicity-ngrams"
WEIGHTS = Path(__file__).parent / "weights"
FILE = WEIGHTS / "ngrams.safetensors"

WINDOW = 1000
"""Characters that are scored at once: over a long text a few words would hardly count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """Stops, warns of or masks a text of which any window scores at or above the threshold.

    Attributes:
        scorer: the weights.
        digest: of their file.
        threshold: of the highest window.
        action: on a hit; REDACT masks the windows that reach the threshold.
    """

    scorer: Ngrams
    digest: str
    threshold: float = 0.5
    action: Action = Action.WARN
    name: str = NAME
    stages: frozenset[Stage] = frozenset({"input", "output"})
    scope: Scope = "window"

    @property
    def classifiers(self) -> tuple[str, ...]:
        """None: it is its own."""
        return ()

    @property
    def scored_by(self) -> Mapping[str, Any]:
        """Its weights, and how long texts are cut."""
        return {"weights": self.digest, "window": WINDOW}

    def judge(self, exhibits: Sequence[Exhibit], /) -> Sequence[Verdict]:
        """A verdict a text; the operator's own system message is not judged."""
        return [self._one(exhibit) for exhibit in exhibits]

    def _one(self, exhibit: Exhibit) -> Verdict:
        if exhibit.part == "system":
            return Verdict(action=Action.ALLOW)
        windows = cut(exhibit.text, (0, len(exhibit.text)), WINDOW)
        scores = self.scorer.score([exhibit.text[start:end] for start, end in windows])
        score = max(scores)
        hits = [window for window, one in zip(windows, scores, strict=True) if one >= self.threshold]
        hit = score >= self.threshold
        return Verdict(
            action=self.action if hit else Action.ALLOW,
            reason=f"the {exhibit.part} scores {score:.3f}, and the limit is {self.threshold:g}" if hit else "",
            score=score,
            threshold=self.threshold,
            spans=tuple((start, end) for start, end in hits if end > start),
        )


def make(settings: GuardSettings) -> Second:
    """The guard of these settings. Raises `UsageError` for those that make no sense."""
    if settings.options:
        raise UsageError(f"guard {NAME!r} takes no option {min(settings.options)!r}: it has one set of weights.")
    if settings.threshold is not None and not 0 <= settings.threshold <= 1:
        raise UsageError(f"guard {NAME!r} cannot have the threshold {settings.threshold:g}: scores lie in [0, 1]")
    if not FILE.is_file():
        raise UsageError(f"guard {NAME!r} comes without its weights here: `make toxicity` makes them.")
    return Second(
        scorer=Ngrams.load(FILE),
        digest=digest_file(FILE),
        threshold=0.5 if settings.threshold is None else settings.threshold,
        action=settings.action or (Action.BLOCK if settings.sound else Action.WARN),
    )


FACTORY = GuardFactory(
    name=NAME,
    summary="the same by character n-grams, on other rows: to judge the first one by",
    make=make,
    operating_point=WEIGHTS / "operating-point-ngrams.json",
)
