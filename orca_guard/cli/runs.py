"""`orca-guard runs`: what audits there are, and what became of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from orca_guard.cli.run import PATH
from orca_guard.cli.streams import json_text

_COLUMNS = ("run", "status", "benchmarks", "model", "records", "verdict", "finished")
_WIDE = 100
_SPARED = frozenset({"model", "finished"})
"""Left out where a terminal is narrower than that; `--json` has everything."""


@click.command(
    epilog="""\b
    Examples:
      orca-guard runs
      orca-guard runs audits --json"""
)
@click.argument("folder", type=PATH, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def runs(folder: Path | None, *, as_json: bool) -> None:
    """List the runs in FOLDER (default: runs) with their status, models, records and verdict.

    It repeats what the runs say of themselves; `verify` checks one.
    """
    from orca_guard.errors import BadInput  # noqa: PLC0415  # not needed for help
    from orca_guard.journal.bundle import RunStore  # noqa: PLC0415

    if folder is not None and not folder.exists():
        raise BadInput(f"there is no {folder}")
    folder = folder or Path("runs")
    store = RunStore(folder)
    rows = [_row(store, name, status.value) for name, status in store.runs().items()]
    if as_json:
        click.echo(json_text(rows, indent=2))
    elif rows:
        _table(rows)
    else:
        click.echo(f"no runs in {folder}", err=True)


def _row(store: Any, name: str, status: str) -> dict[str, Any]:
    from orca_guard.errors import BadInput  # noqa: PLC0415  # as above
    from orca_guard.identity import digest_of  # noqa: PLC0415

    bundle = store.run(name)
    try:
        plan = bundle.read_plan()
        seal = bundle.read_seal() if status == "sealed" else {}
        models = [str(model["identity"].get("weights", model["digest"])) for model in plan["models"]]
    except (BadInput, KeyError, TypeError, AttributeError) as error:
        return {"run": name, "status": "unreadable", "reason": str(error)}
    return {
        "run": name,
        "status": status,
        "plan": digest_of(plan),
        "name": plan.get("name", ""),
        "benchmarks": [benchmark["name"] for benchmark in plan["benchmarks"]],
        "models": models,
        "records": plan["records"],
        "verdict": seal.get("verdict"),
        "finished": seal.get("finished"),
    }


def _table(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table  # noqa: PLC0415  # as above

    from orca_guard.cli.show import console, safe  # noqa: PLC0415

    shown = [column for column in _COLUMNS if console().width >= _WIDE or column not in _SPARED]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in shown:
        table.add_column(column, overflow="fold", no_wrap=column in {"run", "status"})
    for row in rows:
        told = {
            **row,
            "benchmarks": ", ".join(row.get("benchmarks", ())),
            "model": ", ".join(model.removeprefix("sha256:")[:12] for model in row.get("models", ())),
            "verdict": row.get("verdict") or row.get("reason"),
            "finished": (row.get("finished") or "").replace("T", " ")[: len("2026-01-02 03:04")],
        }
        table.add_row(*(safe(str(told.get(column) or "")) for column in shown))
    console().print(table)
