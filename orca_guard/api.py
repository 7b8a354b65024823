"""`load`: a pipeline for Python programs, put together exactly as the command line does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orca_guard import configuration
from orca_guard.assembly import assemble
from orca_guard.configuration import PipelineTable
from orca_guard.host import Host
from orca_guard.pipeline import Pipeline


def load(pipeline: str | Path | PipelineTable | None = None, *, host: Host | None = None, **overrides: Any) -> Pipeline:
    """Put a pipeline together and load its model.

    Args:
        pipeline: path of a pipeline file, or its decoded table; None is the default pipeline.
        host: the plugins to use; None finds those that are installed.
        overrides: what the options of `orca-guard run` change: see `configuration.overridden`.

    Raises:
        OrcaGuardError: with the exit code the command line would have given.
    """
    table = pipeline if isinstance(pipeline, PipelineTable) else table_of(pipeline)
    return assemble(configuration.overridden(table, **overrides), host or Host.installed())


def table_of(path: str | Path | None) -> PipelineTable:
    """The pipeline file at a path, or the default."""
    return configuration.default() if path is None else configuration.read(Path(path))
