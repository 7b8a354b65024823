"""`orca-guard guards`: which guards there are and how good they are known to be; measure, calibrate, replay."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orca_guard.cli import host_of
from orca_guard.cli.run import PATH, Range
from orca_guard.cli.streams import json_text, plain
from orca_guard.errors import BadInput, OrcaGuardError

if TYPE_CHECKING:
    from orca_guard.configuration import GuardTable, ModelTable
    from orca_guard.operating import OperatingPoint, Rate


@click.group(
    invoke_without_command=True,
    epilog="""\b
    Examples:
      orca-guard guards
      orca-guard guards --json
      orca-guard guards measure prompt-injection --rows attacks.jsonl
      orca-guard guards calibrate toxicity --rows rows.jsonl --max-fpr 0.02 --out toxicity.json""",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def guards(ctx: click.Context, *, as_json: bool) -> None:
    """List guards: what each stops, and how good it is known to be."""
    if ctx.invoked_subcommand is not None:
        return
    rows = list(_listing(host_of(ctx)))
    if as_json:
        click.echo(json_text(rows, indent=2))
        return
    _table(rows)


def _listing(host: Any) -> Iterator[dict[str, Any]]:
    from orca_guard.configuration import GuardTable, default, guards_of  # noqa: PLC0415  # not before it is needed
    from orca_guard.placing import Circumstances, prepare, put  # noqa: PLC0415

    standing = {guard.name for guard in guards_of(default())}
    for name, found in host.guards:
        row: dict[str, Any] = {"name": name, "summary": found.item.summary, "plugin": found.plugin.name}
        row |= {"default": name in standing, "stages": [], "scope": "", "note": "", "known": ""}
        row["operating_point"] = None
        try:
            placed = put(prepare(GuardTable(name=name), host, Circumstances(offline=True)), 0, model="")
        except OrcaGuardError as error:
            yield row | {"note": str(error)}
            continue
        place = placed.place
        row |= {"stages": sorted(place.guard.stages), "scope": place.scope, "note": placed.warning}
        if place.point:
            known = f"{place.point.told}; {place.point.ms:.3g} ms for 1,000 tokens"
            row |= {
                "known": known,
                "note": placed.warning or _weakness(name, place.point),
                "operating_point": _built(place.point),
            }
        yield row


def _weakness(name: str, point: OperatingPoint) -> str:
    return f"guard {name!r} is {point.weak}; {point.decisive.name} decides that it stops texts" if point.weak else ""


def _built(point: OperatingPoint) -> Mapping[str, Any]:
    import msgspec  # noqa: PLC0415

    built: Mapping[str, Any] = msgspec.to_builtins(point)
    return {**built, "sound": point.sound}


def _table(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table  # noqa: PLC0415  # a third of the start-up time

    from orca_guard.cli.show import console, note, safe  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("guard", "at", "default"):
        table.add_column(column, no_wrap=True)
    table.add_column("what it stops", overflow="fold")
    table.add_column("how good it is", overflow="fold")
    for row in rows:
        stands = "yes" if row["default"] else ""
        at = "+".join(stage.removesuffix("put") for stage in row["stages"])
        table.add_row(safe(row["name"]), at, stands, safe(row["summary"]), safe(row["known"]))
    console().print(table)
    for row in rows:
        if row["note"]:
            note(plain(row["note"]), style="yellow")


# --- measured on labelled rows -------------------------------------------------------------------


def _guard_options(command: Any) -> Any:
    for option in reversed((
        click.option("--rows", "rows", type=PATH, multiple=True, required=True, metavar="FILE",
                     help="Labelled rows as JSONL: text, label, and perhaps prompt, context, group, set."),
        click.option("--option", "options", multiple=True, metavar="KEY=VALUE",
                     help="An option of the guard, as in model=./my-classifier; the value is JSON or a text."),
        click.option("--model", metavar="MODEL", help="For guards that ask the pipeline's own model."),
        click.option("--offline", is_flag=True, help="Never touch the network."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    )):  # fmt: skip
        command = option(command)
    return command


@guards.command(
    epilog="""\b
    Examples:
      orca-guard guards measure prompt-injection --rows attacks.jsonl
      orca-guard guards measure toxicity --option model=./toxigen-roberta --rows rows.jsonl --threshold 0.7"""
)
@click.argument("name")
@click.option("--threshold", type=float, metavar="T", help="Where the rates are taken; the guard's own if not said.")
@_guard_options
@click.pass_context
def measure(ctx: click.Context, /, name: str, threshold: float | None, **options: Any) -> None:
    """Tell how well a guard tells labelled rows apart: AUROC and, at its threshold, what it finds and stops wrongly.

    All rows count, whatever their part: to choose a threshold and report it on other rows, calibrate.
    """
    from orca_guard import labelled, validation  # noqa: PLC0415  # not before the options are known to be good

    data = labelled.read(options["rows"])
    pipeline = validation.alone(
        _guard_table(name, options, threshold=threshold, timeout_s=600.0),
        host_of(ctx),
        model=_model_table(options),
        offline=options["offline"],
    )
    with _bar("scoring") as step:
        rows = validation.scored(pipeline, data.rows, step=lambda done: step(done, len(data.rows)))
    at = threshold if threshold is not None else validation.threshold_of(pipeline.guards[0])
    parts = {"": rows, **{group: part for group, part in validation.by_group(rows).items() if group}}
    found = [_quality_row(group, validation.quality(part, at)) for group, part in parts.items()]
    if options["as_json"]:
        click.echo(json_text({"guard": name, "data": data.name, "threshold": at, "figures": found}, indent=2))
        return
    _show_quality(found, data.name, at)


def _quality_row(group: str, found: Any) -> dict[str, Any]:
    """Without rows of a kind, nothing is known of the rate over it, nor of what needs both kinds."""
    both = bool(found.tpr.n and found.fpr.n)
    return {
        "group": group,
        "n": found.n,
        "hits": found.hits,
        "unscored": found.unscored,
        "auroc": _rate(found.auroc) if both else None,
        **{name: _rate(rate) if (rate := getattr(found, name)).n else None for name in ("tpr", "fpr")},
        "balanced": found.balanced if both else None,
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {"value": rate.value, "low": rate.low, "high": rate.high, "n": rate.n}


def _show_quality(rows: list[dict[str, Any]], data: str, threshold: float) -> None:
    from rich.table import Table  # noqa: PLC0415

    from orca_guard.cli.show import console, note, safe  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("group", "rows", "labelled", "AUROC", "finds", "stops wrongly", "balanced"):
        table.add_column(column, overflow="fold")
    for row in rows:
        shown = [_told(row[name]) for name in ("auroc", "tpr", "fpr")]
        balanced = "-" if row["balanced"] is None else f"{row['balanced']:.3f}"
        table.add_row(safe(row["group"] or "all"), str(row["n"]), str(row["hits"]), *shown, balanced)
    console().print(table)
    lost = f"; {rows[0]['unscored']} rows have no score and count as wrong" if rows[0]["unscored"] else ""
    note(f"{plain(data)} at {threshold:.4g}; 95 % intervals{lost}")


def _told(rate: Mapping[str, Any] | None) -> str:
    return "-" if rate is None else f"{rate['value']:.3f} ({rate['low']:.3f} to {rate['high']:.3f})"


@guards.command(
    epilog="""\b
    Examples:
      orca-guard guards calibrate toxicity --rows rows.jsonl --max-fpr 0.02 --out toxicity.json
      orca-guard guards calibrate entailment --option model=./my-nli --untrained \\
          --rows answers.jsonl --max-fpr 0.05 --out entailment.json

    \b
    In a pipeline file:
      [[guards]]
      name = "toxicity"
      operating_point = "toxicity.json\""""
)
@click.argument("name")
@click.option("--max-fpr", type=Range(0, 1), required=True, metavar="R",
              help="Most of the rows without the label that may be stopped.")  # fmt: skip
