"""The guard `injection`: attempts to talk a model out of its instructions, by a local classifier and the patterns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orca_guard.contracts import Examining, GuardFactory, GuardSettings
from orca_guard.errors import UsageError
from orca_guard.labels import counted, labels_of
from orca_guard.types import Action, Exhibit, Stage, Verdict
from orca_guard.windows import classified
from orca_guard_hygiene.prompt_injection import injects

NAME = "injection"
OPTIONS = frozenset({"model", "labels"})
KNOWN = ("injection", "jailbreak", "malicious", "unsafe", "attack")
"""What published classifiers call it. Of two labels without names, as Prompt Guard 2 has them, it is the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """Scores the worst window of a turn or document; what a pattern finds scores 1, and the classifier is not asked.

    Attributes:
        model: directory of the classifier, or a hub id.
        labels: that count; none is those that are known.
        threshold: of their sum, which for labels that exclude each other is the probability of any.
        action: on a hit.
    """

    model: str
    labels: tuple[str, ...] = ()
    threshold: float = 0.5
    action: Action = Action.WARN
    name: str = NAME
    stages: frozenset[Stage] = frozenset({"input"})

    @property
    def classifiers(self) -> tuple[str, ...]:
        """The one it asks."""
        return (self.model,)

    @property
    def scored_by(self) -> Mapping[str, Any]:
        """The labels, beside the patterns."""
        return {"labels": list(self.labels), "patterns": True}

    def examine(self, exhibit: Exhibit, /) -> Examining:
        """The patterns first; system turns belong to the operator, and may well speak of instructions."""
        if exhibit.part == "system":
            return Verdict(action=Action.ALLOW)
        if injects(exhibit.text):
            return self._verdict(1.0, f"the {exhibit.part} has a known phrase that tries to replace instructions")
        windows = yield from classified(self.model, exhibit.text)
        labels = attacks(windows[0].scores, self.labels)
        worst = max(windows, key=lambda window: sum(window.scores[label] for label in labels))
        score = min(1.0, sum(worst.scores[label] for label in labels))
        where = f" at characters {worst.start} to {worst.end}" if len(windows) > 1 else ""
        return self._verdict(score, f"the {exhibit.part} looks like an attempt to replace instructions{where}")

    def _verdict(self, score: float, reason: str) -> Verdict:
        hit = score >= self.threshold
        told = f"{reason} (scores {score:.3f}, and the limit is {self.threshold:g})"
        action = self.action if hit else Action.ALLOW
        return Verdict(action=action, reason=told if hit else "", score=score, threshold=self.threshold)


def attacks(labels: Iterable[str], wanted: Iterable[str] = ()) -> tuple[str, ...]:
    """The labels that count. Raises `UsageError` as `labels.counted` does."""
    return counted(labels, wanted=wanted, known=KNOWN, meaning="an attack")


def make(settings: GuardSettings) -> Injection:
    """The guard of these settings. Raises `UsageError` for those that make no sense."""
    options = settings.options
    if unknown := sorted(set(options) - OPTIONS):
        raise UsageError(f"guard {NAME!r} takes no option {unknown[0]!r}. It takes: {', '.join(sorted(OPTIONS))}.")
    threshold = 0.5 if settings.threshold is None else settings.threshold
    if not 0 <= threshold <= 1 or settings.action is Action.REDACT:
        raise UsageError(f"guard {NAME!r} takes a threshold from 0 to 1, and warns, blocks, revises or abstains")
    if not options.get("model"):
        raise UsageError(
            f"guard {NAME!r} needs a classifier: name its directory or hub id in the options, as model. Without one "
            "there is the pattern list, guard 'prompt-injection'."
        )
    model, labels = str(options["model"]), tuple(options.get("labels", ()))
    if stated := labels_of(model):  # what every verdict would fail on is found out before the first question
        attacks(stated, labels)
    action = settings.action or (Action.BLOCK if settings.sound else Action.WARN)
    return Injection(model=model, labels=labels, threshold=threshold, action=action)


FACTORY = GuardFactory(name=NAME, summary="attempts to replace the model's instructions, by a classifier", make=make)
