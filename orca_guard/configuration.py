"""The pipeline file: TOML that fixes model, selector, strategies, guards, decoding and limits."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from orca_guard.errors import BadInput, UnknownName, suggest

FORMAT = 1
S = TypeVar("S", bound=msgspec.Struct)


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table whose unknown keys are errors."""


class ModelTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[model]`: see `contracts.ModelSpec` for what each key means.

    `name` is a model that comes with a plugin, `LOADER:REFERENCE`, a directory, a hub id or a server's address.
    """

    name: str = "nano"
    adapter: str = ""
    profile: str = ""
    revision: str = ""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device_map: str | dict[str, str | int] = ""
    max_memory: dict[str, str | int] = {}
    offload_dir: str = ""
    batch_size: int = 16
    offline: bool = False
    trust_remote_code: bool = False
    options: dict[str, Any] = {}


class SelectorTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[selector]`: how a strategy is picked."""

    name: str = "fixed"
    options: dict[str, Any] = {}


class GuardTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[guards]]`: one guard, in the order in which guards are asked.

    Attributes:
        name: of the guard.
        threshold: its operating point; absent leaves the guard's own.
        action: what a hit leads to; absent leaves the guard's own.
        operating_point: file that `orca-guard guards calibrate` wrote: its threshold, and the evidence for it.
        on_error: what happens when it cannot judge.
        timeout_s: seconds it may take for one batch.
        isolate: whether it runs in a process of its own, which can be killed; absent leaves that to where the pipeline
            is used: in audits, guards of other distributions do.
        options: what only this guard understands.
    """

    name: str
    threshold: float | None = None
    action: Literal["warn", "redact", "revise", "abstain", "block"] | None = None
    operating_point: str = ""
    on_error: Literal["block", "abstain", "allow"] = "block"
    timeout_s: float = 10.0
    isolate: bool | None = None
    options: dict[str, Any] = {}


class DecodingTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[decoding]`: see `types.Decoding`."""

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()
    seed: int = 0


class LimitsTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[limits]`: over all passes, guards and attempts of one question.

    Attributes:
        deadline_s: seconds from the first pass to the answer.
        new_tokens: tokens generated.
        retries: further attempts after guards let none through, where the selector escalates.
    """

    deadline_s: float = 600.0
    new_tokens: int = 4096
    retries: int = 1


class PipelineTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. Without the key `guards` the default guards stand; `guards = []` is a pipeline without any.

    Attributes:
        format: of the file.
        guards_off: guards that were turned off on purpose; every answer says so.
        strategies: what the selector may pick, in order of preference.
        system: replaces every strategy's system message; absent leaves them their own.
    """

    format: int = FORMAT
    strategies: tuple[str, ...] = ("cautious",)
    system: str | None = None
    model: ModelTable = ModelTable()
    selector: SelectorTable = SelectorTable()
    guards: tuple[GuardTable, ...] | msgspec.UnsetType = msgspec.UNSET
    guards_off: tuple[str, ...] = ()
    decoding: DecodingTable = DecodingTable()
    limits: LimitsTable = LimitsTable()


def default() -> PipelineTable:
    """The pipeline that comes with orca-guard."""
    return parse(files("orca_guard").joinpath("pipeline.toml").read_text("utf-8"), source="the default pipeline")


def read(path: Path) -> PipelineTable:
    """The pipeline in a file.

    Raises:
        BadInput: it cannot be read, is no TOML, has an unknown key or a value out of range.
    """
    return parse(read_text(path, what="pipeline file"), source=str(path))


def read_text(path: Path, *, what: str) -> str:
    """The text of a file that is `what`. Raises `BadInput`."""
    try:
        return path.read_text("utf-8-sig")  # some editors begin a file with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the {what} {path}: {getattr(error, 'strerror', None) or error}") from error


def parse(text: str, *, source: str) -> PipelineTable:
    """The pipeline in a text; `source` names it in errors."""
    table = decode(text, PipelineTable, _TABLES, source=source)
    return validated(table, source=source)


def decode(text: str, into: type[S], tables: Mapping[str, type[msgspec.Struct]], *, source: str) -> S:
    """TOML as a struct; an unknown key is an error with its path and a suggestion.

    Args:
        text: the TOML.
        into: the struct of the whole file.
        tables: the structs of its tables, by their paths.
        source: names the file in errors.
    """
    try:
        return msgspec.convert(tomllib.loads(text), into)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{source} is not valid TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise BadInput(f"{source}: {_explained(str(error), {'': into, **tables})}") from error


