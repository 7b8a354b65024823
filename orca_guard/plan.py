"""The audit file and its flags: what is to be measured, checked before anything is looked up."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from orca_guard import configuration
from orca_guard.configuration import ModelTable, PipelineTable, Table
from orca_guard.errors import BadInput

FORMAT = 1
LARGEST_UNIT = 4096


class BenchmarkTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[benchmarks]]`: one of them, or all of one plugin.

    Attributes:
        name: of a benchmark, or of a plugin that provides some.
        limit: most items; absent is all.
    """

    name: str
    limit: int | None = None


class ArmTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[arms]]`: a pipeline under a name.

    Attributes:
        name: in records and reports.
        pipeline: path of a pipeline file, from the audit file's folder; absent is the default pipeline.
        model: instead of the pipeline's.
        strategy: the only one.
        system: replaces every strategy's system message.
        guards: false turns all of them off.
    """

    name: str
    pipeline: str = ""
    model: str | None = None
    strategy: str | None = None
    system: str | None = None
    guards: bool = True


class JudgeTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[judges]]`: who judges answers by a rubric. One of `model`, `guard` and `classifier` is there.

    Attributes:
        rubric: which; empty is every rubric that no other table names, and that has no judge of its own.
        model: as a pipeline's model, or just its name.
        guard: a guard or scorer plugin: a hit at its threshold is a verdict.
        classifier: directory or hub id of a sequence classifier that reads question and answer as a pair.
        label: of that classifier: the one whose score is held against the threshold.
        threshold: of guard or classifier; absent is the guard's own, or 0.5.
        options: of the guard.
    """

    rubric: str = ""
    model: str | ModelTable = ""
    guard: str = ""
    classifier: str = ""
    label: str = ""
    threshold: float | None = None
    options: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def who(self) -> str:
        """For people."""
        model = self.model if isinstance(self.model, str) else self.model.name
        return model or (f"guard:{self.guard}" if self.guard else f"classifier:{self.classifier}")

    @classmethod
    def of(cls, text: str) -> JudgeTable:
        """What `--judge [RUBRIC=]MODEL`, `guard:NAME` or `classifier:DIR#LABEL` says."""
        found = _JUDGE.fullmatch(text)
        assert found is not None, "the pattern takes any text"
        rubric, who = found["rubric"] or "", found["who"]
        kind, _, name = who.partition(":")
        if kind == "classifier":
            name, _, label = name.partition("#")
            return cls(rubric=rubric, classifier=name, label=label)
        return cls(rubric=rubric, guard=name) if kind == "guard" else cls(rubric=rubric, model=who)


_JUDGE = re.compile(r"(?:(?P<rubric>[a-z][a-z0-9-]*)=)?(?P<who>.*)", re.DOTALL)


class AuditTable(Table, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An audit file.

    Attributes:
        format: of the file.
        name: of the audit, for people.
        nonce: somebody else's random text: it decides which items come first, and stands in the plan.
        seed: decides the same where there is no nonce.
        unit: most items that are recorded together; what is cut short is done again from the last unit.
        data: folder of the benchmarks' data.
        training_data: folder of texts that a model was trained on: items that share words with them are told apart.
        benchmarks: what is measured.
        arms: under which pipelines.
        judges: who judges answers, where a benchmark wants that.
        gates: what must hold: see `gates.py`.
        policies: more gates: names of shipped policies, or paths of files that end in `.toml`, from the audit file's
            folder.
        requires: distributions that must be there, as `name==version`, perhaps with ` sha256:…`.
        sound_guards: guards that every arm must have, with an operating point that says they tell enough apart.
    """

    format: int = FORMAT
    name: str = ""
    nonce: str = ""
    seed: int = 0
    unit: int = 16
    data: str = ""
    training_data: str = ""
    benchmarks: tuple[BenchmarkTable, ...] = ()
    arms: tuple[ArmTable, ...] = ()
    judges: tuple[JudgeTable, ...] = ()
    gates: tuple[dict[str, Any], ...] = ()
    policies: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    sound_guards: tuple[str, ...] = ()


_TABLES: Mapping[str, type[msgspec.Struct]] = {
    "benchmarks": BenchmarkTable,
    "arms": ArmTable,
    "judges": JudgeTable,
}


