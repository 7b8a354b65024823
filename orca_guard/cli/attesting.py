"""The options of a command that serves only what an audit has measured."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click

_RUN = click.Path(path_type=Path)


def _days(_ctx: click.Context, _option: click.Parameter, days: float | None) -> timedelta | None:
    try:
        return None if days is None else timedelta(days=days)
    except (OverflowError, ValueError) as error:
        raise click.BadParameter(f"{days:g} days is no span of time") from error


def attested_options(command: Any) -> Any:
    """`--attested` and `--max-age`, as `attested` and `max_age` of `api.load`."""
    for option in (
        click.option("--max-age", type=float, callback=_days, metavar="DAYS", help="With --attested: at most so old."),
        click.option("--attested", type=_RUN, metavar="RUN", help="Answer only if this audit passed on this pipeline."),
    ):
        command = option(command)
    return command
