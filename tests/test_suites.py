"""Suites: which benchmarks, with which limits, under which arms."""

from __future__ import annotations

from typing import Any

import pytest

from orca_guard.configuration import default
from orca_guard.contracts import Suite, SuiteArm
from orca_guard.errors import BadInput
from orca_guard.host import Host
from orca_guard.plan import BenchmarkTable, Request, of_flags
from orca_guard.suites import expanded
from tests.auditing import host

ARMS = (SuiteArm(name="empty", strategy="direct", system=""), SuiteArm(name="cautious", strategy="cautious"))
SUITE = Suite(name="both", summary="both", benchmarks={"basics-questions": 3, "basics-choices": None}, arms=ARMS)


def limits(request: Request) -> dict[str, int | None]:
    return {table.name: table.limit for table in request.table.benchmarks}


def asked(*names: str, limit: int | None = None, arms: bool = True, **provided: Any) -> Request:
    return expanded(of_flags(default(), suites=names, limit=limit), host(suites=[SUITE], **provided), arms=arms)


def test_a_suite_is_its_benchmarks_with_its_own_limits() -> None:
    assert limits(asked("both")) == {"basics-questions": 3, "basics-choices": None}


def test_a_limit_that_was_asked_for_holds_instead() -> None:
    assert limits(asked("both", limit=7)) == {"basics-questions": 7, "basics-choices": 7}


def test_a_benchmark_beside_its_suite_keeps_what_was_asked_of_it() -> None:
    request = of_flags(default(), suites=["both"], limit=None)
    tables = (BenchmarkTable(name="basics-choices", limit=1), *request.table.benchmarks)
    found = expanded(
        Request(table=type(request.table)(benchmarks=tables), arms=request.arms), host(suites=[SUITE]), arms=True
    )
    assert limits(found) == {"basics-choices": 1, "basics-questions": 3}


def test_both_arms_are_measured_where_nobody_says_otherwise() -> None:
    found = asked("both")
    assert [arm.name for arm in found.arms] == ["empty", "cautious"]
    assert [arm.name for arm in asked("both", arms=False).arms] == ["default"]


def test_without_a_suite_nothing_changes() -> None:
    request = of_flags(default(), suites=["basics"], limit=2)
    assert expanded(request, host(suites=[SUITE]), arms=True) is request


def test_a_benchmark_goes_before_a_suite_of_the_same_name() -> None:
    one = Suite(name="basics-choices", summary="", benchmarks={"basics-questions": 1})
    request = of_flags(default(), suites=["basics-choices"], limit=None)
    assert expanded(request, host(suites=[one]), arms=True) is request


def test_a_suite_of_nothing_is_an_error() -> None:
    none = Suite(name="none", summary="", benchmarks={})
    with pytest.raises(BadInput, match="the suite: benchmarks is empty"):
        expanded(of_flags(default(), suites=["none"], limit=None), host(suites=[none]), arms=True)


def test_the_safety_suite_names_benchmarks_that_there_are() -> None:
    here = Host.installed()
    safety = here.suites.get("safety")
    assert set(safety.benchmarks) <= set(here.benchmarks.names())
    assert [(arm.name, arm.system) for arm in safety.arms] == [("empty", ""), ("cautious", None)]