def guards_of(table: PipelineTable) -> tuple[GuardTable, ...]:
    """The guards, in order: the default ones where the table says nothing."""
    return guards_of(default()) if isinstance(table.guards, msgspec.UnsetType) else table.guards


def validated(table: PipelineTable, *, source: str) -> PipelineTable:
    """The table itself, if every number in it makes sense. Raises `BadInput`."""
    for key, good, wanted in _rules(table):
        if not good:
            raise BadInput(f"{source}: {key} {wanted}")
    return table


def _rules(t: PipelineTable) -> Sequence[tuple[str, bool, str]]:
    d, limits = t.decoding, t.limits
    guards = guards_of(t)
    names = [guard.name for guard in guards]
    return (
        ("format", t.format == FORMAT, f"is {t.format}; this version reads format {FORMAT}"),
        ("strategies", bool(t.strategies), "is empty; name at least one"),
        (
            "strategies",
            len({*t.strategies}) == len(t.strategies),
            f"names one twice: {', '.join(sorted(t.strategies))}",
        ),
        ("decoding.max_new_tokens", 1 <= d.max_new_tokens <= 1_000_000, "must be between 1 and 1000000"),  # noqa: PLR2004
        ("decoding.temperature", 0 <= d.temperature <= 100, "must be between 0 and 100"),  # noqa: PLR2004
        ("decoding.top_p", 0 < d.top_p <= 1, "must be above 0 and at most 1"),
        ("decoding.top_k", d.top_k >= 0, "must be 0 or more"),
        ("decoding.seed", 0 <= d.seed < 2**63, "must be between 0 and 2**63 - 1"),
        ("decoding.stop", all(d.stop), "holds an empty string"),
        ("limits.deadline_s", 0 < limits.deadline_s < float("inf"), "must be above 0"),
        ("limits.new_tokens", limits.new_tokens >= 1, "must be 1 or more"),
        ("limits.retries", limits.retries >= 0, "must be 0 or more"),
        ("model.batch_size", t.model.batch_size >= 1, "must be 1 or more"),
        ("guards", len(set(names)) == len(names), f"names one twice: {', '.join(sorted(names))}"),
        ("guards_off", not set(names) & set(t.guards_off), "and the guards that are on name the same one"),
        ("guards.timeout_s", all(0 < g.timeout_s < float("inf") for g in guards), "must be above 0"),
        (
            "guards.operating_point",
            not any(g.operating_point and g.threshold is not None for g in guards),
            "has a threshold of its own: leave out threshold",
        ),
        ("guards.threshold", all(_finite(g.threshold) for g in guards), "must be a finite number"),
    )


def _finite(number: float | None) -> bool:
    return number is None or abs(number) < float("inf")


def _explained(message: str, tables: Mapping[str, type[msgspec.Struct]]) -> str:
    """The decoder's message, with a suggestion where it names an unknown key or a value that is none of a few."""
    match = re.match(r"Object contains unknown field `(.*?)`(?: - at `\$(.*?)`)?", message)
    if not match:
        return message.replace("`$.", "`").replace("`$`", "the file") + _values(message, tables)
    key, path = match[1], (match[2] or "").lstrip(".")
    table = tables.get(re.sub(r"\[.*?\]", "", path), tables[""])
    where = f"{path}.{key}" if path else key
    return f"unknown key {where!r}{suggest(key, table.__struct_fields__)}"


def _values(message: str, tables: Mapping[str, type[msgspec.Struct]]) -> str:
    """What a key takes, where the decoder's message says that a value is none of them."""
    match = re.match(r"Invalid enum value '?(.*?)'? - at `\$\.(.*)`", message)
    if not match:
        return ""
    path, _, key = re.sub(r"\[.*?\]", "", match[2]).rpartition(".")
    choices = _choices(get_type_hints(tables[path]).get(key)) if path in tables else []
    return suggest(match[1], choices) if choices else ""


def _choices(kind: Any) -> list[str]:
    """Every literal in a type."""
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    return [choice for part in get_args(kind) for choice in _choices(part)]


