"""Figures: what a plan's metrics are over the records of its journal, for every subject and every group of items."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from orca_guard.errors import BadInput, suggest
from orca_guard.gates import Found, Gate, subjects_of
from orca_guard.identity import canonical
from orca_guard.items import OUTSIDE, Disposition
from orca_guard.paired import Difference, difference
from orca_guard.stats import AGGREGATORS, CLASSED, CONFIDENCE, Estimate, Sample

Figure: TypeAlias = dict[str, Any]
"""As a seal holds it: `benchmark`, `subject`, `metric`, `group` ("" or `key=value`), `value` (None where nothing is
scored), `low`, `high`, `n`, `clusters`, `unscored`, `outside`, and `counts` of the dispositions that occur."""

TOLERANCE = 1e-9
"""How far two computations of one figure may lie apart."""

_KEY = ("benchmark", "subject", "metric", "group")
_NUMBERS = ("value", "low", "high", "n", "clusters", "unscored", "outside")
_VOLATILE = frozenset({"n", "prev", "seconds"})
_DISPOSITIONS = tuple(Disposition)
_NOT_SEEN = -1
_OUTSIDE = -1.0


class Measured:
    """What the records of a plan come to.

    All items come first. An item without a record counts as one that could not be scored: what is planned is the
    denominator.

    Args:
        plan: the plan.
        items: lines of `items.jsonl`.
        records: lines of all shards in any order; those that are no item are passed over.

    Raises:
        BadInput: a record of something that is not planned, a second one of the same, or one without a sound score;
            a metric with an unknown aggregate.
    """

    def __init__(
        self, plan: Mapping[str, Any], items: Iterable[Mapping[str, Any]], records: Iterable[Mapping[str, Any]]
    ) -> None:
        self._tables = _tables(plan, items)
        for record in records:
            if record.get("kind") == "item":
                _enter(self._tables, record)

    def figures(self) -> list[Figure]:
        """A figure for every benchmark, subject, metric, and all items or a group of them, in the plan's order.

        Groups stand in the order of the metric's `by`, their values sorted.
        """
        return [figure for table in self._tables.values() for figure in table.figures()]

    def estimate(self, *, benchmark: str, subject: str, metric: str, group: str = "") -> Estimate | None:
        """The number behind a figure, on the scale from 0 to 1; None where there is no such figure."""
        cell = self._cell(benchmark, subject, metric, group)
        return None if cell is None else cell.estimate()

    def difference(
        self, *, benchmark: str, subject: str, baseline: str, metric: str, group: str = ""
    ) -> Difference | None:
        """Subject minus baseline, over the items that are outside for neither; None where there is no such figure."""
        one, other = (self._cell(benchmark, name, metric, group) for name in (subject, baseline))
        return None if one is None or other is None else one.minus(other)

    def found(self, gate: Gate, subject: str) -> Found | None:
        """What a gate looks at, at its confidence."""
        cell = self._cell(gate.benchmark, subject, gate.metric, gate.group)
        baseline = self._cell(gate.benchmark, gate.baseline, gate.metric, gate.group) if gate.baseline else None
        if cell is None or (gate.baseline and baseline is None):
            return None
        return cell.found(gate.confidence) if baseline is None else cell.compared(baseline, gate.confidence)

    def _cell(self, benchmark: str, subject: str, metric: str, group: str) -> _Cell | None:
        table = self._tables.get(benchmark)
        return table.cell(subject, metric, group) if table else None


def figures_of(
    plan: Mapping[str, Any], items: Iterable[Mapping[str, Any]], records: Iterable[Mapping[str, Any]]
) -> list[Figure]:
    """All figures of a plan: see `Measured`."""
    return Measured(plan, items, records).figures()


def results_digest(records: Iterable[Mapping[str, Any]]) -> str:
    """Digest of what a run found, without when and where it found it.

    Of every record of an item, without `seconds` and the chain's `n` and `prev`, the SHA-256 of its canonical JSON;
    of all those together, sorted, the SHA-256. So neither shards nor the order of records play a part.
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


# --- gathering ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Column:
    """One subject's numbers, by the position of the item: nothing else of a record is kept."""

    dispositions: array[int]
    scores: dict[str, array[float]]


