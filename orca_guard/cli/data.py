"""`orca-guard data`: what data benchmarks read, whether it is here and sound, and how it gets here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orca_guard.cli import host_of
from orca_guard.cli.run import PATH
from orca_guard.cli.streams import json_text
from orca_guard.errors import BadInput, DataAbsent, ExitCode, UsageError

if TYPE_CHECKING:
    from orca_guard.data.folder import Looked, Recognised, Step
    from orca_guard.data.sets import DataSet
    from orca_guard.host import Host

_FOLDER = click.option("--data", type=PATH, metavar="DIR", help="The folder of data; else ORCA_GUARD_DATA says.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def data() -> None:
    """Say what data benchmarks read, look it over, and bring it in.

    Nothing is ever fetched but by `pull`.
    """


@data.command(
    "list",
    epilog="""\b
    Examples:
      orca-guard data list
      orca-guard data list --data ./data --json""",
)
@_FOLDER
@_JSON
@click.pass_context
def list_(ctx: click.Context, /, data: Path | None, *, as_json: bool) -> None:
    """List the data sets that are known, with licence, origin, and what of them is here."""
    from orca_guard.data.folder import lying  # noqa: PLC0415  # not needed for help

    folder = _folder(data)
    rows = []
    for one in _sets(host_of(ctx)):
        here = lying(folder, [one]) if folder else []
        files = [{"path": found.where, "bytes": found.bytes} for found in here]
        told = {"name": one.name, "summary": one.summary, "licence": one.licence, "origin": one.origin}
        rows.append(
            told | {"hub": one.hub, "repository": one.repository, "known_files": len(one.files), "files": files}
        )
    if as_json:
        click.echo(json_text({"folder": str(folder) if folder else None, "sets": rows}, indent=2))
        return
    _table_of_sets(rows)
    if folder is None:
        from orca_guard.cli.show import note  # noqa: PLC0415  # as above

        note("no folder of data is named: say where it is by --data or ORCA_GUARD_DATA")


@data.command(
    epilog="""\b
    Examples:
      orca-guard data verify --data ./data
      orca-guard data verify toxigen bbq --json

    \b
    Exit codes: 0 every file that is here can be used, 1 one cannot, 2 wrong usage,
    3 nothing is here."""
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_FOLDER
@_JSON
@click.pass_context
def verify(ctx: click.Context, /, names: tuple[str, ...], data: Path | None, *, as_json: bool) -> int:
    """Read every row of every file that is here: digests, releases, and what is rejected for which reason."""
    from orca_guard.data.folder import looked_at, lying  # noqa: PLC0415  # as above

    folder, sets = _needed(data), _sets(host_of(ctx), names)
    found = lying(folder, sets)
    if not found:
        raise DataAbsent(f"no known file is in {folder}; `orca-guard data list` says what is known")
    with _bar("reading") as step:
        rows = list(looked_at(found, folder, step=step))
    if as_json:
        click.echo(json_text([_looked(row) for row in rows], indent=2))
    else:
        _table_of_files(rows)
    return ExitCode.FAILED if any(row.fault for row in rows) else ExitCode.DONE


@data.command(
    "import",
    epilog="""\b
    Examples:
      orca-guard data import ./TruthfulQA --data ./data
      orca-guard data import ~/downloads --data ./data --link""",
)
@click.argument("source", type=PATH, metavar="DIR")
@_FOLDER
@click.option("--link", is_flag=True, help="Make symbolic links instead of copies.")
@_JSON
@click.pass_context
def import_(ctx: click.Context, /, source: Path, data: Path | None, *, link: bool, as_json: bool) -> None:
    """Copy what is recognised in DIR into the folder of data, and write its digests into FILES.tsv there."""
    from orca_guard.data.folder import recognised, take  # noqa: PLC0415  # as above

    folder = _needed(data, new=True)
    with _bar("looking at") as step:
        found = recognised(source, _sets(host_of(ctx)), step=step)
    _require(found, source)
    _tell_import(found, take(found, folder, link=link, origin=f"imported from {source.name}"), source, as_json=as_json)


@data.command(
    epilog="""\b
    Examples:
      orca-guard data pull hhh_alignment --data ./data
      orca-guard data pull toxigen --data ./data
      orca-guard data pull hhh_alignment --revision COMMIT"""
)
@click.argument("name")
@_FOLDER
@click.option("--revision", default="", metavar="REV", help="Commit, tag or branch; the commit is recorded.")
@_JSON
@click.pass_context
def pull(ctx: click.Context, /, name: str, data: Path | None, *, revision: str, as_json: bool) -> None:
    """Fetch a data set over the network, from the Hugging Face hub or its authors' repository, and import it."""
    from tempfile import TemporaryDirectory  # noqa: PLC0415  # as above

    from orca_guard.cli.show import note, stderr  # noqa: PLC0415
    from orca_guard.data.folder import recognised, take  # noqa: PLC0415
    from orca_guard.data.hub import pull as pulled  # noqa: PLC0415

    folder, [one] = _needed(data, new=True), _sets(host_of(ctx), [name])
    with TemporaryDirectory() as temporary:
        with stderr().status(f"fetching {one.hub or one.repository or one.name}"):
            got = pulled(one, Path(temporary), revision=revision)
        note(f"fetched {got.origin}")
        found = recognised(got.folder, [one])
        _require(found, got.folder)
        _tell_import(found, take(found, folder, link=False, origin=got.origin), got.folder, as_json=as_json)