_TABLES: dict[str, type[msgspec.Struct]] = {
    "model": ModelTable,
    "selector": SelectorTable,
    "guards": GuardTable,
    "decoding": DecodingTable,
    "limits": LimitsTable,
}


def overridden(
    table: PipelineTable,
    *,
    strategy: str | None = None,
    selector: str | None = None,
    system: str | None = None,
    guards: Sequence[str] = (),
    no_guards: Sequence[str] = (),
    **settings: Any,
) -> PipelineTable:
    """The table with single things changed, as flags and keyword arguments do it.

    Args:
        table: what is changed.
        strategy: the only strategy.
        selector: name of the selector.
        system: replaces every strategy's system message.
        guards: `NAME` or `NAME=THRESHOLD`, added at the end or changed in place.
        no_guards: turned off; every answer says so.
        settings: any key of `[model]` (`model` for its name), `[decoding]` or `[limits]`; None changes nothing.

    Raises:
        BadInput: something is not known, not of its type, or out of its range.
    """
    _check_names(guards=guards, no_guards=no_guards)
    changes: dict[str, Any] = {
        "strategies": (strategy,) if strategy else table.strategies,
        "system": table.system if system is None else system,
        "selector": SelectorTable(name=selector) if selector else table.selector,
    }
    for name, value in settings.items():
        if value is not None:
            field, key = _home_of(name)
            changes[field] = msgspec.structs.replace(changes.get(field, getattr(table, field)), **{key: value})
    table = _without(msgspec.structs.replace(table, **changes), no_guards)
    for text in guards:
        table = _with_guard(table, text)
    return validated(_typed(table), source="the options")


def _check_names(**given: object) -> None:
    """A text is a sequence of texts too, and a mapping one of its keys: neither is what was meant."""
    for option, names in given.items():
        if isinstance(names, str | Mapping) or not isinstance(names, Sequence):
            raise BadInput(f'{option} is a list of names, as in {option}=["toxicity"], not {names!r:.60}')
        for name in names:
            if not isinstance(name, str):
                raise BadInput(f"{option} holds texts, not {name!r:.60}")


def _typed(table: PipelineTable) -> PipelineTable:
    """The table again, with every value held against its type: changing a struct checks nothing."""
    try:
        return msgspec.convert(msgspec.to_builtins(table, enc_hook=os.fspath), PipelineTable)
    except msgspec.ValidationError as error:
        raise BadInput(f"the options: {_explained(str(error), {'': PipelineTable, **_TABLES})}") from error
    except TypeError as error:
        raise BadInput(f"the options hold something that no pipeline file could: {error}") from error


def _home_of(name: str) -> tuple[str, str]:
    if name == "model":
        return "model", "name"
    for field, struct in (("model", ModelTable), ("decoding", DecodingTable), ("limits", LimitsTable)):
        if name in struct.__struct_fields__ and name not in {"name", "options"}:
            return field, name
    fields = (*ModelTable.__struct_fields__, *DecodingTable.__struct_fields__, *LimitsTable.__struct_fields__)
    known = {"model", *fields} - {"name", "options"}
    raise BadInput(f"there is no setting {name!r}{suggest(name, known)}")


def _with_guard(table: PipelineTable, text: str) -> PipelineTable:
    name, sign, number = text.partition("=")
    try:
        threshold = float(number) if sign else None
    except ValueError:
        raise BadInput(f"guard {name!r}: {number!r} is no threshold; write {name}=0.5") from None
    guards = list(guards_of(table))
    at = next((i for i, guard in enumerate(guards) if guard.name == name), None)
    if at is None:
        guards.append(GuardTable(name=name, threshold=threshold))
    elif threshold is not None:
        guards[at] = msgspec.structs.replace(guards[at], threshold=threshold)
    return msgspec.structs.replace(table, guards=tuple(guards))


def _without(table: PipelineTable, names: Sequence[str]) -> PipelineTable:
    guards = guards_of(table)
    for name in names:
        if name not in {guard.name for guard in guards}:
            raise UnknownName("guard of this pipeline", name, [guard.name for guard in guards])
    return msgspec.structs.replace(
        table,
        guards=tuple(guard for guard in guards if guard.name not in names),
        guards_off=tuple(dict.fromkeys((*table.guards_off, *names))),
    )
