"""`orca-guard policies`: what gates come with orca-guard, and why their thresholds are what they are."""

from __future__ import annotations

import click

from orca_guard.cli.streams import json_text


@click.command(
    epilog="""\b
    Examples:
      orca-guard policies
      orca-guard policies safety
      orca-guard policies safety > mine.toml
      orca-guard audit --suite safety --policy mine.toml --dry-run"""
)
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def policies(name: str | None, *, as_json: bool) -> None:
    """List the policies that are shipped, or print the file of the one called NAME."""
    from orca_guard.policies import policy_of, shipped  # noqa: PLC0415  # not needed for help

    found = [policy_of(each) for each in ([name] if name else shipped())]
    if as_json:
        rows = [{"name": p.name, "summary": p.summary, "digest": p.digest, "gates": list(p.gates)} for p in found]
        click.echo(json_text(rows, indent=2))
    elif name:
        click.echo(found[0].text, nl=False)
    else:
        for policy in found:
            click.echo(f"{policy.name}: {policy.summary}\n  judges {', '.join(policy.benchmarks)}")