# --- what is asked for ---------------------------------------------------------------------------


def _sets(host: Host, names: Sequence[str] = ()) -> list[DataSet]:
    return [host.datasets.get(name) for name in names or host.datasets.names()]


def _folder(option: Path | None, *, new: bool = False) -> Path | None:
    """Where data is; a new folder need not be there yet. Raises `BadInput`."""
    from orca_guard.data.sets import folder_named  # noqa: PLC0415  # as above

    named = folder_named(str(option or ""))
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir() and (folder.exists() or not new):
        raise BadInput(f"{folder} is no folder" if folder.exists() else f"there is no folder {folder}")
    return folder


def _needed(option: Path | None, *, new: bool = False) -> Path:
    folder = _folder(option, new=new)
    if folder is None:
        raise UsageError("no folder of data is named: say where it is by --data or ORCA_GUARD_DATA")
    return folder


# --- what is told --------------------------------------------------------------------------------


@contextmanager
def _bar(what: str) -> Iterator[Step]:
    """A bar over files, on stderr, and only where somebody looks."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415  # as above

    from orca_guard.cli.show import stderr  # noqa: PLC0415
    from orca_guard.cli.streams import plain  # noqa: PLC0415

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=stderr(), transient=True, disable=not stderr().is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda name, done, all_: bar.update(task, description=plain(f"{what} {name}"), completed=done, total=all_)


def _looked(row: Looked) -> dict[str, Any]:
    account = row.account
    return {
        "set": row.lying.data_set.name,
        "path": row.lying.where,
        "bytes": row.lying.bytes,
        "digest": row.digest,
        "release": row.release or None,
        "rows": account.rows if account else None,
        "taken": account.taken if account else None,
        "rejected": dict(account.rejected) if account else None,
        "repaired": dict(account.repaired) if account else None,
        "fault": row.fault or None,
    }


def _table_of_sets(rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table  # noqa: PLC0415  # as above

    from orca_guard.cli.show import console, safe  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("set", "here", "size", "licence", "to be had from"):
        table.add_column(column, overflow="fold", no_wrap=column in {"set", "here", "size"})
    for row in rows:
        size = sum(file["bytes"] for file in row["files"])
        here = f"{len(row['files'])} of {row['known_files']}" if row["files"] else "no"
        table.add_row(*map(safe, (row["name"], here, _size(size), row["licence"], row["origin"])))
    console().print(table)


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size else ""


def _table_of_files(rows: Sequence[Looked]) -> None:
    from rich.table import Table  # noqa: PLC0415  # as above

    from orca_guard.cli.show import console, safe  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("file", "rows", "taken", "what became of rows"):
        table.add_column(column, overflow="fold", justify="right" if column in {"rows", "taken"} else "left")
    for row in rows:
        account = row.account
        counts = (str(account.rows), str(account.taken)) if account else ("-", "-")
        table.add_row(*map(safe, (row.lying.where, *counts, _became(row))), style="bold red" if row.fault else "")
    console().print(table)


def _became(row: Looked) -> str:
    told = [f"release: {row.release}"] if row.release else []
    if row.account:
        told += [f"rejected {count}: {reason}" for reason, count in row.account.rejected.items()]
        told += [f"repaired {count}: {what}" for what, count in row.account.repaired.items()]
    return "; ".join([*([row.fault] if row.fault else []), *told])


def _require(found: Recognised, source: Path) -> None:
    """Say what is not taken. Raises `DataAbsent` where nothing is."""
    from orca_guard.cli.show import note  # noqa: PLC0415  # as above

    for path, why in found.refused.items():
        note(f"not taken: {path.relative_to(source)}: {why}", style="yellow")
    if not found.imports:
        raise DataAbsent(f"nothing in {source} is a file that is known; `orca-guard data list` says what is")


def _tell_import(found: Recognised, done: Mapping[str, str], source: Path, *, as_json: bool) -> None:
    from orca_guard.cli.show import note  # noqa: PLC0415  # as above

    refused = {str(path.relative_to(source)): why for path, why in found.refused.items()}
    if as_json:
        click.echo(json_text({"files": dict(done), "refused": refused, "passed_over": found.passed}, indent=2))
    else:
        for where, what in done.items():
            account = found.imports[where].account
            note(f"{what}: {where}, {account.taken} of {account.rows} rows", style="green")
    note(f"{len(done)} files are in place, {found.passed} others were passed over")
