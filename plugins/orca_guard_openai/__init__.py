"""Models behind any OpenAI-compatible server: vLLM, SGLang, TGI, llama.cpp, hosted ones."""

from __future__ import annotations

from collections.abc import Iterable

from orca_guard.contracts import ModelLoader
from orca_guard.hookspecs import hookimpl

ORCA_GUARD_API = 1


@hookimpl
def models() -> Iterable[ModelLoader]:
    """The loader of servers' addresses."""
    from orca_guard_openai.loader import OpenAI  # noqa: PLC0415  # registration stays quick

    return [OpenAI()]
