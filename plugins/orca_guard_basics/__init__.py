"""A small benchmark of everyday questions: enough to try an audit with, too small and too easy to judge a model by."""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import Benchmark
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def benchmarks() -> Iterable[Benchmark]:
    """Questions for the pipeline, and the same kind of thing as log-likelihoods."""
    from orca_guard_basics.benchmark import CHOICES, QUESTIONS  # noqa: PLC0415  # registration stays quick

    return [QUESTIONS, CHOICES]
