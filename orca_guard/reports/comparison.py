"""Two runs, or two arms of one, item by item: what changed, by how much, whether that may be chance, which items."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from orca_guard.errors import BadInput, suggest
from orca_guard.identity import differences as changed_leaves
from orca_guard.identity import digest_of
from orca_guard.journal.bundle import Bundle
from orca_guard.paired import Difference, difference, holm
from orca_guard.reports import excerpts
from orca_guard.reports.gather import MARKS, NOT_SEEN, OUTSIDE, Column, Gathered, Table, gather, records_at
from orca_guard.reports.noise import Noise, is_repeated, noise_of
from orca_guard.reports.summary import Check, Excerpt
from orca_guard.reports.texts import texts_at
from orca_guard.stats import CONFIDENCE, LEAST_CLUSTERS, Sample

FORMAT = 1
MOST_FLIPS = 200
MOST_CHANGES = 60
_LEFT_OUT = frozenset({"items", "records", "format", "name", "arms", "models", "benchmarks", "baselines"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two.

    Attributes:
        folder: name of the run's folder.
        arm: the one arm that is compared; empty where all are that the two have in common.
        plan: digest of its plan.
        verdict: of its seal; `unsealed` without one.
        faulty: whether `verify` found a fault.
        checks: that failed.
    """

    folder: str
    arm: str
    plan: str
    verdict: str
    faulty: bool
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A metric on the items that both have.

    Attributes:
        benchmark, metric: which.
        a, b: subjects.
        value_a, value_b: means over the pairs; None of none.
        difference: b less a, with `low` and `high` of its 95 % interval.
        p, adjusted: of no difference; adjusted for all rows after Holm.
        test: by which test.
        detectable: the smallest difference that would have been found with a power of 80 %; 1 where none would.
        n, clusters: pairs with a score on both sides, and clusters among them.
        unscored: pairs without one on either side.
        only_a, only_b: items that the other side does not have.
        gained, lost: items that passed in b alone, and in a alone.
        lower_is_better: for rates of harm.
        says: `better`, `worse`, `no difference shown`, or `not comparable`.
    """

    benchmark: str
    metric: str
    a: str
    b: str
    value_a: float | None
    value_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    adjusted: float | None
    test: str
    detectable: float | None
    n: int
    clusters: int
    unscored: int
    only_a: int
    only_b: int
    gained: int
    lost: int
    lower_is_better: bool
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """An item that passed on one side alone, with what either side wrote."""

    a: Excerpt
    b: Excerpt

    @property
    def gained(self) -> bool:
        """Whether b is the side that passed."""
        return self.b.mark == "pass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two sides.

    Attributes:
        format: of this structure.
        a, b: the sides.
        rows: a metric each.
        changes: of the plan, a leaf a line; and how many more there are.
        more_changes: beyond those.
        flips: items that passed on one side alone; and how many more there are.
        more_flips: beyond those.
        unpaired: what only one side measured, or cannot be trusted, in words.
        noise: of two runs of one plan, how many items came out differently, by benchmark and subject; else empty.
    """

    format: int
    a: Side
    b: Side
    rows: tuple[Row, ...]
    changes: tuple[str, ...]
    more_changes: int
    flips: tuple[Flip, ...]
    more_flips: int
    unpaired: tuple[str, ...]
    noise: tuple[Noise, ...]


@dataclass(frozen=True, slots=True)
class _Half:
    """A run that was read."""

    bundle: Bundle
    plan: Mapping[str, Any]
    gathered: Gathered
    side: Side
    stopped: Mapping[str, int]

    def asked(self, table: Table) -> int:
        """How many items of a benchmark, from the first."""
        name = table.entry["name"]
        return self.stopped.get(name, len(self.gathered.tables[name].clusters))


def compare(
    a: Path, b: Path, *, arms: tuple[str, str] | None = None, faults: Mapping[Path, Sequence[Check]]
) -> Comparison:
    """What distinguishes b from a.

    Args:
        a: folder of a run.
        b: of another; or the same, to compare two of its arms.
        arms: one of a and one of b; without, arms and models of equal names are compared, or the only ones there are.
        faults: folder → checks of `verify` that failed.

    Raises:
        BadInput: something is no run, an arm is not there, or the two have nothing in common.
    """
    names = arms or ("", "")
    left, right = (_half(folder, name, faults.get(folder, ())) for folder, name in zip((a, b), names, strict=True))
    pairs = list(_pairs(left, right, arms))
    rows = [_row(pair, metric) for pair in pairs for metric in pair[2].entry["metrics"]]
    adjusted = iter(holm([row.p for row in rows if row.p is not None]))
    rows = [_said(row if row.p is None else replace(row, adjusted=next(adjusted))) for row in rows]
    changes = _changes(left, right, arms)
    flips, more = _flips(left, right, pairs)
    return Comparison(
        format=FORMAT,
        a=left.side,
        b=right.side,
        rows=tuple(rows),
        changes=tuple(changes[:MOST_CHANGES]),
        more_changes=max(0, len(changes) - MOST_CHANGES),
        flips=flips,
        more_flips=more,
        unpaired=(*_unpaired(left, right, pairs, arms), *_stopping(left, right)),
        noise=() if arms or a.resolve() == b.resolve() else _noise(left, right, pairs),
    )


