"""A request becomes a plan, or is refused with what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from orca_guard.errors import BadInput, DataAbsent, ModelFailed, OrcaGuardError, PluginFailed, UnknownName
from orca_guard.freezing import chosen, freeze
from orca_guard.items import ACCURACY, Item, Kind, Metric
from orca_guard.plan import BenchmarkTable
from orca_guard.types import Generate, Question, Score
from tests.auditing import ITEMS, MODELS, arm, host, request


@dataclass(frozen=True, kw_only=True)
class Bench:
    name: str = "mine"
    summary: str = ""
    version: str = "1"
    kind: Kind = "question"
    scoring: str = "match"
    metrics: tuple[Metric, ...] = (ACCURACY,)
    made: Any = (Item(id="a", question=Question.of("Who?", id="a"), gold=("me",)),)
    lacks: str = ""

    def files(self, _data: Path | None, /) -> Mapping[str, Path]:
        if self.lacks:
            raise DataAbsent(self.lacks)
        return {}

    def items(self, _files: Mapping[str, Path], /) -> Iterable[Item]:
        if isinstance(self.made, BaseException):
            raise self.made
        return list(self.made)


MINE = (BenchmarkTable(name="mine"),)


def test_a_plan_says_everything_and_hangs_on_nothing_else() -> None:
    first, second = (freeze(request(arm(), limit=4), host()) for _ in range(2))
    assert first.digest == second.digest
    assert first.items == second.items
    assert first.plan["records"] == 8
    assert [b["name"] for b in first.plan["benchmarks"]] == ["basics-choices", "basics-questions"]
    assert first.work.requests == 8


@pytest.mark.parametrize(
    "other",
    [
        request(arm(), limit=5),
        request(arm(), limit=4, seed=1),
        request(arm(), limit=4, nonce="8f2a"),
        request(arm(), limit=4, unit=8),
        request(arm("uniform"), limit=4),
        request(arm(seed=3), limit=4),
        request(arm(no_guards=["length"]), limit=4),
        request(arm(system="Be brief."), limit=4),
    ],
)
def test_whatever_matters_changes_the_plan(other: Any) -> None:
    assert freeze(other, host()).digest != freeze(request(arm(), limit=4), host()).digest


def test_the_order_hangs_on_nonce_and_ids_alone() -> None:
    items = [item for item in ITEMS if item.question]
    order = chosen(items, nonce="x", seed=0, limit=None)
    assert order == chosen(items[::-1], nonce="x", seed=5, limit=None)
    assert order != chosen(items, nonce="y", seed=0, limit=None)
    assert chosen(items, nonce="x", seed=0, limit=7) == order[:7]
    assert sorted(i.id for i in order) == sorted(i.id for i in items)


def test_what_does_not_fit_is_left_out_for_every_arm_and_named() -> None:
    models = {"short": replace(MODELS["uniform"], name="short", context=16), "oracle": MODELS["oracle"]}
    frozen = freeze(request(arm("short"), arm()), host(models))
    entry = next(b for b in frozen.plan["benchmarks"] if b["name"] == "basics-questions")
    assert entry["items"] + len(entry["not_covered"]) == 50
    assert 0 < entry["items"] < 50
    assert all("too many" in row["reason"] for row in entry["not_covered"])
    assert len(frozen.items.splitlines()) == frozen.plan["items"]["count"] == entry["items"] + 22


def test_absent_data_is_said_and_never_passes() -> None:
    frozen = freeze(
        request(arm(), benchmarks=(BenchmarkTable(name="basics-choices"), *MINE)),
        host(benchmarks=[Bench(lacks="mine.jsonl is not in data")]),
    )
    assert frozen.plan["absent"] == [{"benchmark": "mine", "reason": "mine.jsonl is not in data"}]


@pytest.mark.parametrize(
    ("asked", "bench", "error", "words"),
    [
        (request(benchmarks=MINE), Bench(lacks="no data"), DataAbsent, "nothing to run: mine: no data"),
        (request(benchmarks=MINE), Bench(made=()), OrcaGuardError, "has no items"),
        (request(benchmarks=MINE), Bench(made=ValueError("x")), PluginFailed, "'mine' failed: ValueError: x"),
        (request(benchmarks=MINE), Bench(made=SystemExit(0)), PluginFailed, "SystemExit"),
        (request(benchmarks=MINE), Bench(made=("text",)), PluginFailed, "made no question item of 'text'"),
        (request(benchmarks=MINE), Bench(made=Bench().made * 2), PluginFailed, "gives the id .* to 2 items"),
        (request(benchmarks=MINE), Bench(kind="score", scoring="likelihood"), PluginFailed, "made no score item"),
        (request(benchmarks=MINE), Bench(scoring="meteor"), PluginFailed, "a scoring rule 'meteor'"),
        (request(benchmarks=MINE), Bench(metrics=()), PluginFailed, "declares no metric"),
        (request(arm(), arm("b", model="oracle")), Bench(), BadInput, "arms 'oracle' and 'b' are the same"),
        (request(benchmarks=(BenchmarkTable(name="basic"),)), Bench(), UnknownName, "did you mean 'basics'"),
        (
            request(benchmarks=(BenchmarkTable(name="basics"), BenchmarkTable(name="basics-choices"))),
            Bench(),
            BadInput,
            "asked for twice",
        ),
        (request(arm(strategy="cautios")), Bench(), UnknownName, "arm 'oracle': unknown strategy"),
        (request(requires=("acme==1.0",)), Bench(), PluginFailed, "no plugin of acme is installed"),
        (request(requires=("orca-guard==99",)), Bench(), PluginFailed, "required is orca-guard==99"),
        (request(requires=("acme",)), Bench(), BadInput, "not a pin"),
        (request(gates=({"benchmark": "basics-choices", "at_least": 1},)), Bench(), BadInput, "metric"),
    ],
)
def test_what_cannot_succeed_is_refused(asked: Any, bench: Bench, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        freeze(asked, host(benchmarks=[bench]))


def test_a_model_that_cannot_be_asked_that_is_refused() -> None:
    silent = {"oracle": replace(MODELS["oracle"], requests=frozenset({Generate}))}
    needs = "gives no log-likelihoods, and benchmark 'basics-choices' needs that. Choose benchmarks that ask questions"
    with pytest.raises(ModelFailed, match=f"{needs}, as basics-questions.$"):
        freeze(request(), host(silent))
    with pytest.raises(ModelFailed, match=f"{needs}.$"):
        freeze(request(benchmarks=(BenchmarkTable(name="basics-choices"),)), host(silent))
    mute = {"oracle": replace(MODELS["oracle"], requests=frozenset({Score}))}
    with pytest.raises(ModelFailed, match=r"does not generate, .* Choose benchmarks of log-likelihoods.$"):
        freeze(request(benchmarks=(BenchmarkTable(name="basics-questions"),)), host(mute))
    nothing = {"oracle": replace(MODELS["oracle"], requests=frozenset[type]())}
    with pytest.raises(ModelFailed, match=r"Choose another model.$"):
        freeze(request(), host(nothing))
