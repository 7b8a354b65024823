"""Figures: what a plan's metrics are over the records of its journal, for every subject and every group of items."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orca_guard.errors import BadInput
from orca_guard.gates import Found, Gate, Look, gates_of, sequential_of, subjects_asked
from orca_guard.identity import canonical
from orca_guard.judging.hygiene import doubted
from orca_guard.paired import Difference
from orca_guard.stats import Estimate
from orca_guard.stopping import Watch
from orca_guard.tables import Cell, Figure, digests_in, enter, tables_of

TOLERANCE = 1e-9
"""How far two computations of one figure may lie apart."""

_KEY = ("benchmark", "subject", "metric", "group")
_NUMBERS = ("value", "low", "high", "n", "clusters", "unscored", "outside")
_VOLATILE = frozenset({"n", "prev", "seconds", "sureness"})


class Measured:
    """What the records of a plan come to.

    All items come first. An item without a record counts as one that could not be scored: what is planned is the
    denominator. Of a benchmark that stopped by its rule, that is what was asked.

    Args:
        plan: the plan.
        items: lines of `items.jsonl`.
        records: lines of all shards in any order; those that are no item are passed over.

    Attributes:
        stops: benchmarks that stop before their last item, and after how many.

    Raises:
        BadInput: a record of something that is not planned, a second one of the same, or one without a sound score;
            a metric with an unknown aggregate.
    """

    def __init__(
        self, plan: Mapping[str, Any], items: Iterable[Mapping[str, Any]], records: Iterable[Mapping[str, Any]]
    ) -> None:
        self._tables = tables_of(plan, items)
        self._plan = plan
        for record in records:
            if record.get("kind") == "item":
                self.enter(record)
        self.stops = self._stops()

    def enter(self, record: Mapping[str, Any]) -> None:
        """One more record of an item. Raises `BadInput` as the class does."""
        enter(self._tables, record)

    def watch(self, benchmark: str) -> Watch:
        """Of a sequential benchmark, from its first item."""
        gates = [gate for gate in gates_of(self._plan["gates"], self._plan) if gate.benchmark == benchmark]
        asked = [(gate, subject) for gate in gates for subject in subjects_asked(gate, self._plan)]
        return Watch(self._tables[benchmark], asked, self.found)

    def _stops(self) -> dict[str, int]:
        """As the records make it, or, where they were scored again, as those had been asked that were."""
        stopping = sequential_of(self._plan) & self._tables.keys()
        given = asked_before(self._plan)
        found = {name: self._stop(name) if given is None else given.get(name) for name in sorted(stopping)}
        for name in stopping:
            self._tables[name].asked = found[name]
        return {name: stop for name, stop in found.items() if stop is not None}

    def _stop(self, benchmark: str) -> int | None:
        items, unit = len(self._tables[benchmark].clusters), self._plan["unit"]
        try:
            watch = self.watch(benchmark)
        except BadInput:
            return None  # gates that make no sense stop nothing
        return next((end for end in range(unit, items, unit) if watch.stops(end)), None)

    def figures(self) -> list[Figure]:
        """A figure for every benchmark, subject, metric, and all items or a group of them, in the plan's order.

        Groups stand in the order of the metric's `by`, their values sorted.
        """
        figures = [figure for table in self._tables.values() for figure in table.figures()]
        return [figure | {"circular": self._circular(figure)} | self._judged(figure) for figure in figures]

    def estimate(self, *, benchmark: str, subject: str, metric: str, group: str = "") -> Estimate | None:
        """The number behind a figure, on the scale from 0 to 1; None where there is no such figure."""
        cell = self.cell(benchmark=benchmark, subject=subject, metric=metric, group=group)
        return None if cell is None else cell.estimate()

    def difference(
        self, *, benchmark: str, subject: str, baseline: str, metric: str, group: str = ""
    ) -> Difference | None:
        """Subject minus baseline, over the items that are outside for neither; None where there is no such figure."""
        where = {"benchmark": benchmark, "metric": metric, "group": group}
        one, other = (self.cell(subject=name, **where) for name in (subject, baseline))
        return None if one is None or other is None else one.minus(other)

    def found(self, gate: Gate, subject: str) -> Found | None:
        """What a gate looks at, at its confidence."""
        where = {"benchmark": gate.benchmark, "metric": gate.metric, "group": gate.group}
        cell = self.cell(subject=subject, **where)
        baseline = self._baseline(gate, where) if gate.baseline else None
        if cell is None or (gate.baseline and baseline is None):
            return None
        found = cell.found(gate.confidence) if baseline is None else cell.compared(baseline, gate.confidence)
        later = f"it takes {gate.labels} labels, which people give to the sealed run: see review" if gate.labels else ""
        return replace(found, void=self.circular(gate, subject) or later)

    def circular(self, gate: Gate, subject: str) -> str:
        """Why no gate may rest on this figure; empty where one may."""
        where = {"benchmark": gate.benchmark, "metric": gate.metric}
        subjects = (subject, "" if gate.baseline_run else gate.baseline)
        shared = sorted({name for one in subjects for name in self._circular({**where, "subject": one})})
        why = f"circular: the metric's scorer shares weights or rows with {' and '.join(shared)}" if shared else ""
        doubts = (self._doubted({**where, "subject": one}) for one in subjects if one)
        return "; ".join(dict.fromkeys(filter(None, (why, *doubts))))

    def _baseline(self, gate: Gate, where: Mapping[str, str]) -> Cell | None:
        """Of this run, or as the plan has it of another one."""
        if not gate.baseline_run:
            return self.cell(subject=gate.baseline, **where)
        wanted = (gate.baseline_run, gate.benchmark, gate.baseline, gate.metric)
        keys = ("run", "benchmark", "subject", "metric")
        row = next((row for row in self._plan.get("baselines", ()) if tuple(row[k] for k in keys) == wanted), None)
        here = None if row is None else self.cell(subject=next(iter(self._tables[gate.benchmark].columns)), **where)
        if row is None or here is None:
            return None
        return here.of_scores(row["scores"])

    def _circular(self, figure: Mapping[str, Any]) -> list[str]:
        """Guards of the figure's arm that share weights or rows with the scorer of its metric."""
        entry, metric = self._metric(figure)
        arm = next((arm for arm in self._plan["arms"] if arm["name"] == figure["subject"]), None)
        if arm is None or not metric["quality"] or entry["kind"] != "question":
            return []
        own = {*metric["quality"]["weights"], *metric["quality"]["rows"]}
        guards = arm["identity"].get("guards")
        found = (guard for guard in guards if own & digests_in(guard)) if isinstance(guards, list) else ()
        return sorted(str(guard.get("name")) if isinstance(guard, Mapping) else str(guard) for guard in found)

    def _judged(self, figure: Mapping[str, Any]) -> dict[str, Any]:
        """Of a figure that judges give: who they are, which are the model under test, and why not to rest on it."""
        entry, metric = self._metric(figure)
        judges = [judge for judge in entry.get("judges", ()) if judge["name"] in metric.get("judges", ())]
        if not judges:
            return {}
        model = next((arm["model"] for arm in self._plan["arms"] if arm["name"] == figure["subject"]), "")
        own = [judge["name"] for judge in judges if model in judge["own"]]
        who = {judge["name"]: judge["who"] for judge in judges}
        return {"judged": {"by": who, "own": own, "inconclusive": self._doubted(figure)}}

    def _metric(self, figure: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        entry = self._tables[figure["benchmark"]].benchmark
        return entry, next(m for m in entry["metrics"] if m["name"] == figure["metric"])

    def _doubted(self, figure: Mapping[str, Any]) -> str:
        """Why nothing may rest on the judges of a figure; what is told of judges themselves may be relied on."""
        _, metric = self._metric(figure)
        if not metric.get("judges") or metric["about"] not in {"answers", "agreement"}:
            return ""

        def value(name: str) -> float | None:
            found = self.estimate(benchmark=figure["benchmark"], subject=figure["subject"], metric=name)
            return None if found is None else found.value

        return doubted(metric["judges"], value)

    def cell(self, *, benchmark: str, subject: str, metric: str, group: str = "") -> Cell | None:
        """One subject's items under one metric; None where there is no such figure."""
        table = self._tables.get(benchmark)
        return table.cell(subject, metric, group) if table else None


def asked_before(plan: Mapping[str, Any]) -> dict[str, int] | None:
    """Of a plan that scores a run again: benchmarks that were stopped there, and after how many items; None of others.

    The new scores had no say in where asking stopped, and the bounds hold wherever that was.
    """
    link = plan.get("rescored")
    if not isinstance(link, Mapping):
        return None
    sizes = {entry["name"]: entry["items"] for entry in plan["benchmarks"]}
    rows = link.get("asked", {})
    return {name: n for name, n in rows.items() if type(n) is int and 0 < n < sizes.get(name, 0)}


def best_case(plan: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> Look:
    """What a gate would look at if every item came out as it wants, and every pair alike."""
    measured = Measured(plan, items, ())

    def look(gate: Gate, subject: str) -> Found | None:
        cell = measured.cell(benchmark=gate.benchmark, subject=subject, metric=gate.metric, group=gate.group)
        return None if cell is None else cell.best(gate)

    return look


def figures_of(
    plan: Mapping[str, Any], items: Iterable[Mapping[str, Any]], records: Iterable[Mapping[str, Any]]
) -> list[Figure]:
    """All figures of a plan: see `Measured`."""
    return Measured(plan, items, records).figures()


def results_digest(records: Iterable[Mapping[str, Any]]) -> str:
    """Digest of what a run found, without when and where it found it.

    Of every record of an item, without `seconds`, `sureness` and the chain's `n` and `prev`, the SHA-256 of its
    canonical JSON; of all those together, sorted, the SHA-256. So neither shards nor the order of records play a part.
    """
    digests = sorted(_record_digest(record) for record in records if record.get("kind") == "item")
    whole = hashlib.sha256()
    for digest in digests:
        whole.update(digest)
    return f"sha256:{whole.hexdigest()}"


def _record_digest(record: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(canonical({k: v for k, v in record.items() if k not in _VOLATILE})).digest()


# --- recorded and computed again ---------------------------------------------------------------


def differences(
    recorded: Iterable[Mapping[str, Any]], recomputed: Iterable[Mapping[str, Any]], *, tolerance: float = TOLERANCE
) -> list[str]:
    """A line for every figure that is missing, too much, there twice, or not what it should be."""
    old, found = list(recorded), {_key(figure): figure for figure in recomputed}
    seen: dict[tuple[str, ...], Mapping[str, Any]] = {}
    lines = []
    for figure in old:
        key = _key(figure)
        if key in seen:
            lines.append(f"{_named(key)}: recorded twice")
        elif key not in found:
            lines.append(f"{_named(key)}: recorded, and there is no such figure")
        else:
            lines += [f"{_named(key)}: {line}" for line in _compared(figure, found[key], tolerance)]
        seen[key] = figure
    return [*lines, *(f"{_named(key)}: not recorded" for key in found if key not in seen)]


def _key(figure: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(figure.get(part, "")) for part in _KEY)


def _named(key: Sequence[str]) -> str:
    return " ".join(part for part in key if part) or "a figure without a name"


def _compared(old: Mapping[str, Any], new: Mapping[str, Any], tolerance: float) -> Iterator[str]:
    for name in dict.fromkeys((*new, *old)):
        before, after = old.get(name, "absent"), new.get(name, "absent")
        if not (_near(before, after, tolerance) if name in _NUMBERS else before == after):
            yield f"{name} is recorded as {before} and comes to {after}"


def _near(old: Any, new: Any, tolerance: float) -> bool:
    if type(old) not in {int, float} or type(new) not in {int, float}:
        return old is None and new is None
    return bool(abs(old - new) <= tolerance)