@dataclass(frozen=True, slots=True)
class Arm:
    """A pipeline that is audited, under a name."""

    name: str
    table: PipelineTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An audit as it was asked for: nothing in it points to another file but models and data.

    Attributes:
        table: the audit file.
        arms: its arms with their pipelines.
    """

    table: AuditTable
    arms: tuple[Arm, ...]


def read(path: Path) -> Request:
    """The audit in a file, with the pipeline files it names.

    Raises:
        BadInput: one of them cannot be read, has an unknown key or a value out of range.
    """
    text = configuration.read_text(path, what="audit file")
    table = checked(configuration.decode(text, AuditTable, _TABLES, source=str(path)), source=str(path))
    arms = table.arms or (ArmTable(name="default"),)
    policies = tuple(str(path.parent / name) if name.endswith(".toml") else name for name in table.policies)
    gates = tuple(_beside(gate, path.parent) for gate in table.gates)
    table = msgspec.structs.replace(table, policies=policies, gates=gates)
    return Request(table=table, arms=tuple(_arm(arm, path.parent) for arm in arms))


def _beside(gate: dict[str, Any], folder: Path) -> dict[str, Any]:
    run = gate.get("baseline_run")
    return {**gate, "baseline_run": str(folder / run)} if isinstance(run, str) and run else gate


def of_flags(pipeline: PipelineTable, *, suites: Sequence[str], limit: int | None, **settings: Any) -> Request:
    """An audit of one pipeline. `settings` are keys of `AuditTable`; None leaves the default."""
    given = {key: value for key, value in settings.items() if value is not None}
    benchmarks = tuple(BenchmarkTable(name=name, limit=limit) for name in suites)
    table = checked(AuditTable(benchmarks=benchmarks, **given), source="the options")
    return Request(table=table, arms=(Arm("default", pipeline),))


def changed(request: Request, *, limit: int | None = None, model: Mapping[str, Any], **settings: Any) -> Request:
    """The request with what flags say: a limit over all benchmarks, settings, and keys of every arm's model."""
    given = {key: value for key, value in settings.items() if value is not None}
    benchmarks = tuple(_limited(benchmark, limit) for benchmark in request.table.benchmarks)
    table = msgspec.structs.replace(request.table, benchmarks=benchmarks, **given)
    arms = tuple(Arm(arm.name, configuration.overridden(arm.table, **model)) for arm in request.arms)
    return Request(table=checked(table, source="the options"), arms=arms)


def checked(table: AuditTable, *, source: str) -> AuditTable:
    """The table itself, if what is in it makes sense. Raises `BadInput`."""
    limits = [b.limit for b in table.benchmarks if b.limit is not None]
    names = [arm.name for arm in table.arms]
    rules = (
        ("format", table.format == FORMAT, f"is {table.format}; this version reads format {FORMAT}"),
        ("benchmarks", bool(table.benchmarks), "is empty; name at least one"),
        ("benchmarks.limit", all(limit >= 1 for limit in limits), "must be 1 or more"),
        ("benchmarks", len({b.name for b in table.benchmarks}) == len(table.benchmarks), "names one twice"),
        ("arms", len(set(names)) == len(names), f"names one twice: {', '.join(sorted(names))}"),
        ("arms.name", all(name and name.isprintable() for name in names), "must be a printable text"),
        ("judges", all(_judges(judge) == 1 for judge in table.judges), "has one of model, guard and classifier each"),
        ("judges", len({j.rubric for j in table.judges}) == len(table.judges), "names one rubric twice"),
        ("judges.label", all(j.label for j in table.judges if j.classifier), "says what a classifier's hit is called"),
        ("policies", len(set(table.policies)) == len(table.policies), "names one twice"),
        ("unit", 1 <= table.unit <= LARGEST_UNIT, f"must be between 1 and {LARGEST_UNIT}"),
        ("seed", 0 <= table.seed < 2**53, "must be between 0 and 2**53 - 1"),
    )
    for key, good, wanted in rules:
        if not good:
            raise BadInput(f"{source}: {key} {wanted}")
    return table


def _judges(table: JudgeTable) -> int:
    model = table.model if isinstance(table.model, str) else table.model.name
    return sum(map(bool, (model, table.guard, table.classifier)))


def request_json(request: Request) -> bytes:
    """The request as a run keeps it, to go on with."""
    return msgspec.json.format(msgspec.json.encode(request), indent=1) + b"\n"


def request_of(data: bytes, *, source: str) -> Request:
    """The request that `request_json` wrote. Raises `BadInput`."""
    try:
        return msgspec.json.decode(data, type=Request)
    except msgspec.MsgspecError as error:
        raise BadInput(f"{source} is not what an audit wrote: {error}") from error


def _arm(arm: ArmTable, folder: Path) -> Arm:
    table = configuration.read(folder / arm.pipeline) if arm.pipeline else configuration.default()
    off = () if arm.guards else [guard.name for guard in configuration.guards_of(table)]
    table = configuration.overridden(
        table, strategy=arm.strategy, system=arm.system, no_guards=off, model=arm.model or table.model.name
    )
    return Arm(arm.name, table)


def _limited(benchmark: BenchmarkTable, limit: int | None) -> BenchmarkTable:
    return benchmark if limit is None else msgspec.structs.replace(benchmark, limit=limit)


MODEL_SETTINGS = frozenset({"model", *ModelTable.__struct_fields__} - {"name"})
"""Flags that change the model of every arm."""
