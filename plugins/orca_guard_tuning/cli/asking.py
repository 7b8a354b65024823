"""`tune data` and `tune sweep`: what puts prompts to a teacher."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orca_guard.cli import host_of
from orca_guard.cli.run import PATH, Range, from_json, model_options
from orca_guard.cli.streams import json_text
from orca_guard.errors import BadInput, ExitCode

if TYPE_CHECKING:
    from orca_guard.pipeline import Pipeline
    from orca_guard.types import Answer
    from orca_guard_tuning.collect import Task
    from orca_guard_tuning.sweep import Choice
    from orca_guard_tuning.teachers import Way
    from orca_guard_tuning.triples import Triple, TripleFile

_STRATEGY = click.option(
    "--strategy", "strategies", multiple=True, metavar="NAME", help="Under this strategy; else all explicit ones."
)
_MESSAGES = click.option("--messages", type=PATH, metavar="FILE", help="More system messages, as TOML.")
_TEACHER = click.option(
    "--teacher", metavar="MODULE:FUNCTION", help="A function that knows the answers, in place of a model."
)
_DRY = click.option("--dry-run", is_flag=True, help="Say what would be asked, and ask nothing.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command(
    epilog="""\b
    Examples:
      orca-guard tune data prompts.jsonl --out answers.jsonl
      orca-guard tune data prompts.jsonl --model ./teacher --policy policy.toml --out answers.jsonl
      orca-guard tune data prompts.jsonl --teacher teacher.py:answer --out answers.jsonl
      orca-guard tune data prompts.jsonl --strategy direct --out answers.jsonl --dry-run

    \b
    Exit codes: 0 everything was answered, 2 wrong usage or bad input, 3 some could not be asked
    (the same command asks those again), 130 interrupted (it goes on from there)."""
)
@click.argument("prompts", type=PATH)
@click.option("--out", type=PATH, required=True, metavar="FILE", help="Triples as JSONL; goes on from what is there.")
@_STRATEGY
@_MESSAGES
@click.option("--policy", type=PATH, metavar="FILE", help="Which strategies go with which category.")
@_TEACHER
@_DRY
@_JSON
@model_options
@click.pass_context
def data(ctx: click.Context, /, prompts: Path, out: Path, **options: Any) -> int:
    """Put PROMPTS to a teacher, each under every strategy or those of its category, and keep the triples.

    PROMPTS is JSONL as for `run --file`, and perhaps with gold and groups: {"category": NAME}. The guards of the
    pipeline are on: what they stop is kept as a row with a fault, and is never trained on.
    """
    from orca_guard_tuning.collect import read_prompts, tasks  # noqa: PLC0415  # not needed for help
    from orca_guard_tuning.policy import read_policy  # noqa: PLC0415

    taken = {key: options.pop(key) for key in ("strategies", "messages", "policy", "teacher", "dry_run", "as_json")}
    policy = read_policy(taken["policy"]) if taken["policy"] else None
    if policy and taken["strategies"]:
        raise click.UsageError("--policy and --strategy do not go together: the policy names the strategies")
    items = read_prompts(prompts)
    ways = _ways(ctx, taken["strategies"], taken["messages"], every=policy is not None)
    asked = tasks(items, ways, policy)
    if taken["dry_run"]:
        _show_plan(asked, as_json=taken["as_json"])
        return ExitCode.DONE
    found, errors = _answered(ctx, asked, out, taken["teacher"], options)
    _show_counts(asked, found, errors, as_json=taken["as_json"])
    return ExitCode.INCONCLUSIVE if errors else ExitCode.DONE


@click.command(
    epilog="""\b
    Examples:
      orca-guard tune sweep chosen-on.jsonl --out policy.toml
      orca-guard tune sweep chosen-on.jsonl --model ./teacher --margin 2 --out policy.toml
      orca-guard tune sweep more.jsonl --model ./teacher --cache policy.cache --out more.toml

    \b
    Exit codes: 0 the policy is written, 2 wrong usage or bad input, 3 some could not be asked, so
    there is no policy yet (the same command goes on), 130 interrupted (likewise)."""
)
@click.argument("prompts", type=PATH)
@click.option("--out", type=PATH, required=True, metavar="FILE", help="The policy, as TOML.")
@click.option("--answers", type=PATH, metavar="FILE", help="The answers it rests on; else beside it.")
@click.option(
    "--margin",
    type=Range(0, 100),
    default=1.0,
    show_default=True,
    metavar="POINTS",
    help="Take the cheapest strategy within so many points of the best.",
)
@click.option("--cache", type=PATH, metavar="DIR", help="Ask only what is not kept here; else beside it.")
@click.option("--no-cache", is_flag=True, help="Ask for every reply, and keep none.")
@_STRATEGY
@_MESSAGES
@_TEACHER
@_DRY
@_JSON
@model_options
@click.pass_context
def sweep(ctx: click.Context, /, prompts: Path, out: Path, **options: Any) -> int:
    """Measure every strategy on every category of PROMPTS, whose answers are known, and write the policy.

    Accuracy counts first, then tokens. Prompts to choose on are neither those to train on nor those to report on.
    """
    from orca_guard_tuning.collect import read_prompts, tasks  # noqa: PLC0415  # not needed for help
    from orca_guard_tuning.sweep import check_gold  # noqa: PLC0415

    taken = {
        key: options.pop(key)
        for key in ("answers", "margin", "strategies", "messages", "teacher", "dry_run", "as_json")
    }
    cache = _cache(out, options.pop("cache"), without=options.pop("no_cache"), teacher=taken["teacher"])
    items = read_prompts(prompts)
    check_gold(items)
    asked = tasks(items, _ways(ctx, taken["strategies"], taken["messages"]))
    if taken["dry_run"]:
        _show_plan(asked, as_json=taken["as_json"])
        return ExitCode.DONE
    answers = taken["answers"] or out.with_name(f"{out.stem}.answers.jsonl")
    found, errors = _answered(ctx, asked, answers, taken["teacher"], options, cache=cache)
    _say_what_was_kept(found)
    if errors:
        _show_counts(asked, found, errors, as_json=taken["as_json"])
        return ExitCode.INCONCLUSIVE
    _write_policy(asked, found, out, margin=taken["margin"] / 100, as_json=taken["as_json"])
    return ExitCode.DONE


def _cache(out: Path, named: Path | None, *, without: bool, teacher: str | None) -> Path | None:
    """Where a sweep keeps replies; a function's are not kept, for nothing tells one function from another."""
    if named and without:
        raise click.UsageError("--cache and --no-cache do not go together")
    if teacher:
        if named:
            raise click.UsageError("--cache goes with a model, and --teacher names a function")
        return None
    return None if without else named or out.with_name(f"{out.stem}.cache")


