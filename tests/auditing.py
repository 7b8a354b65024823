"""Audits of models whose answers are known, for every test that needs a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from orca_guard.audit import Audit, Rank, begin, close, run
from orca_guard.configuration import default, overridden
from orca_guard.contracts import API_VERSION
from orca_guard.freezing import freeze
from orca_guard.hookspecs import hookimpl
from orca_guard.host import Host
from orca_guard.journal.bundle import RunStore
from orca_guard.plan import Arm, AuditTable, BenchmarkTable, Request
from orca_guard.testing.known import KnownLoader, KnownModel, known_models
from orca_guard_basics.benchmark import CHOICES, QUESTIONS

ITEMS = [item for benchmark in (QUESTIONS, CHOICES) for item in benchmark.items(benchmark.files(None))]
MODELS = known_models(ITEMS)


def plugin(**provided: Sequence[Any]) -> ModuleType:
    """A plugin that provides these things."""
    module = ModuleType("extra")
    module.ORCA_GUARD_API = API_VERSION  # type: ignore[attr-defined]
    for hook, items in provided.items():
        setattr(module, hook, _providing(items))
    return module


def _providing(items: Sequence[Any]) -> Any:
    def provide() -> Sequence[Any]:
        return items

    return hookimpl(provide)


def host(models: Mapping[str, KnownModel] = MODELS, **provided: Sequence[Any]) -> Host:
    """The installed plugins, known models, and whatever else."""
    return Host(extra={"known": plugin(models=[KnownLoader(models=models)], **provided)})


def arm(name: str = "oracle", *, model: str = "", **overrides: Any) -> Arm:
    """A pipeline around a known model, which is called like the arm if not said otherwise."""
    return Arm(name, overridden(default(), **{"model": f"known:{model or name}", "strategy": "direct", **overrides}))


def request(*arms: Arm, limit: int | None = None, unit: int = 4, **settings: Any) -> Request:
    """An audit by the small benchmark."""
    benchmarks = settings.pop("benchmarks", (BenchmarkTable(name="basics", limit=limit),))
    return Request(table=AuditTable(benchmarks=benchmarks, unit=unit, **settings), arms=arms or (arm(),))


def begun(asked: Request, folder: Path, *, name: str = "run", by: Host | None = None) -> Audit:
    """Its plan in a folder of its own."""
    return begin(asked, freeze(asked, by or host()), store=RunStore(folder), name=name)


def audited(asked: Request, folder: Path, *, name: str = "run", by: Host | None = None) -> tuple[Audit, dict[str, Any]]:
    """The audit, done and sealed, and its seal."""
    found = by or host()
    audit = begun(asked, folder, name=name, by=found)
    run(audit, found, place=Rank(), told=lambda _unit, _records: None)
    sealed = close(audit, place=Rank())
    assert sealed is not None, "the first process seals"
    return audit, sealed


def figures(seal: Mapping[str, Any]) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    """Of each benchmark's first metric, by benchmark, subject and group."""
    return {(f["benchmark"], f["subject"], f["group"]): f for f in reversed(seal["figures"])}
