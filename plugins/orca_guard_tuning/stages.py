"""The stages file: what a model is trained on, in which order and how, as TOML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from orca_guard.configuration import Table, decode, read_text
from orca_guard.errors import BadInput
from orca_guard_tuning.schedule import Shape

FORMAT = 1


class StageTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[stages]]`: one stage, in the order in which they are gone through.

    Attributes:
        name: of the stage.
        data: files of triples, beside the stages file or by their whole path.
        epochs: how often every triple is seen.
        rate: the highest learning rate.
        length: most tokens of a row. Triples are packed into rows; one that is longer is left out, and counted.
        rows: of one step, over all processes.
        warmup: share of the steps in which the rate rises.
        schedule: how it falls then.
        decay: weight decay of the matrices.
    """

    name: str
    data: tuple[str, ...]
    rate: float
    epochs: int = 1
    length: int = 1024
    rows: int = 8
    warmup: float = 0.03
    schedule: Shape = "cosine"
    decay: float = 0.0


class StagesTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file.

    Attributes:
        format: of the file.
        start: the model that training starts from: a directory, a hub id, or a model that comes with a plugin.
        revision: of a hub id.
        stages: in order.
        seed: of everything that is left to chance.
        template: `own` is the tokenizer's chat template; `chatml` gives ChatML to one that has none.
        precision: of the computation; weights are kept in float32 meanwhile. `auto` is bfloat16 where an accelerator
            computes in it.
        rows_at_once: rows in one forward of one process: more are faster and need more memory.
        clip: most that the norm of all gradients may be.
        held_out: files of triples that are never trained on; their loss is told after every stage.
        name: of the model, for its card.
        licence: of the model, for its card.
        description: what it is for, for its card.
        limits: what it must not be relied on for, for its card.
    """

    start: str
    stages: tuple[StageTable, ...]
    format: int = FORMAT
    revision: str = ""
    seed: int = 0
    template: Literal["own", "chatml"] = "own"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    rows_at_once: int = 1
    clip: float = 1.0
    held_out: tuple[str, ...] = ()
    name: str = ""
    licence: str = ""
    description: str = ""
    limits: tuple[str, ...] = ()


def read_stages(path: Path) -> StagesTable:
    """The stages in a file, with the paths of their data put right.

    Raises:
        BadInput: it cannot be read, is no TOML, has an unknown key or a value out of range.
    """
    text = read_text(path, what="stages file")
    table = decode(text, StagesTable, {"stages": StageTable}, source=str(path))
    for key, good, wanted in _rules(table):
        if not good:
            raise BadInput(f"{path}: {key} {wanted}")
    return _placed(table, path.parent)


def _rules(table: StagesTable) -> Iterator[tuple[str, bool, str]]:
    names = [stage.name for stage in table.stages]
    yield "format", table.format == FORMAT, f"is {table.format}; this version reads format {FORMAT}"
    yield "start", bool(table.start.strip()), "is empty; name a directory, a hub id or a model"
    yield "stages", bool(names), "is empty; describe at least one"
    yield "stages.name", len(set(names)) == len(names), f"names one twice: {', '.join(sorted(names))}"
    yield "seed", 0 <= table.seed < 2**32, "must be between 0 and 2**32 - 1"
    yield "rows_at_once", table.rows_at_once >= 1, "must be 1 or more"
    yield "clip", 0 < table.clip < float("inf"), "must be above 0"
    for stage in table.stages:
        where = f"stage {stage.name!r}:"
        yield f"{where} data", bool(stage.data), "is empty; name at least one file"
        yield f"{where} rate", 0 < stage.rate < float("inf"), "must be above 0"
        yield f"{where} epochs", stage.epochs >= 1, "must be 1 or more"
        yield f"{where} length", stage.length >= 2, "must be 2 or more"  # noqa: PLR2004  # a prompt and an answer
        yield f"{where} rows", stage.rows >= 1, "must be 1 or more"
        yield f"{where} warmup", 0 <= stage.warmup <= 1, "must be between 0 and 1"
        yield f"{where} decay", 0 <= stage.decay < float("inf"), "must be 0 or more"


def _placed(table: StagesTable, folder: Path) -> StagesTable:
    """With every path as it is seen from here."""

    def here(paths: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(folder / Path(path).expanduser()) for path in paths)

    stages = tuple(msgspec.structs.replace(stage, data=here(stage.data)) for stage in table.stages)
    start = table.start
    if start.startswith((".", "~")) or (folder / start).is_dir():
        start = str(folder / Path(start).expanduser())
    return msgspec.structs.replace(table, stages=stages, held_out=here(table.held_out), start=start)


def settings(table: StagesTable) -> dict[str, Any]:
    """What decides the result, without where files lie."""
    told: dict[str, Any] = msgspec.to_builtins(table)
    for key in ("held_out", "start"):
        told.pop(key, None)
    for stage in told["stages"]:
        del stage["data"]
    return told