def _noise(left: _Half, right: _Half, pairs: Sequence[_Pair]) -> tuple[Noise, ...]:
    if not is_repeated(left.plan, right.plan):
        return ()
    return tuple(noise_of(table, a, (table.columns[a], other.columns[b]), items) for a, b, table, other, items in pairs)


def _stopping(left: _Half, right: _Half) -> Iterator[str]:
    """Intervals of a difference take the number of items for one that was fixed beforehand."""
    for half, word in ((left, "a"), (right, "b")):
        for name in sorted({gate["benchmark"] for gate in half.plan["gates"] if gate.get("sequential") is True}):
            yield f"{name} of {word} may stop early; how many items it has depends on them, and differences may flatter"


def _half(folder: Path, arm: str, faults: Sequence[Check]) -> _Half:
    bundle = Bundle(folder)
    plan = bundle.read_plan()
    known = [row["name"] for row in plan["arms"]]
    if arm and arm not in known:
        raise BadInput(f"{folder} has no arm {arm!r}{suggest(arm, known)} Its arms: {', '.join(known) or 'none'}")
    side = Side(
        folder=folder.resolve().name,
        arm=arm,
        plan=digest_of(plan),
        verdict=str(bundle.read_seal()["verdict"]) if bundle.seal.exists() else "unsealed",
        faulty=bool(faults),
        checks=tuple(faults),
    )
    stopped = bundle.read_seal().get("stopped", {}) if bundle.seal.exists() else {}
    return _Half(bundle, plan, gather(bundle, plan), side, stopped)


# --- what is held against what -----------------------------------------------------------------

_Pair = tuple[str, str, Table, Table, list[tuple[int, int]]]
"""Subjects, tables, and positions of equal items."""


def _pairs(left: _Half, right: _Half, arms: tuple[str, str] | None) -> Iterator[_Pair]:
    for name, table in left.gathered.tables.items():
        other = right.gathered.tables.get(name)
        if other is None or (arms and table.entry["kind"] != "question"):
            continue
        items = [
            (at, to)
            for at, item in zip(range(left.asked(table)), table.items, strict=False)
            if (to := other.items.find(item)) is not None
            and to < right.asked(other)
            and other.digests[to] == table.digests[at]
        ]
        for a, b in _subjects(table, other, arms):
            yield a, b, table, other, items


def _subjects(table: Table, other: Table, arms: tuple[str, str] | None) -> list[tuple[str, str]]:
    if arms:
        return [arms]
    if len(table.columns) == len(other.columns) == 1:
        return [(next(iter(table.columns)), next(iter(other.columns)))]
    return [(name, name) for name in table.columns if name in other.columns]


def _unpaired(left: _Half, right: _Half, pairs: Sequence[_Pair], arms: tuple[str, str] | None) -> Iterator[str]:
    held = {table.entry["name"] for _, _, table, _, items in pairs if items}
    for half, word in ((left, "a"), (right, "b")):
        for name in half.gathered.tables:
            if arms and half.gathered.tables[name].entry["kind"] != "question":
                if half is left:
                    yield f"{name} measures the model alone, without any arm"
            elif name not in held:
                yield f"{name} of {word} has no item in common with the other side"
            elif not arms:
                paired_here = {pair[0] if half is left else pair[1] for pair in pairs if pair[2].entry["name"] == name}
                alone = [subject for subject in half.gathered.tables[name].columns if subject not in paired_here]
                if alone:
                    yield f"{', '.join(alone)} of {word} under {name}: the other side has nobody of that name"


# --- the numbers -------------------------------------------------------------------------------


def _row(pair: _Pair, metric: Mapping[str, Any]) -> Row:
    (a, b, table, other, items), name = pair, metric["name"]
    before, after = table.columns[a].scores[name], other.columns[b].scores.get(name)
    inside = [] if after is None else [(at, to) for at, to in items if OUTSIDE not in {before[at], after[to]}]
    samples = [
        _sample(table, metric, [at for at, _ in inside], [column[pair[side]] for pair in inside])
        for side, column in enumerate((before, after or before))
    ]
    found = difference(samples[1], samples[0], by_class=metric["aggregate"] == "balanced")
    known = found.clusters >= LEAST_CLUSTERS and metric["aggregate"] != "gap"
    low, high = found.interval(CONFIDENCE) if known else (None, None)
    gained, lost = _turned(table.columns[a], other.columns[b], items)
    return Row(
        benchmark=table.entry["name"],
        metric=name,
        a=a,
        b=b,
        value_a=_mean(samples[0], samples[1]),
        value_b=_mean(samples[1], samples[0]),
        difference=found.value if known else None,
        low=low,
        high=high,
        p=found.p if known else None,
        adjusted=None,
        test=_why(found, metric),
        detectable=found.detectable() if known else None,
        n=found.n,
        clusters=found.clusters,
        unscored=found.unscored,
        only_a=len({*table.columns[a].seen()} - {at for at, _ in items}),
        only_b=len({*other.columns[b].seen()} - {to for _, to in items}),
        gained=len(gained),
        lost=len(lost),
        lower_is_better=bool(metric["lower_is_better"]),
        says="",
    )