def _say_what_was_kept(found: Mapping[str, Triple]) -> None:
    from orca_guard.cli.show import note  # noqa: PLC0415  # as above

    if kept := sum(bool(triple.cached) for triple in found.values()):
        note(f"{kept} of {len(found)} answers rest on replies kept from earlier sweeps (--no-cache asks for all anew)")


def _write_policy(
    asked: Sequence[Task], found: Mapping[str, Triple], out: Path, *, margin: float, as_json: bool
) -> None:
    import msgspec  # noqa: PLC0415  # as above

    from orca_guard.identity import digest_of  # noqa: PLC0415
    from orca_guard_tuning.policy import policy_text  # noqa: PLC0415
    from orca_guard_tuning.sweep import swept  # noqa: PLC0415
    from orca_guard_tuning.triples import write_whole  # noqa: PLC0415

    measured_on = digest_of(sorted(task.digest for task in asked))
    policy, choices = swept(asked, found, margin=margin, measured_on=measured_on)
    write_whole(out, policy_text(policy).encode())
    if as_json:
        click.echo(json_text(msgspec.to_builtins(policy), indent=2))
        return
    _show_sweep(msgspec.to_builtins(policy)["cells"], choices)


# --- who is asked ------------------------------------------------------------------------------


def _ways(
    ctx: click.Context, strategies: Iterable[str], messages: Path | None, *, every: bool = False
) -> dict[str, Way]:
    """Strategies and system messages by name: those asked for, or all that say how to work."""
    from orca_guard.contracts import is_explicit  # noqa: PLC0415  # as above
    from orca_guard_tuning.collect import read_messages  # noqa: PLC0415
    from orca_guard_tuning.teachers import Way  # noqa: PLC0415

    installed = host_of(ctx).strategies
    known = {name: provided.item for name, provided in installed}
    found = {name: Way(name, item) for name, item in known.items() if every or is_explicit(item)}
    more = {}
    for name, told in (read_messages(messages) if messages else {}).items():
        if name in known:
            raise BadInput(f"{messages}: {name!r} is an installed strategy; give the message another name")
        more[name] = Way(name, installed.get(told.strategy), told.system)
    for name in strategies:
        if name not in more:
            installed.get(name)
    asked = {name: more[name] if name in more else Way(name, known[name]) for name in strategies}
    return asked or {**found, **more}


