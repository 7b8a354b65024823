"""The guard `toxicity`: every turn, document and answer, by a classifier that hf or another plugin serves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from orca_guard.contracts import Examining, GuardFactory, GuardSettings
from orca_guard.errors import UsageError
from orca_guard.labels import counted, labels_of
from orca_guard.types import Action, Exhibit, Stage, Verdict
from orca_guard_toxicity.scoring import Function, rated

WEIGHTS = Path(__file__).parent / "weights"
"""The embedded classifier, where there is one."""

EMBEDDED = ("toxicity",)
"""The one label of it that counts unless others are named: its `identity_attack` is weak, as its card says."""

KNOWN = (
    "toxicity",
    "toxic",
    "severe_toxicity",
    "severe_toxic",
    "obscene",
    "identity_attack",
    "identity_hate",
    "insult",
    "threat",
    "sexual_explicit",
    "hate",
    "hateful",
    "hatespeech",
    "hate_speech",
    "offensive",
    "abusive",
    "abuse",
)
"""Labels of toxicity. The identities that some classifiers also label (`male`, `black`) are none. ToxiGen's own name no
labels, and the second is toxic (microsoft/TOXIGEN, README)."""

OPTIONS = frozenset({"model", "base", "labels", "function", "sha256", "trust_pickle"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxicity:
    """Stops, warns of or masks a text of which any label that counts scores at or above the threshold.

    Attributes:
        model: directory of the classifier, or a hub id.
        labels: that count; none is those known to mean toxicity.
        function: how logits become scores.
        threshold: of the highest label score.
        action: on a hit; REDACT masks the windows that reach the threshold.
    """

    model: str
    labels: tuple[str, ...] = ()
    function: Function = "auto"
    threshold: float = 0.5
    action: Action = Action.WARN
    name: str = "toxicity"
    stages: frozenset[Stage] = frozenset({"input", "output"})

    @property
    def classifiers(self) -> tuple[str, ...]:
        """The one it asks."""
        return (self.model,)

    @property
    def scored_by(self) -> Mapping[str, Any]:
        """Labels and function."""
        return {"labels": list(self.labels), "function": self.function}

    def examine(self, exhibit: Exhibit, /) -> Examining:
        """Ask for every window of the text; the operator's own system message is not judged."""
        if exhibit.part == "system":
            return Verdict(action=Action.ALLOW)
        rating = yield from rated(self.model, exhibit.text, function=self.function)
        labels = toxic(rating.scores, self.labels)
        score, label, window = rating.worst(labels)
        hit = score >= self.threshold
        where = f" at characters {window.start} to {window.end}" if len(rating.windows) > 1 else ""
        told = f"the {exhibit.part} scores {score:.3f} for {label}{where}, and the limit is {self.threshold:g}"
        return Verdict(
            action=self.action if hit else Action.ALLOW,
            reason=told if hit else "",
            score=score,
            threshold=self.threshold,
            spans=rating.hits(labels, self.threshold),
        )


def make(settings: GuardSettings) -> Toxicity:
    """The guard of these settings.

    Raises:
        UsageError: an option that it does not know or cannot use, or there is no classifier.
        OrcaGuardError: a checkpoint cannot be used.
    """
    options = dict(settings.options)
    if unknown := sorted(set(options) - OPTIONS):
        raise UsageError(f"guard 'toxicity' takes no option {unknown[0]!r}. It takes: {', '.join(sorted(OPTIONS))}.")
    if options.get("function", "auto") not in get_args(Function):
        raise UsageError(f"guard 'toxicity': function is one of {', '.join(get_args(Function))}")
    if settings.threshold is not None and not 0 <= settings.threshold <= 1:
        raise UsageError(f"guard 'toxicity' cannot have the threshold {settings.threshold:g}: scores lie in [0, 1]")
    model = _directory(options, offline=settings.offline)
    labels = tuple(options.get("labels", () if options.get("model") else EMBEDDED))
    if stated := labels_of(model):  # what every verdict would fail on is found out before the first question
        toxic(stated, labels)
    return Toxicity(
        model=model,
        labels=labels,
        function=options.get("function", "auto"),
        threshold=0.5 if settings.threshold is None else settings.threshold,
        action=settings.action or (Action.BLOCK if settings.sound else Action.WARN),
    )


def _directory(options: Mapping[str, Any], *, offline: bool) -> str:
    reference = str(options.get("model", ""))
    if not reference:
        if not (WEIGHTS / "config.json").is_file():
            raise UsageError(
                "guard 'toxicity' comes without a classifier here. Name one in its options: model = a directory, a "
                "detoxify checkpoint, the name of a detoxify model, or a hub id."
            )
        return str(WEIGHTS)
    from orca_guard_toxicity.checkpoints import directory_of  # noqa: PLC0415  # most pipelines convert nothing

    return directory_of(
        reference,
        base=options.get("base"),
        sha256=str(options.get("sha256", "")),
        trust_pickle=options.get("trust_pickle") is True,
        offline=offline,
    )


def toxic(labels: Iterable[str], wanted: Iterable[str] = ()) -> tuple[str, ...]:
    """The labels that count. Raises `UsageError` as `labels.counted` does."""
    return counted(labels, wanted=wanted, known=KNOWN, meaning="toxicity")


FACTORY = GuardFactory(
    name="toxicity",
    summary="insults, threats, hate and obscenity, by a trained classifier",
    make=make,
    operating_point=WEIGHTS / "operating-point.json",
)