@click.option("--out", type=PATH, required=True, metavar="FILE", help="Where the operating point goes.")
@click.option(
    "--relevant",
    default="",
    metavar="SET",
    help="The set that texts in use are like: it decides whether the guard stops texts by default. Else the "
    "one on which it is worst does.",
)
@click.option("--untrained", is_flag=True, help="No scorer was ever trained on these rows: use the train part too.")
@click.option("--data-name", metavar="TEXT", help="What the rows are, for people; their files' names if not said.")
@_guard_options
@click.pass_context
def calibrate(ctx: click.Context, /, name: str, max_fpr: float, out: Path, **options: Any) -> None:
    """Choose a guard's threshold on the dev part of labelled rows, and write it with what it is worth on others."""
    from orca_guard import labelled, operating, validation  # noqa: PLC0415  # not before the options are known to be good

    data = labelled.read(options["rows"])
    if options["data_name"]:
        data = labelled.LabelledSet(options["data_name"], data.rows)
    with _bar("scoring") as step:
        point = validation.calibrated(
            _guard_table(name, options),
            host_of(ctx),
            data,
            bound=max_fpr,
            relevant=options["relevant"],
            untrained=options["untrained"],
            model=_model_table(options),
            offline=options["offline"],
            step=step,
        )
    operating.write(point, out)
    if options["as_json"]:
        click.echo(json_text(_built(point), indent=2))
        return
    from orca_guard.cli.show import note  # noqa: PLC0415

    click.echo(plain(f"{name}: {point.told}"))
    if not point.sound:
        least = f"{operating.LEAST_AUROC} asked of a guard that stops texts by default"
        note(f"{point.weak}, below the {least}: it will warn", style="yellow")
    note(f"{out} written", style="dim")