def _why(found: Difference, metric: Mapping[str, Any]) -> str:
    """By which test, or why by none."""
    return "a gap has no difference item by item" if metric["aggregate"] == "gap" else _TESTS[found.test]


_TESTS = {
    "none": f"fewer than {LEAST_CLUSTERS} clusters",
    "mcnemar": "McNemar, exact",
    "sign-flip": "sign-flip by cluster, exact",
    "sign-flip, drawn": "sign-flip by cluster, drawn",
}


def _sample(table: Table, metric: Mapping[str, Any], positions: Sequence[int], scores: Sequence[float]) -> Sample:
    """Scores of items by their positions in a; a missing one is None."""
    classes = {at: value for value, places in table.groups.get(metric["over"], {}).items() for at in places}
    return Sample(
        scores=[None if math.isnan(score) else score for score in scores],
        clusters=[table.clusters[at] for at in positions],
        classes=[classes.get(at, "") for at in positions] if classes else (),
    )


def _mean(here: Sample, there: Sample) -> float | None:
    """Over the pairs of which both have a score."""
    known = [x for x, y in zip(here.scores, there.scores, strict=True) if x is not None and y is not None]
    return math.fsum(known) / len(known) if known else None


LEVEL = 0.05


def _said(row: Row) -> Row:
    if row.p is None or row.difference is None:
        return replace(row, says="not comparable")
    if (row.adjusted or 0) >= LEVEL:
        return replace(row, says="no difference shown")
    return replace(row, says="better" if (row.difference > 0) != row.lower_is_better else "worse")


# --- what changed ------------------------------------------------------------------------------


def _changes(left: _Half, right: _Half, arms: tuple[str, str] | None) -> list[str]:
    if arms:
        found = [_arm(half.plan, name) for half, name in zip((left, right), arms, strict=True)]
    else:
        found = [_named(half.plan) for half in (left, right)]
    return changed_leaves(_without_alone(found[0], found[1]), _without_alone(found[1], found[0]))


def _arm(plan: Mapping[str, Any], name: str) -> dict[str, Any]:
    return _parts(next(row["identity"] for row in plan["arms"] if row["name"] == name))


def _parts(identity: Mapping[str, Any]) -> dict[str, Any]:
    """An identity with guards and strategies by name, so that one that was put in shifts none of the others."""
    named = {key: {part["name"]: part for part in identity[key]} for key in ("guards", "strategies") if key in identity}
    return {**identity, **named}


def _named(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The plan with its parts by name, likewise."""
    named = {key: value for key, value in plan.items() if key not in _LEFT_OUT}
    for key in ("arms", "models"):
        named[key] = {row["name"]: _parts(row["identity"]) for row in plan[key]}
    gates = {f"{n} {row['benchmark']} {row['metric']}": row for n, row in enumerate(plan["gates"], 1)}
    return named | {"benchmarks": {row["name"]: row for row in plan["benchmarks"]}, "gates": gates}


def _without_alone(here: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """A part that the other side does not have at all is one line, and not all that is in it."""
    found: dict[str, Any] = {}
    for key, value in here.items():
        other = there.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            found |= {key: inner} if (inner := _without_alone(value, other)) else {}
        else:
            found[key] = "there" if isinstance(value, Mapping) and key not in there else value
    return found


# --- which items flipped -----------------------------------------------------------------------


def _turned(
    before: Column, after: Column, items: Sequence[tuple[int, int]]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Those gained and those lost, of the items that both have a record of: a run may have ended before its last."""
    passed = MARKS.index("pass")
    both = [(at, to) for at, to in items if NOT_SEEN not in {before.mark[at], after.mark[to]}]
    gained = [(at, to) for at, to in both if before.mark[at] != passed and after.mark[to] == passed]
    return gained, [(at, to) for at, to in both if before.mark[at] == passed and after.mark[to] != passed]


def _flips(left: _Half, right: _Half, pairs: Sequence[_Pair]) -> tuple[tuple[Flip, ...], int]:
    """Those lost and those gained by turns, the same number from every pair."""
    chosen: list[tuple[Any, Any]] = []
    count = 0
    each = max(2, MOST_FLIPS // max(1, len(pairs)))
    for a, b, table, other, items in pairs:
        before, after = table.columns[a], other.columns[b]
        turned = sorted(chain(*_turned(before, after, items)))
        count += len(turned)
        here = turned[:each]
        chosen += zip(
            records_at(left.gathered, before, [at for at, _ in here]),
            records_at(right.gathered, after, [to for _, to in here]),
            strict=True,
        )
    texts = [
        texts_at(half.bundle, {address for pair in chosen for address in excerpts.addresses_of(pair[side])})
        for side, half in enumerate((left, right))
    ]
    flips = [Flip(a=excerpts.excerpt_of(x, texts[0]), b=excerpts.excerpt_of(y, texts[1])) for x, y in chosen]
    return tuple(flips), count - len(flips)
