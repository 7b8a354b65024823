"""Suites in a request become the benchmarks and arms that they stand for, before anything is frozen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from orca_guard.configuration import overridden
from orca_guard.contracts import Suite
from orca_guard.host import Host
from orca_guard.plan import Arm, BenchmarkTable, Request, checked


def expanded(request: Request, host: Host, *, arms: bool) -> Request:
    """The request without suites.

    A limit that was asked for holds instead of the suite's own. A benchmark that is asked for beside its suite keeps
    what was asked of it alone.

    Args:
        request: what is asked for.
        host: whose suites are known.
        arms: whether a suite may say under which pipelines it is run. Whoever named a pipeline gets that one.

    Raises:
        BadInput: two suites, or two arms, do not go together.
    """
    tables = request.table.benchmarks
    meant = [host.suites.get(table.name) for table in tables if _is_suite(table.name, host)]
    if not meant:
        return request
    alone = [table for table in tables if not _is_suite(table.name, host)]
    named = {table.name for table in alone}
    of_suites = {one.name: one for table in tables for one in _members(table, host) if one.name not in named}
    table = msgspec.structs.replace(request.table, benchmarks=(*alone, *of_suites.values()))
    found = tuple(_arms(request.arms[0], meant)) if arms else ()
    return Request(table=checked(table, source="the suite"), arms=found or request.arms)


def _is_suite(name: str, host: Host) -> bool:
    return name in (*host.suites.names(), *host.suites.withdrawn) and name not in host.benchmarks.names()


def _members(table: BenchmarkTable, host: Host) -> Iterator[BenchmarkTable]:
    if _is_suite(table.name, host):
        for name, limit in host.suites.get(table.name).benchmarks.items():
            yield BenchmarkTable(name=name, limit=limit if table.limit is None else table.limit)


def _arms(base: Arm, suites: Iterable[Suite]) -> Iterator[Arm]:
    known = {arm.name: arm for suite in suites for arm in suite.arms}
    for arm in known.values():
        yield Arm(arm.name, overridden(base.table, strategy=arm.strategy, system=arm.system))
