"""How an audit looks in a terminal: bars while it goes on, tables when it is done."""

from __future__ import annotations

import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from orca_guard.cli.show import console, note, safe, stderr
from orca_guard.cli.streams import json_text, plain
from orca_guard.errors import ExitCode
from orca_guard.freezing import Frozen
from orca_guard.gates import EXIT_CODES, Gate, Ruling
from orca_guard.items import Disposition
from orca_guard.journal.units import Share
from orca_guard.rehearsal import Rehearsal

STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "yellow", "none": "dim"}


def _bar(*columns: Any, shown: bool = True) -> Progress:
    return Progress(*columns, console=stderr(), transient=True, disable=not (shown and stderr().is_terminal))


@contextmanager
def measuring() -> Iterator[Callable[[str, int, int], None]]:
    """A bar a benchmark while its items are measured."""
    with _bar(TextColumn("measuring {task.description}", markup=False), BarColumn(), MofNCompleteColumn()) as bar:
        tasks: dict[str, Any] = {}

        def step(name: str, done: int, items: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(plain(name), total=items)
            bar.update(tasks[name], completed=done)

        yield step


@contextmanager
def following() -> Iterator[Callable[[int, int], None]]:
    """A bar over records that a model is asked about again."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with _bar(*columns) as bar:
        task = bar.add_task("loading")

        def told(done: int, records: int) -> None:
            bar.update(task, completed=done, total=records, description="following")

        yield told


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Whoever ends this process, a launcher whose other process died say, interrupts it as Ctrl-C does."""

    def end(*_: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # which alone may say what a signal does
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def running(records: int, *, shown: bool = True) -> Iterator[Callable[[Share, Sequence[Mapping[str, Any]]], None]]:
    """A bar over the records of this process, with how fast they come and the scores so far.

    Args:
        records: how many there will be.
        shown: False where another process shows its own.
    """
    columns = (
        TextColumn("{task.description}", style="bold", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[scores]}", markup=False),
    )
    with _bar(*columns, shown=shown) as bar:
        task = bar.add_task("loading", total=records, speed="", scores="")
        scores = _Scores()

        def told(share: Share, records: Sequence[Mapping[str, Any]]) -> None:
            scores.add(records)
            bar.update(task, advance=share.records, description=plain(share.benchmark), scores=plain(str(scores)))
            speed = bar.tasks[task].speed
            bar.update(task, speed=f"{speed:.1f}/s" if speed else "")

        yield told


class _Scores:
    """The mean of each subject's first metric so far."""

    def __init__(self) -> None:
        self._seen: dict[str, list[float]] = defaultdict(list)

    def add(self, records: Sequence[Mapping[str, Any]]) -> None:
        for record in records:
            first = next(iter(record["scores"].values()))
            if isinstance(first, float | int):
                self._seen[record["subject"]].append(first)

    def __str__(self) -> str:
        return "  ".join(f"{name} {sum(scores) / len(scores):.3f}" for name, scores in self._seen.items())


def show_plan(frozen: Frozen, trial: Rehearsal | None, *, as_json: bool) -> int:
    """What a plan would ask, and what is known of its cost."""
    work = frozen.work
    if as_json:
        cost = {"requests": work.requests, "prompt_tokens": work.prompt_tokens, "new_tokens_at_most": work.new_tokens}
        tried = trial and {"seconds": round(trial.expected, 1), **asdict(trial)}
        click.echo(json_text({"digest": frozen.digest, "work": cost, "trial": tried, "plan": frozen.plan}, indent=2))
        return ExitCode.DONE
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("benchmark", "asks", "items", "not covered", "under"):
        table.add_column(column, overflow="fold")
    for planned in frozen.benchmarks:
        entry = planned.entry
        subjects = frozen.plan["arms" if entry["kind"] == "question" else "models"]
        asks = "the pipeline" if entry["kind"] == "question" else "the model alone"
        names = ", ".join(subject["name"] for subject in subjects)
        table.add_row(safe(entry["name"]), asks, str(entry["items"]), str(len(entry["not_covered"])), safe(names))
    console().print(table)
    console().print(
        f"{frozen.plan['records']} records. Known beforehand: {work.requests} prompts of {work.prompt_tokens} tokens, "
        f"and {work.new_tokens} new tokens at most.",
        soft_wrap=True,
    )
    if trial is not None:
        _show_trial(trial)
    _show_rules(frozen.plan)
    console().print(f"plan {frozen.digest}", soft_wrap=True)
    return ExitCode.DONE


def _show_rules(plan: Mapping[str, Any]) -> None:
    """What is decided beforehand: what every disposition is worth, and what must hold."""
    console().print("What an answer is worth that is not one:", style="bold")
    for entry in plan["benchmarks"]:
        for metric in entry["metrics"]:
            console().print(
                Text(plain(f"{entry['name']} {metric['name']}: {_worth(metric['credit'])}")), soft_wrap=True
            )
    for gate in plan["gates"]:
        why = f" ({gate['because']})" if gate["because"] else ""
        console().print(Text(plain(f"gate: {_asked(gate)}{why}")), soft_wrap=True)
    if not plan["gates"]:
        note("there is no gate: this will be measured, and not judged (exit code 3); see --policy", style="yellow")


def _worth(credit: Mapping[str, Any]) -> str:
    """`refused, blocked → 0; error → unscored`."""
    told: dict[str, list[str]] = {}
    for disposition in list(Disposition)[1:]:
        worth = credit.get(disposition)
        told.setdefault("unscored" if worth is None else f"{worth}".removesuffix(".0"), []).append(disposition.value)
    return "; ".join(f"{', '.join(names)} → {worth}" for worth, names in told.items())


def _show_trial(trial: Rehearsal) -> None:
    """How long it will take, and on what that rests."""
    most = max(trial.tried, key=lambda tried: tried.expected)
    told = f"It takes about {_span(trial.expected)} in one process, going by {sum(t.items for t in trial.tried)} items"
    longest = f", {_span(most.expected)} of it for {most.benchmark}" if len(trial.tried) > 1 else ""
    console().print(plain(f"{told}{longest}."), markup=False, soft_wrap=True)
    for tried in trial.tried:
        if tried.errors:
            what = (
                f"{tried.benchmark}: {tried.errors} of {tried.records} tried records ended in an error: {tried.reason}"
            )
            note(what, style="yellow")


def _span(seconds: float) -> str:
    """A time in the unit that people would say it in."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "a second"


def show_seal(folder: Path, seal: Mapping[str, Any], *, as_json: bool) -> int:
    """Figures, gates and verdict of a sealed run; the exit code is the verdict's."""
    from orca_guard.identity import digest_of  # noqa: PLC0415  # not needed for a plan

    ruling = Ruling(seal["verdict"])
    if seal["finished"] < seal["started"]:
        note(f"the clock went back: started {seal['started']}, finished {seal['finished']}", style="yellow")
    if as_json:
        click.echo(json_text({"run": str(folder), "digest": digest_of(seal), "seal": seal}, indent=2))
        return EXIT_CODES[ruling]
    console().print(_figures(seal["figures"]))
    if seal.get("cached"):
        note(f"{seal['cached']} of {seal['records']} records rest on answers kept from earlier runs", style="yellow")
    for doubt in _doubts(seal["figures"]):
        console().print(Text(plain(doubt), style="yellow"), soft_wrap=True)
    for name, items in seal.get("stopped", {}).items():
        note(f"{name} stopped after {items} items: all its gates had ruled")
    show_rulings(seal["gates"], ruling)
    note(f"sealed: {folder}  {digest_of(seal)}")
    note(f"check it with: orca-guard verify {folder}")
    return EXIT_CODES[ruling]


def show_rulings(gates: Sequence[Mapping[str, Any]], ruling: Ruling) -> None:
    """Every gate with its reason, and what all of them say."""
    for gate in gates:
        told = plain(f" {_asked(gate)}: {gate['reason']}")
        console().print(Text.assemble((gate["ruling"], STYLES[gate["ruling"]]), told), soft_wrap=True)
    why = "" if gates else " (measured, not judged: there is no gate; see --policy)"
    console().print(Text.assemble("verdict: ", (ruling.value, STYLES[ruling]), why))


def _asked(gate: Mapping[str, Any]) -> str:
    """What a gate of a seal asks."""
    return str(Gate(**{field.name: gate[field.name] for field in fields(Gate)}))


def _figures(figures: Sequence[Mapping[str, Any]]) -> Table:
    """A row a figure under the name of its benchmark, and groups under the figure that they are part of."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("figure", overflow="fold")
    for column in ("value", "95 % from", "to", "items", "unscored"):
        table.add_column(column, justify="right", no_wrap=True)
    for benchmark, rows in groupby(figures, key=itemgetter("benchmark")):
        table.add_row(Text(plain(benchmark), "bold"))
        for figure in rows:
            group = figure["group"]
            name = f"    {group}" if group else f"  {figure['subject']} {figure['metric']}"
            counts = (str(figure["n"]), str(figure["unscored"] or ""))
            table.add_row(safe(name), *_numbers(figure), *counts)
            if figure["corrected"]:
                table.add_row("    corrected", *_numbers(figure["corrected"]), "", "")
    return table


def _numbers(figure: Mapping[str, Any]) -> tuple[str, str, str]:
    """Value and bounds; a dash where there is none, as with too few clusters."""
    known = figure["low"] is not None and (figure["low"], figure["high"]) != (0, 1)
    low, high = (f"{figure[bound]:.3f}" if known else "-" for bound in ("low", "high"))
    return "-" if figure["value"] is None else f"{figure['value']:.3f}", low, high


def _doubts(figures: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What has to be said of rates that rest on a scorer."""
    corrected = [figure["corrected"] for figure in figures if figure["corrected"]]
    if corrected:
        yield f"Corrected rates assume {corrected[0]['assumes']}."
    yield from sorted({f"Not corrected: {one['reason']}." for one in corrected if one["reason"]})
    yield from _of_judges(figures)
    for figure in figures:
        if figure["circular"] and not figure["group"]:
            what = f"{figure['benchmark']} {figure['metric']} under {figure['subject']}"
            yield f"{what} is circular: its scorer shares weights or rows with {', '.join(figure['circular'])}."


def _of_judges(figures: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Why not to rest on what judges gave: once a benchmark and arm."""
    of = defaultdict(list)
    for figure in figures:
        if figure.get("judged") and not figure["group"]:
            of[f"{figure['benchmark']} under {figure['subject']}"].append(figure)
    for what, judged in of.items():
        doubted = [figure["metric"] for figure in judged if figure["judged"]["inconclusive"]]
        reasons = dict.fromkeys(r for figure in judged for r in figure["judged"]["inconclusive"].split("; ") if r)
        if doubted:
            yield f"{what}: inconclusive, whatever the figures say: {', '.join(doubted)}. {'; '.join(reasons)}."
        if own := dict.fromkeys(name for figure in judged for name in figure["judged"]["own"]):
            yield f"{what}: the judge of {' and '.join(own)} is the model under test itself."
