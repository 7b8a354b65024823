"""What a few items of a plan tell of all of them."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from orca_guard.errors import NotReady
from orca_guard.freezing import freeze
from orca_guard.plan import BenchmarkTable
from orca_guard.rehearsal import MOST, Rehearsal, Tried, rehearse
from tests.auditing import MODELS, arm, host, request

QUESTIONS = (BenchmarkTable(name="basics-questions"),)


def rehearsed(*arms: str, by: object = None, **more: object) -> Rehearsal:
    asked = request(*map(arm, arms), **more)  # type: ignore[arg-type]
    found = by or host()
    return rehearse(asked, freeze(asked, found), found)  # type: ignore[arg-type]


def test_every_benchmark_is_tried_under_every_arm() -> None:
    seen: list[str] = []
    asked = request(arm("oracle"), arm("always-first"), unit=4)
    trial = rehearse(asked, freeze(asked, host()), host(), told=seen.append)
    assert seen == ["loading", "trying basics-choices", "trying basics-questions"]
    assert [(tried.benchmark, tried.items, tried.records) for tried in trial.tried] == [
        ("basics-choices", 4, 8),
        ("basics-questions", 4, 8),
    ]


@pytest.mark.parametrize(("unit", "limit", "items"), [(64, None, MOST), (3, None, 3), (64, 2, 2)])
def test_no_more_is_tried_than_is_recorded_together(unit: int, limit: int | None, items: int) -> None:
    trial = rehearsed("oracle", unit=unit, limit=limit)
    assert {tried.items for tried in trial.tried} == {items}


def test_the_time_is_that_of_all_items() -> None:
    def slow(prompt: str) -> str:
        time.sleep(0.01)
        return MODELS["oracle"].writes(prompt)

    by = host({"oracle": replace(MODELS["oracle"], writes=slow)})
    (tried,) = rehearsed("oracle", by=by, benchmarks=QUESTIONS, unit=4).tried
    assert tried.of > tried.items == 4
    assert tried.expected >= tried.of * 0.01
    whole = Rehearsal(loading=1.0, tried=(replace(tried, seconds=2.0, items=4, of=40),) * 2)
    assert whole.expected == 41.0


def test_what_fails_throughout_is_refused() -> None:
    with pytest.raises(NotReady, match="all 4 items of 'basics-choices' that were tried ended in an error"):
        rehearsed("nan")


def test_what_fails_now_and_then_is_counted() -> None:
    trial = rehearsed("oracle", "nan", limit=4)
    choices = trial.tried[0]
    assert isinstance(choices, Tried)
    assert (choices.errors, choices.records) == (4, 8)
    assert "log-probability" in choices.reason
