"""The options of a command that asks a model again about what it is recorded to have said."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orca_guard.cli.run import from_json

if TYPE_CHECKING:
    from orca_guard.configuration import ModelTable
    from orca_guard.host import Host
    from orca_guard.verify import Check


def replay_options(command: Any) -> Any:
    """`--replay` and what goes with it."""
    for option in reversed(
        (
            click.option("--replay", "count", type=click.IntRange(1), metavar="N", help="Ask a model about N records."),
            click.option("--model", "models", multiple=True, metavar="[NAME=]MODEL", help="With --replay: which."),
            click.option("--adapter", metavar="DIR", help="With --replay: on top of the model."),
            click.option("--profile", metavar="NAME|FILE", help="With --replay: of the model family."),
            click.option("--device-map", metavar="MAP", help="With --replay: where layers lie."),
            click.option("--nonce", metavar="TEXT", help="With --replay: draws the records; new if not given."),
            click.option("--trust-options", "trusting", is_flag=True, help="With --replay: the run's own, of guards."),
        )
    ):
        command = option(command)
    return command


def check_options(*, count: int | None, models: tuple[str, ...], trusting: bool, **others: str | None) -> None:
    """Raise `click.UsageError` for options that do not go together."""
    if count and not models:
        raise click.UsageError("--replay asks a model: say which with --model; the run's own word for it is not taken")
    given = [
        name.replace("_", "-")
        for name, value in {"model": models, "trust-options": trusting, **others}.items()
        if value
    ]
    if given and not count:
        raise click.UsageError(f"--{given[0]} goes with --replay")


def replayed(
    folder: Path, host: Host, *, count: int, models: tuple[str, ...], nonce: str | None, trusting: bool, **settings: Any
) -> Check:
    """What the model says of records drawn from a run."""
    from orca_guard.cli.auditing import following  # noqa: PLC0415  # not needed for help
    from orca_guard.journal.bundle import Bundle  # noqa: PLC0415
    from orca_guard.replay import replay  # noqa: PLC0415

    names = [model["name"] for model in Bundle(folder).read_plan()["models"]]
    places = _places(names, models, settings)
    with following() as told:
        asked: Any = {"count": count, "nonce": nonce or secrets.token_hex(16), "models": places, "trusting": trusting}
        return replay(folder, host, told=told, **asked)


def _places(names: list[str], given: Iterable[str], settings: Mapping[str, Any]) -> dict[str, ModelTable]:
    """Where each of the plan's models lies here."""
    from orca_guard.configuration import ModelTable  # noqa: PLC0415  # as above

    more = {key: value for key, value in from_json(settings).items() if value}
    found = {}
    for text in given:
        name, mark, place = text.partition("=")
        if mark and name in names:
            found[name] = ModelTable(name=place, **more)
        elif len(names) == 1:
            found[names[0]] = ModelTable(name=text, **more)
        else:
            raise click.UsageError(f"the plan has {', '.join(names)}: say which, as in --model {names[0]}=DIR")
    return found