@dataclass(slots=True)
class _Table:
    """A benchmark: where its items stand, what they belong to, and a column a subject."""

    benchmark: Mapping[str, Any]
    positions: dict[str, int]
    clusters: list[str]
    groups: dict[str, dict[str, list[int]]]
    classes: dict[str, list[str]]
    columns: dict[str, _Column]

    def figures(self) -> Iterator[Figure]:
        for subject in self.columns:
            for metric in self.benchmark["metrics"]:
                groups = [f"{key}={value}" for key in metric["by"] for value in sorted(self.groups[key])]
                for group in ("", *groups):
                    which = {"benchmark": self.benchmark["name"], "subject": subject, "metric": metric["name"]}
                    yield which | {"group": group} | self._found(subject, metric, group).figure()

    def cell(self, subject: str, metric: str, group: str) -> _Cell | None:
        """None where there is no such figure."""
        key, _, value = group.partition("=")
        found = next((m for m in self.benchmark["metrics"] if m["name"] == metric), None)
        if subject not in self.columns or found is None:
            return None
        known = not group or (key in found["by"] and value in self.groups[key])
        return self._found(subject, found, group) if known else None

    def _found(self, subject: str, metric: Mapping[str, Any], group: str) -> _Cell:
        key, _, value = group.partition("=")
        positions = self.groups[key][value] if group else range(len(self.clusters))
        return _Cell(self, self.columns[subject], metric, positions)


@dataclass(frozen=True, slots=True)
class _Cell:
    """One subject's items under one metric, all of them or those of a group."""

    table: _Table
    column: _Column
    metric: Mapping[str, Any]
    positions: Sequence[int]

    @property
    def scores(self) -> array[float]:
        return self.column.scores[self.metric["name"]]

    @property
    def inside(self) -> list[int]:
        return [position for position in self.positions if self.scores[position] != _OUTSIDE]

    def sample(self, inside: Sequence[int]) -> Sample:
        classes = self.table.classes.get(self.metric["over"])
        return Sample(
            scores=[None if math.isnan(self.scores[position]) else self.scores[position] for position in inside],
            clusters=[self.table.clusters[position] for position in inside],
            classes=[classes[position] for position in inside] if classes else (),
            names={classes[position] for position in self.positions} if classes else (),
        )

    def estimate(self) -> Estimate:
        return AGGREGATORS[self.metric["aggregate"]](self.sample(self.inside))

    def figure(self) -> Figure:
        inside = self.inside
        estimate = AGGREGATORS[self.metric["aggregate"]](self.sample(inside))
        low, high = map(self._told, estimate.interval(CONFIDENCE))
        return {
            "value": None if estimate.value is None else self._told(estimate.value),
            "low": low,
            "high": high,
            "n": estimate.n,
            "clusters": estimate.clusters,
            "unscored": estimate.unscored,
            "outside": len(self.positions) - len(inside),
            "counts": _counts(self.column, self.positions),
        }

    def found(self, confidence: float) -> Found:
        estimate = self.estimate()
        low, high = map(self._told, estimate.interval(_both_sides(confidence)))
        value = None if estimate.value is None else self._told(estimate.value)
        return Found(value=value, low=low, high=high, clusters=estimate.clusters)

    def minus(self, other: _Cell) -> Difference:
        outside = {*self.positions} - {*self.inside} | {*self.positions} - {*other.inside}
        inside = [position for position in self.positions if position not in outside]
        by_class = self.metric["aggregate"] == "balanced"
        return difference(self.sample(inside), other.sample(inside), by_class=by_class)

    def compared(self, baseline: _Cell, confidence: float) -> Found:
        """The difference, above 0 where the subject is better."""
        step, sign = self.minus(baseline), -1 if self.metric["lower_is_better"] else 1
        wide = 2 if self.metric["scale"] == "signed" else 1
        low, high = sorted(sign * wide * bound for bound in step.interval(_both_sides(confidence)))
        value = None if step.value is None else sign * wide * step.value
        better, worse = (step.better, step.worse)[::sign]
        note = f"of {step.n} items {better} are better than the baseline's and {worse} worse"
        return Found(value=value, low=low, high=high, clusters=step.clusters, note=note)

    def _told(self, number: float) -> float:
        """On the scale that figures are told in."""
        return 2 * number - 1 if self.metric["scale"] == "signed" else number


