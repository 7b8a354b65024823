"""A benchmark of many small clusters, and a run of it that stops by its rule."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orca_guard.host import Host
from orca_guard.items import ACCURACY, Item
from orca_guard.plan import BenchmarkTable, Request
from orca_guard.testing.known import KnownModel, known_models
from orca_guard.types import Question
from tests.auditing import ITEMS, arm, host, request

CLUSTERS = 140


def _drawn(text: str) -> int:
    return hashlib.sha256(text.encode()).digest()[0]


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Sums in groups of one to three. Members as in `orca_guard.contracts.Benchmark`."""

    clusters: int = CLUSTERS
    name: str = "flow"
    summary: str = "sums, in groups"
    kind: str = "question"
    scoring: str = "match"
    version: str = "1"
    metrics: tuple[Any, ...] = (replace(ACCURACY, by=("size",)),)

    def files(self, _data: Path | None, /) -> Mapping[str, Path]:
        return {"flow.txt": Path(__file__)}

    def items(self, _files: Mapping[str, Path], /) -> Sequence[Item]:
        return [
            Item(
                id=f"{n}-{part}",
                question=replace(Question.of(f"What is {n} + {part}?"), form="number"),
                gold=(str(n + part),),
                cluster=f"sum {n}" if n % 3 else "",
                groups={"size": "odd" if n % 2 else "even"},
            )
            for n in range(self.clusters)
            for part in range(1 + n % 3)
        ]


FLOW = Sums()
GATES = (
    {"benchmark": "flow", "metric": "accuracy", "at_least": 0.75, "sequential": True},
    {"benchmark": "basics-choices", "metric": "accuracy", "at_least": 0.05},
)


def models() -> dict[str, KnownModel]:
    """One that is nearly always right, one that often is not, and one about which it is hard to tell."""
    oracle = known_models([*FLOW.items({}), *ITEMS])["oracle"]

    def worse(name: str, of: int) -> KnownModel:
        return replace(oracle, name=name, writes=lambda p: "-1" if _drawn(name + p) < of else oracle.writes(p))

    return {"good": worse("good", 10), "poor": worse("poor", 128), "middling": worse("middling", 64)}


def by(flow: Sums = FLOW) -> Host:
    """Where models and benchmark are found."""
    return host(models(), benchmarks=[flow])


def stopping(*names: str, gates: Sequence[Mapping[str, Any]] = GATES, unit: int = 4, **settings: Any) -> Request:
    """An audit of these models."""
    tables = (BenchmarkTable(name="flow"), BenchmarkTable(name="basics-choices", limit=12))
    arms = map(arm, names or ("good", "poor"))
    return request(*arms, benchmarks=tables, unit=unit, gates=tuple(map(dict, gates)), nonce="n", **settings)
