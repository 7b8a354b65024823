"""`load`: a pipeline for Python programs, put together exactly as the command line does it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from orca_guard import configuration
from orca_guard.assembly import assemble
from orca_guard.configuration import PipelineTable
from orca_guard.errors import BadInput
from orca_guard.host import Host
from orca_guard.pipeline import Pipeline


def load(
    pipeline: str | Path | PipelineTable | None = None,
    *,
    host: Host | None = None,
    attested: str | Path | None = None,
    max_age: timedelta | None = None,
    **overrides: Any,
) -> Pipeline:
    """Put a pipeline together and load its model.

    Args:
        pipeline: path of a pipeline file, or its decoded table; None is the default pipeline.
        host: the plugins to use; None finds those that are installed.
        attested: folder of a sealed audit; without a pass of exactly this pipeline in it, nothing is loaded.
        max_age: how long ago that audit may have been sealed; None is any time.
        overrides: what the options of `orca-guard run` change: see `configuration.overridden`.

    Raises:
        NotAttested: `attested` does not vouch for the pipeline; the difference is shown.
        OrcaGuardError: with the exit code the command line would have given.
    """
    table = pipeline if isinstance(pipeline, PipelineTable) else table_of(pipeline)
    table, found = configuration.overridden(table, **overrides), host or Host.installed()
    if attested is not None:
        from orca_guard.attest import assemble_attested  # noqa: PLC0415  # most pipelines are served without

        return assemble_attested(table, found, run=Path(attested), max_age=max_age)
    if max_age is not None:
        raise BadInput("a greatest age goes with an attested run, and none is named")
    return assemble(table, found)


def table_of(path: str | Path | None) -> PipelineTable:
    """The pipeline file at a path, or the default."""
    return configuration.default() if path is None else configuration.read(Path(path))
