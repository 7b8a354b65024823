"""Packs: items of a benchmark as JSONL, a row an item, so that gold can be read without the benchmark's plugin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from orca_guard.errors import BadInput, suggest
from orca_guard.items import Item
from orca_guard.rows import KEYS, question_of
from orca_guard.types import Score

_ITEM_KEYS = ("gold", "labels", "cluster", "groups")
_SCORE_KEYS = ("id", "context", "continuations")


def read_pack(path: Path) -> list[Item]:
    """Every item of a pack.

    A row is a question as `run --file` takes it, or `context` with `continuations`; and with either `gold` (a text or
    a list of texts; of continuations a number from 0 or a list of them), and perhaps `labels` (an object of the same),
    `cluster` and `groups`.

    Raises:
        BadInput: it cannot be read, or a row is no item; its line is named.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    return [_item(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _item(line: bytes, where: str) -> Item:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: not valid JSON: {error}") from error
    if not isinstance(row, dict):
        raise BadInput(f"{where}: not an object")
    try:
        return _score(row) if "continuations" in row else _question(row)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from error


def _question(row: Mapping[str, Any]) -> Item:
    fields = {key: value for key, value in row.items() if key not in _ITEM_KEYS}
    _check_keys(fields, KEYS)
    name = _id(row)
    return Item(id=name, question=question_of(fields, id=name), **_shared(row))


def _score(row: Mapping[str, Any]) -> Item:
    fields = {key: value for key, value in row.items() if key not in _ITEM_KEYS}
    _check_keys(fields, _SCORE_KEYS)
    continuations = row["continuations"]
    if (
        not isinstance(continuations, list)
        or not continuations
        or not all(isinstance(c, str) and c for c in continuations)
    ):
        raise BadInput("continuations is a list of texts, none of them empty")
    context = row.get("context", "")
    if not isinstance(context, str):
        raise BadInput("context is a text")
    shared = _shared(row)
    values = [*shared["gold"], *chain.from_iterable(shared["labels"].values())]
    if not all(value.isdigit() and int(value) < len(continuations) for value in values):
        raise BadInput(f"gold is the number of a continuation, from 0 to {len(continuations) - 1}")
    return Item(id=_id(row), request=Score(context=context, continuations=tuple(continuations)), **shared)


def _shared(row: Mapping[str, Any]) -> dict[str, Any]:
    labels, groups = row.get("labels", {}), row.get("groups", {})
    if not isinstance(labels, dict):
        raise BadInput("labels is an object of texts, whole numbers, or lists of them")
    if not isinstance(groups, dict) or not all(isinstance(value, str) for value in groups.values()):
        raise BadInput("groups is an object of texts")
    return {
        "gold": _values(row.get("gold", []), "gold"),
        "labels": {label: _values(values, f"label {label!r}") for label, values in labels.items()},
        "cluster": str(row.get("cluster", "")),
        "groups": groups,
    }


def _values(given: Any, what: str) -> tuple[str, ...]:
    listed = given if isinstance(given, list) else [given]
    if not all(isinstance(value, str | int) and not isinstance(value, bool) for value in listed):
        raise BadInput(f"{what} is a text, a whole number, or a list of them")
    return tuple(map(str, listed))


def _id(row: Mapping[str, Any]) -> str:
    name = row.get("id")
    if not isinstance(name, str | int) or isinstance(name, bool) or not str(name):
        raise BadInput("an item has an id")
    return str(name)


def _check_keys(fields: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in fields:
        if key not in known:
            raise BadInput(f"unknown key {key!r}{suggest(key, (*known, *_ITEM_KEYS))}")
