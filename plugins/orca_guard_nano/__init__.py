"""The embedded model: tiny, so that everything works on a fresh machine with no network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from orca_guard.contracts import ModelLoader, NamedModel
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def models() -> Iterable[ModelLoader | NamedModel]:
    """The one model of this package."""
    nano = NamedModel(
        name="nano",
        summary="the embedded demonstration model",
        loader="hf",
        reference=str(Path(__file__).parent / "weights"),
        notice="nano is a tiny demonstration model and knows little; name a real one with --model",
    )
    return [nano]
