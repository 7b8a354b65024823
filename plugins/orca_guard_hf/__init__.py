"""Causal language models and classifiers through transformers, placed by accelerate."""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import ClassifierServer, ModelLoader
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def models() -> Iterable[ModelLoader]:
    """The loader of model directories and hub ids."""
    from orca_guard_hf.loader import HuggingFace  # noqa: PLC0415  # registration stays quick

    return [HuggingFace()]


@hookimpl
def classifiers() -> Iterable[ClassifierServer]:
    """Classifier directories, for guards."""
    from orca_guard_hf.serving import ClassifierDirectories  # noqa: PLC0415  # as above

    return [ClassifierDirectories()]