@guards.command(
    epilog="""\b
    Example:
      orca-guard guards value --pipeline my-pipeline.toml --rows answers.jsonl
      orca-guard guards value --pipeline my-pipeline.toml --rows answers.jsonl --judge toxicity-ngrams"""
)
@click.option("--pipeline", type=PATH, metavar="FILE", help="Pipeline file; its model is not loaded.")
@click.option("--no-guard", "no_guards", multiple=True, metavar="NAME", help="Leave a guard out of both sides.")
@click.option("--rows", "rows", type=PATH, multiple=True, required=True, metavar="FILE",
              help="Labelled answers as JSONL: text, label, and perhaps prompt, context.")  # fmt: skip
@click.option("--judge", metavar="NAME", help="A guard whose scores say what is harm, beside people.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def value(
    ctx: click.Context,
    /,
    pipeline: Path | None,
    no_guards: tuple[str, ...],
    rows: tuple[Path, ...],
    judge: str | None,
    *,
    as_json: bool,
) -> None:
    """Replay labelled texts as answers through the pipeline, with each guard and without it.

    Tells how much less harm is shown and how much more that is harmless is withheld, answer by answer. The labels are
    people's, and a second scorer may judge beside them: where it is the guard's own, its word is CIRCULAR and not told.
    Rows that a classifier or a threshold may have been made from do not count.
    """
    from orca_guard import labelled  # noqa: PLC0415  # not before the options are known to be good
    from orca_guard import value as valued  # noqa: PLC0415
    from orca_guard.api import table_of  # noqa: PLC0415
    from orca_guard.configuration import GuardTable, overridden  # noqa: PLC0415

    table = overridden(table_of(pipeline), no_guards=no_guards)
    with _bar("replaying") as step:
        seat = GuardTable(name=judge, timeout_s=600.0) if judge else None
        every = valued.worth(table, host_of(ctx), labelled.read(rows).rows, judge=seat, step=step)
        found = [valued.built(one) for one in every]
    if as_json:
        click.echo(json_text(found, indent=2))
        return
    _show_value(found)


def _show_value(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table  # noqa: PLC0415

    from orca_guard.cli.show import console, note, safe  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("guard", "harm shown", "change", "harmless withheld", "change", "ms added"):
        table.add_column(column, overflow="fold")
    for row in rows:
        cells: list[Any] = [safe(row["guard"])]
        for share, change in (("shown", "harm"), ("withheld", "lost")):
            cells += [f"{row[share]['without']:.1%} → {row[share]['with']:.1%}", _told(row[change])]
        table.add_row(*cells, f"{row['ms']:.2f}")
    console().print(table)
    note(f"{rows[0]['labelled']} labelled answers and {rows[0]['harmless']} others; with the guard minus without it")
    for row in rows:
        if row["judged"]:
            note(plain(_judged_told(row["guard"], row["judged"])), style="yellow" if row["judged"]["circular"] else "")


def _judged_told(guard: str, judged: Mapping[str, Any]) -> str:
    if judged["circular"]:
        return f"{guard} by {judged['judge']}: {judged['circular']}"
    shown = f"{judged['shown']['without']:.1%} → {judged['shown']['with']:.1%}"
    return (
        f"{guard} by {judged['judge']}: of {judged['n']} answers that it calls harm {shown} are shown, "
        f"{_told(judged['harm'])}; it agrees with people on {judged['sensitivity']:.1%} of harm and "
        f"{judged['specificity']:.1%} of the rest"
    )


def _guard_table(name: str, options: Mapping[str, Any], **more: Any) -> GuardTable:
    from orca_guard.configuration import GuardTable  # noqa: PLC0415

    pairs = dict(_pair(text) for text in options["options"])
    return GuardTable(name=name, options=pairs, **more)


def _pair(text: str) -> tuple[str, Any]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise BadInput(f"{text!r} is no option of a guard: write KEY=VALUE, as in model=./my-classifier")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _model_table(options: Mapping[str, Any]) -> ModelTable | None:
    from orca_guard.configuration import ModelTable  # noqa: PLC0415

    return ModelTable(name=options["model"], offline=options["offline"]) if options["model"] else None


@contextmanager
def _bar(what: str) -> Iterator[Any]:
    """A bar on stderr, where that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    from orca_guard.cli.show import stderr  # noqa: PLC0415

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr(), transient=True, disable=not stderr().is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
