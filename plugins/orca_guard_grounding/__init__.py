"""Whether an answer is held up: by its documents, by the model itself, by what it says when it is asked again."""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import GuardFactory
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def guards() -> Iterable[GuardFactory]:
    """One by entailment, one by token labels, one by words, one by the model's own word, one by resampling."""
    from orca_guard_grounding import consistency, entailment, overlap, spans, supported  # noqa: PLC0415  # when needed

    return [entailment.FACTORY, spans.FACTORY, overlap.FACTORY, supported.FACTORY, consistency.FACTORY]
