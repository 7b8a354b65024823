"""The loader `hf`: tells what it can open, and opens it; torch and transformers are imported only then."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from orca_guard.contracts import Described, Model, ModelSpec

LOADING = threading.RLock()
"""Held while anything is loaded: transformers and torch switch global state meanwhile, and threads would mix it up."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class HuggingFace:
    """Opens a model directory or a hub id as a `Model` that generates, scores, embeds and classifies."""

    name = "hf"
    summary = "a model directory or hub id, through transformers and accelerate"

    def claims(self, reference: str) -> bool:
        """A directory, something that looks like a path, or `organisation/name`."""
        if not reference or "://" in reference:
            return False
        return looks_like_path(reference) or Path(reference).is_dir() or is_hub_id(reference)

    def open(self, spec: ModelSpec) -> Model:
        """Load the model.

        Raises:
            BadInput: the directory, a file in it, or an option cannot be used.
            UnknownName: there is no such profile.
            ModelFailed: the hub, the adapter library or the machine could not do its part.
        """
        with LOADING:
            from orca_guard_hf.opening import open_model  # noqa: PLC0415  # imports torch

            return open_model(spec)

    def describe(self, spec: ModelSpec) -> Described:
        """Everything but the weights in memory. Raises what `open` raises."""
        with LOADING:
            from orca_guard_hf.opening import describe_model  # noqa: PLC0415  # imports torch

            return describe_model(spec)


def looks_like_path(reference: str) -> bool:
    """Whether a reference can only be a path: absolute, home, relative with a dot, or more than one slash."""
    return reference.startswith(("/", "./", "../", "~")) or reference in {".", ".."} or reference.count("/") > 1


def is_hub_id(reference: str) -> bool:
    """Whether a reference has the form `organisation/name`."""
    return _HUB_ID.fullmatch(reference) is not None
