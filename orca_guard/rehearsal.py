"""Puts a few items of a plan through everything, to say how long all of them will take and what cannot succeed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from orca_guard.bench import Bench, load_bench, unit_records
from orca_guard.errors import NotReady
from orca_guard.freezing import Frozen, Planned
from orca_guard.host import Host
from orca_guard.identity import digest_text
from orca_guard.items import Disposition
from orca_guard.plan import Request

MOST = 8
"""Items of each benchmark that are tried, or as many as are recorded together if those are fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of the first items of a benchmark.

    Attributes:
        benchmark: its name.
        items: that were tried.
        of: how many the plan has.
        seconds: that the tried ones took under all arms or models together.
        errors: their records that ended in an error.
        records: all their records.
        reason: of the first error.
    """

    benchmark: str
    items: int
    of: int
    seconds: float
    errors: int
    records: int
    reason: str = ""

    @property
    def expected(self) -> float:
        """Seconds for all of its items, in one process."""
        return self.seconds * self.of / self.items


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """How a plan goes, as far as a few items tell.

    Attributes:
        loading: seconds until everything was loaded.
        tried: by benchmark, in the plan's order.
    """

    loading: float
    tried: tuple[Tried, ...]

    @property
    def expected(self) -> float:
        """Seconds for the whole plan in one process."""
        return self.loading + sum(tried.expected for tried in self.tried)


def rehearse(
    request: Request, frozen: Frozen, host: Host, *, told: Callable[[str], None] = lambda _what: None
) -> Rehearsal:
    """Load what a plan names, and try it. Nothing is recorded.

    Args:
        request: what was asked for.
        frozen: the plan.
        host: where its names are looked up.
        told: what is being done.

    Raises:
        NotReady: every tried item of a benchmark ended in an error under every arm; so would all others.
        OrcaGuardError: a model does not load, or is not what was planned.
    """
    told("loading")
    started = time.monotonic()
    bench = load_bench(request.arms, frozen.plan, host, judges=request.table.judges)
    loading = time.monotonic() - started
    _try(frozen.benchmarks[0], bench, items=1)  # the first forward of all takes longer than any other
    tried = []
    for planned in frozen.benchmarks:
        told(f"trying {planned.entry['name']}")
        tried.append(_try(planned, bench, items=min(MOST, frozen.plan["unit"], len(planned.items))))
    for one in tried:
        if one.errors == one.records:
            raise NotReady(
                f"all {one.items} items of {one.benchmark!r} that were tried ended in an error: {one.reason}"
            )
    return Rehearsal(loading=loading, tried=tuple(tried))


def _try(planned: Planned, bench: Bench, *, items: int) -> Tried:
    started = time.monotonic()
    records = unit_records(planned, planned.items[:items], bench, address=digest_text)
    failed = [record["reason"] for record in records if record["disposition"] == Disposition.ERROR]
    return Tried(
        benchmark=planned.entry["name"],
        items=items,
        of=len(planned.items),
        seconds=time.monotonic() - started,
        errors=len(failed),
        records=len(records),
        reason=failed[0] if failed else "",
    )