def _answered(
    ctx: click.Context,
    asked: Sequence[Task],
    out: Path,
    teacher: str | None,
    options: dict[str, Any],
    *,
    cache: Path | None = None,
) -> tuple[dict[str, Triple], Counter[str]]:
    """The triples of all tasks, those that were there and those asked now; and why some have none."""
    from orca_guard.cli.show import note, progress  # noqa: PLC0415  # as above
    from orca_guard_tuning.collect import triple_of  # noqa: PLC0415
    from orca_guard_tuning.teachers import NOTHING  # noqa: PLC0415
    from orca_guard_tuning.triples import TripleFile  # noqa: PLC0415

    identity, ask = _teacher(ctx, asked, teacher, options, cache)
    errors = Counter[str]()
    with TripleFile(out, asked={task.id: task.digest for task in asked}, identity=identity) as file:
        todo = [task for task in asked if task.id not in file.done]
        _say_what_is_there(file, len(asked))
        try:
            with progress(len(todo)) as bar:
                for task, answer, system in ask(todo):
                    if answer.error and answer.error != NOTHING:
                        errors[answer.error] += 1
                    else:
                        file.write(triple_of(task, answer, system=system))
                    bar.update(bar.task_ids[0], advance=1)
        except KeyboardInterrupt:
            note(f"{len(file.done)} of {len(asked)} answered; run the same command again to go on", style="yellow")
            raise
        return file.done, errors


def _say_what_is_there(file: TripleFile, total: int) -> None:
    from orca_guard.cli.show import note  # noqa: PLC0415  # as above

    if file.done:
        note(f"{len(file.done)} of {total} are already answered")
    if file.again:
        note(f"{file.again} have changed since and are asked again")


_Ask = Callable[["Sequence[Task]"], "Iterator[tuple[Task, Answer, str]]"]


def _teacher(
    ctx: click.Context, asked: Sequence[Task], teacher: str | None, options: dict[str, Any], cache: Path | None
) -> tuple[dict[str, Any], _Ask]:
    """What identifies the teacher, and what asks it."""
    from orca_guard_tuning.collect import identity_of  # noqa: PLC0415  # as above

    ways = list({task.way.name: task.way for task in asked}.values())
    told, ask = _programmed(teacher, options) if teacher else _modelled(ctx, ways, options, cache)
    return identity_of(told, ways), ask


def _programmed(teacher: str, options: Mapping[str, Any]) -> tuple[dict[str, Any], _Ask]:
    from orca_guard.pipeline import Pipeline  # noqa: PLC0415  # as above
    from orca_guard_tuning.collect import ask_each  # noqa: PLC0415
    from orca_guard_tuning.teachers import Only, Taught, teacher_at  # noqa: PLC0415

    if given := [name for name, value in options.items() if value is not None]:
        raise click.UsageError(f"--{given[0].replace('_', '-')} goes with a model, and --teacher names a function")
    teach, identity = teacher_at(teacher)

    def of(task: Task) -> Pipeline:
        model = Taught(teach=teach, item=task.item, way=task.way.name)
        return Pipeline(model=model, strategies={}, selector=Only(""))

    def ask(todo: Sequence[Task]) -> Iterator[tuple[Task, Answer, str]]:
        for task, answer in ask_each(todo, of):
            yield task, answer, task.way.system or task.way.strategy.system

    return identity, ask