def _both_sides(confidence: float) -> float:
    """The confidence of an interval each of whose bounds alone holds with this one."""
    return 2 * confidence - 1


def _tables(plan: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> dict[str, _Table]:
    tables = {
        row["name"]: _Table(row, {}, [], _empty_groups(row), _empty_classes(row), {}) for row in plan["benchmarks"]
    }
    for item in items:
        _place(tables, item)
    for table in tables.values():
        metrics = [_known(metric)["name"] for metric in table.benchmark["metrics"]]
        for subject in subjects_of(plan, table.benchmark):
            table.columns[subject] = _column(len(table.clusters), metrics)
    return tables


def _empty_groups(benchmark: Mapping[str, Any]) -> dict[str, dict[str, list[int]]]:
    return {key: {} for metric in benchmark["metrics"] for key in metric["by"]}


def _empty_classes(benchmark: Mapping[str, Any]) -> dict[str, list[str]]:
    return {metric["over"]: [] for metric in benchmark["metrics"] if metric["over"]}


def _known(metric: Mapping[str, Any]) -> Mapping[str, Any]:
    if metric["aggregate"] not in AGGREGATORS:
        raise BadInput(f"unknown aggregate {metric['aggregate']!r}{suggest(metric['aggregate'], AGGREGATORS)}")
    if (metric["aggregate"] in CLASSED) != bool(metric["over"]):
        raise BadInput(f"metric {metric['name']!r} is the {metric['aggregate']} over {metric['over'] or 'no classes'}")
    return metric


def _column(items: int, metrics: Iterable[str]) -> _Column:
    scores = {metric: array("d", [math.nan]) * items for metric in metrics}
    return _Column(array("b", [_NOT_SEEN]) * items, scores)


def _place(tables: Mapping[str, _Table], item: Mapping[str, Any]) -> None:
    table = tables.get(item["benchmark"])
    if table is None or item["id"] in table.positions:
        raise BadInput(f"item {item['id']!r} of {item['benchmark']!r} is listed twice, or its benchmark is not planned")
    position = table.positions[item["id"]] = len(table.clusters)
    table.clusters.append(item["cluster"])
    for key, values in table.groups.items():
        if key in item["groups"]:
            values.setdefault(item["groups"][key], []).append(position)
    for key, names in table.classes.items():
        names.append(item["groups"].get(key, ""))


def _enter(tables: Mapping[str, _Table], record: Mapping[str, Any]) -> None:
    benchmark, item, subject = (_text(record, key) for key in ("benchmark", "item", "subject"))
    name = f"the record of {item!r} of {benchmark!r} under {subject!r}"
    table = tables.get(benchmark)
    column = table.columns.get(subject) if table else None
    position = table.positions.get(item) if table else None
    if column is None or position is None:
        raise BadInput(f"{name} is not planned")
    if column.dispositions[position] != _NOT_SEEN:
        raise BadInput(f"{name} is there twice")
    column.dispositions[position] = _disposition(record.get("disposition"), name)
    for metric, values in column.scores.items():
        values[position] = _score(record.get("scores"), metric, name)


def _text(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str):
        raise BadInput(f"a record has the {key} {value!r}, which is no text")
    return value


def _disposition(value: Any, name: str) -> int:
    if value not in _DISPOSITIONS:
        raise BadInput(f"{name} has the disposition {value!r}")
    return _DISPOSITIONS.index(value)


def _score(scores: Any, metric: str, name: str) -> float:
    """Of one metric; NaN stands for none, and so a score that is NaN must not get this far; below 0 is outside."""
    if not isinstance(scores, Mapping) or metric not in scores:
        raise BadInput(f"{name} has no {metric!r}")
    score = scores[metric]
    if score is None:
        return math.nan
    if score == OUTSIDE:
        return _OUTSIDE
    if type(score) not in {int, float} or not 0 <= score <= 1:
        raise BadInput(f"{name} has the {metric} {score!r}, which is no number from 0 to 1")
    return float(score)


def _counts(column: _Column, positions: Sequence[int]) -> dict[str, int]:
    seen = [column.dispositions[position] for position in positions]
    counts = {disposition.value: seen.count(number) for number, disposition in enumerate(_DISPOSITIONS)}
    return {name: count for name, count in counts.items() if count}
