"""`orca-guard plan`: what an audit will do, fixed before it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from orca_guard.cli import host_of
from orca_guard.cli.audit import audit_options, frozen_of, requested
from orca_guard.cli.run import PATH


@click.group()
def plan() -> None:
    """Fix what an audit will do before it is done."""


@plan.command(
    epilog="""\b
    Examples:
      orca-guard plan freeze --suite basics
      orca-guard plan freeze --plan audit.toml --nonce 8f2a71 --write plan.json"""
)
@audit_options
@click.option("--write", type=PATH, metavar="FILE", help="Write the plan, too.")
@click.pass_context
def freeze(ctx: click.Context, /, **options: Any) -> None:
    """Print the plan's digest, which can be registered elsewhere. No model is loaded.

    `audit` with the same options makes the same plan, and `verify --anchor` holds a run against the digest.
    """
    from orca_guard.identity import canonical  # noqa: PLC0415  # not needed for help
    from orca_guard.journal.disk import write_out  # noqa: PLC0415

    write: Path | None = options.pop("write")
    host = host_of(ctx)
    frozen = frozen_of(requested(options, host), host)
    if write:
        write_out(write, canonical(frozen.plan) + b"\n")
    click.echo(frozen.digest)