def _modelled(
    ctx: click.Context, ways: Sequence[Way], options: dict[str, Any], cache: Path | None
) -> tuple[dict[str, Any], _Ask]:
    from dataclasses import replace  # noqa: PLC0415  # as above

    import msgspec  # noqa: PLC0415

    from orca_guard.api import load, table_of  # noqa: PLC0415
    from orca_guard.assembly import lasting  # noqa: PLC0415
    from orca_guard.cache import AnswerCache  # noqa: PLC0415
    from orca_guard.cli.show import note, stderr  # noqa: PLC0415
    from orca_guard_tuning.collect import ask as asked  # noqa: PLC0415
    from orca_guard_tuning.teachers import narrowed  # noqa: PLC0415

    options = dict(options)
    names = tuple(dict.fromkeys(way.strategy.name for way in ways))
    table = msgspec.structs.replace(table_of(options.pop("pipeline")), strategies=names)
    with stderr().status("loading the model"):
        pipeline = load(table, host=host_of(ctx), **from_json(options))
    for notice in pipeline.notices:
        note(notice)
    if cache is not None:
        pipeline = replace(pipeline, before=AnswerCache(cache).over(pipeline.model))

    def ask(todo: Sequence[Task]) -> Iterator[tuple[Task, Answer, str]]:
        for task, answer in asked(todo, pipeline):
            yield task, answer, narrowed(pipeline, task.way).system_of(task.way.strategy)

    return lasting(pipeline.identity), ask


# --- what is told ------------------------------------------------------------------------------


def _show_plan(asked: Sequence[Task], *, as_json: bool) -> None:
    from orca_guard_tuning.cli.tables import show_table  # noqa: PLC0415
    from orca_guard_tuning.collect import category_of  # noqa: PLC0415  # as above

    counts = Counter((category_of(task.item), task.way.name) for task in asked)
    rows = [{"category": c, "strategy": s, "prompts": n} for (c, s), n in sorted(counts.items())]
    show_table(rows, as_json=as_json, whole={"asked": len(asked), "cells": rows})


def _show_counts(asked: Sequence[Task], found: Mapping[str, Triple], errors: Counter[str], *, as_json: bool) -> None:
    """What became of every category and strategy: answers, how many of them right, and what stands in the way."""
    from orca_guard.cli.show import note  # noqa: PLC0415  # as above
    from orca_guard_tuning.cli.tables import show_table  # noqa: PLC0415
    from orca_guard_tuning.collect import category_of  # noqa: PLC0415

    cells: dict[tuple[str, str], Counter[str]] = {}
    for task in asked:
        cell = cells.setdefault((category_of(task.item), task.way.name), Counter())
        row = found.get(task.id)
        cell["asked"] += 1
        if row is not None:
            cell["answers"] += not row.fault
            cell["right"] += row.right is True
            cell["wrong"] += row.right is False
            cell[f"fault: {row.fault}"] += bool(row.fault)
    rows = [{"category": c, "strategy": s, **_counts(cell)} for (c, s), cell in sorted(cells.items())]
    show_table(rows, as_json=as_json, whole={"cells": rows, "errors": dict(errors)})
    for error, count in errors.most_common(5):
        note(f"{count} could not be asked: {error}", style="yellow")


def _counts(cell: Counter[str]) -> dict[str, Any]:
    faults = {key.removeprefix("fault: "): n for key, n in sorted(cell.items()) if key.startswith("fault: ") and n}
    return {key: cell[key] for key in ("asked", "answers", "right", "wrong")} | {"faults": faults}


def _show_sweep(cells: Sequence[dict[str, Any]], choices: Sequence[Choice]) -> None:
    from orca_guard.cli.show import note  # noqa: PLC0415  # as above
    from orca_guard_tuning.cli.tables import show_table  # noqa: PLC0415

    taken = {(choice.category, choice.strategy) for choice in choices}
    rows = [
        {
            "category": cell["category"],
            "strategy": cell["strategy"],
            "prompts": cell["n"],
            "accuracy": f"{100 * cell['accuracy']:.1f} %",
            "95 %": f"{100 * cell['interval'][0]:.1f} to {100 * cell['interval'][1]:.1f}",
            "tokens": cell["tokens"],
            "": "taken" if (cell["category"], cell["strategy"]) in taken else "",
        }
        for cell in cells
    ]
    show_table(rows, as_json=False, whole={})
    for choice in choices:
        if not choice.decided and choice.lead:
            low, high = (f"{100 * bound:+.1f}" for bound in choice.lead)
            note(f"{choice.category or 'all'}: chance could explain which is best: it leads by {low} to {high} points")
