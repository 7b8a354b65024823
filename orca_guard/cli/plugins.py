"""`orca-guard plugins`: what is installed, what it provides, and what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import click

from orca_guard.cli import added_commands, host_of
from orca_guard.cli.streams import complain
from orca_guard.errors import NameWithdrawn
from orca_guard.host import Host, Plugin


@click.command(
    epilog="""\b
    Examples:
      orca-guard plugins
      orca-guard plugins --json
      orca-guard --no-plugin acme plugins"""
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--details", is_flag=True, help="Show the traceback of every plugin that failed.")
@click.pass_context
def plugins(ctx: click.Context, *, as_json: bool, details: bool) -> None:
    """List plugins with distribution, version, hooks, what they provide, and their status."""
    host: Host = host_of(ctx)
    registries = host.everything()
    added_commands(ctx)
    if as_json:
        withdrawn = {kind: r.withdrawn for kind, r in registries.items() if r.withdrawn}
        listing = {"plugins": [_row(p, details=details) for p in host.plugins], "withdrawn": withdrawn}
        click.echo(json.dumps(listing, indent=2))
        return
    _table(host)
    for registry in registries.values():
        for name, claimants in registry.withdrawn.items():
            complain(f"withdrawn: {NameWithdrawn(registry.kind, name, claimants)}")
    for plugin in host.plugins:
        if plugin.status != "loaded":
            complain(f"{plugin.status}: {plugin}: {plugin.reason}")
        if details and plugin.details:
            complain(plugin.details)


def _row(plugin: Plugin, *, details: bool) -> dict[str, Any]:
    row = {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "module": plugin.module,
        "status": plugin.status,
        "reason": plugin.reason,
        "hooks": list(plugin.hooks),
        "provides": {kind: list(names) for kind, names in plugin.provides.items()},
    }
    return row | {"traceback": plugin.details, "digest": plugin.digest} if details else row


def _table(host: Host) -> None:
    from rich.table import Table  # noqa: PLC0415  # a third of the start-up time
    from rich.text import Text  # noqa: PLC0415

    from orca_guard.cli.show import console, safe  # noqa: PLC0415  # as above

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("plugin", "distribution", "provides", "status"):
        table.add_column(column, overflow="fold")
    for p in host.plugins:
        provides = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in p.provides.items() if names)
        told = f"{', '.join(hook for hook in p.hooks if hook not in p.provides)}"
        style = {"loaded": "green", "blocked": "yellow", "failed": "red"}[p.status]
        shown = provides or (f"observes {told}" if told else "")
        table.add_row(safe(p.name), safe(f"{p.distribution} {p.version}"), safe(shown), Text(p.status, style))
    console().print(table)
