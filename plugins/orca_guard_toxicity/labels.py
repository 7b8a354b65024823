"""Which labels of a classifier count as toxic, by the names that published ones give them."""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.errors import UsageError

KNOWN = frozenset({
    "abusive",
    "abuse",
    "hate",
    "hateful",
    "hatespeech",
    "identity_attack",
    "identity_hate",
    "insult",
    "obscene",
    "offensive",
    "severe_toxic",
    "severe_toxicity",
    "sexual_explicit",
    "threat",
    "toxic",
    "toxicity",
})  # fmt: skip
"""Labels of toxicity, in lower case. The identities that some classifiers also label (`male`, `black`) are none."""

TOXIGEN = ("LABEL_0", "LABEL_1")
"""ToxiGen's own classifiers name no labels; the second is toxic (microsoft/TOXIGEN, README)."""


def counted(labels: Iterable[str], wanted: Iterable[str] = ()) -> tuple[str, ...]:
    """The labels that count, in the classifier's order.

    Args:
        labels: all that the classifier has.
        wanted: those that were asked for; none asks for those that are known to mean toxicity.

    Raises:
        UsageError: one that was asked for is not there, or none is known.
    """
    labels, wanted = tuple(labels), tuple(wanted)
    if unknown := sorted(set(wanted) - set(labels)):
        raise UsageError(f"the classifier has no label {unknown[0]!r}. It has: {', '.join(labels)}.")
    if wanted:
        return tuple(label for label in labels if label in wanted)
    if labels == TOXIGEN:
        return TOXIGEN[1:]
    found = tuple(label for label in labels if label.casefold().replace(" ", "_").replace("-", "_") in KNOWN)
    if not found:
        raise UsageError(
            f"which labels mean toxicity? The classifier has {', '.join(labels)}. "
            'Say it in the guard\'s options: labels = ["..."].'
        )
    return found
