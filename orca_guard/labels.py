"""Which labels of a classifier mean what a guard looks for: those that were named, or those that are known to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from orca_guard.errors import UsageError

UNNAMED = ("LABEL_0", "LABEL_1")
"""Two labels that nobody named: by convention the second is what the classifier was made to find."""


def labels_of(model: str) -> tuple[str, ...]:
    """The labels that a classifier's directory states, in the order of its outputs; none where it cannot be read."""
    try:
        config = json.loads((Path(model).expanduser() / "config.json").read_text("utf-8"))
        names = config.get("id2label") or {str(n): f"LABEL_{n}" for n in range(int(config.get("num_labels", 2)))}
        return tuple(str(names[key]) for key in sorted(names, key=int))
    except (OSError, ValueError, TypeError, AttributeError):
        return ()


def counted(
    labels: Iterable[str], *, wanted: Iterable[str], known: Iterable[str], meaning: str, option: str = "labels"
) -> tuple[str, ...]:
    """The labels that count.

    Args:
        labels: all that the classifier has, in its order.
        wanted: those that were asked for; none asks for those that are known.
        known: names that published classifiers give them; letter case, blanks and hyphens make no difference. They come
            out in this order.
        meaning: what they mean, for the message.
        option: of the guard, that names labels.

    Raises:
        UsageError: one that was asked for is not there, or none is known.
    """
    labels, wanted = tuple(labels), tuple(wanted)
    if unknown := sorted(set(wanted) - set(labels)):
        raise UsageError(f"the classifier has no label {unknown[0]!r}. It has: {', '.join(labels)}.")
    if wanted:
        return tuple(label for label in labels if label in wanted)
    if labels == UNNAMED:
        return UNNAMED[1:]
    found = tuple(label for name in known for label in labels if _plain(label) == _plain(name))
    if not found:
        raise UsageError(
            f"which label means {meaning}? The classifier has {', '.join(labels)}. Say it in the guard's options, as "
            f"{option}."
        )
    return found


def _plain(label: str) -> str:
    return label.casefold().replace(" ", "_").replace("-", "_")
