"""Figures: what a plan's metrics are over the records of its journal, for every subject and every group of items."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

from orca_guard.errors import BadInput, suggest
from orca_guard.gates import subjects_of
from orca_guard.identity import canonical
from orca_guard.items import OUTSIDE, Disposition
from orca_guard.stats import AGGREGATORS, CLASSED, Estimate, Sample

Figure: TypeAlias = dict[str, Any]
"""As a seal holds it: `benchmark`, `subject`, `metric`, `group` ("" or `key=value`), `value` (None where nothing is
scored), `low`, `high`, `n`, `clusters`, `unscored`, `outside`, and `counts` of the dispositions that occur."""

TOLERANCE = 1e-9
"""How far two computations of one figure may lie apart."""

_KEY = ("benchmark", "subject", "metric", "group")
_ESTIMATED = ("value", "low", "high", "n", "clusters", "unscored")
_NUMBERS = (*_ESTIMATED, "outside")
_VOLATILE = frozenset({"n", "prev", "seconds"})
_DISPOSITIONS = tuple(Disposition)
_NOT_SEEN = -1
_OUTSIDE = -1.0


def figures_of(
    plan: Mapping[str, Any], items: Iterable[Mapping[str, Any]], records: Iterable[Mapping[str, Any]]
) -> list[Figure]:
    """A figure for every benchmark, subject, metric, and all items or a group of them, in the plan's order.

    All items come first. Groups stand in the order of the metric's `by`, their values sorted. An item without a record
    counts as one that could not be scored: what is planned is the denominator.

    Args:
        plan: the plan.
        items: lines of `items.jsonl`.
        records: lines of all shards in any order; those that are no item are passed over.

    Raises:
        BadInput: a record of something that is not planned, a second one of the same, or one without a sound score;
            a metric with an unknown aggregate.
    """
    tables = _tables(plan, items)
    for record in records:
        if record.get("kind") == "item":
            _enter(tables, record)
    return [figure for table in tables.values() for figure in _figures(table)]


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


# --- computing ---------------------------------------------------------------------------------


def _figures(table: _Table) -> Iterator[Figure]:
    everything = range(len(table.clusters))
    for subject, column in table.columns.items():
        for metric in table.benchmark["metrics"]:
            which = {"benchmark": table.benchmark["name"], "subject": subject, "metric": metric["name"]}
            yield which | {"group": ""} | _computed(table, column, metric, everything)
            for key in metric["by"]:
                for value, positions in sorted(table.groups[key].items()):
                    yield which | {"group": f"{key}={value}"} | _computed(table, column, metric, positions)


def _computed(table: _Table, column: _Column, metric: Mapping[str, Any], positions: Sequence[int]) -> Figure:
    values, classes = column.scores[metric["name"]], table.classes.get(metric["over"])
    inside = [position for position in positions if values[position] != _OUTSIDE]
    sample = Sample(
        scores=[None if math.isnan(values[position]) else values[position] for position in inside],
        clusters=[table.clusters[position] for position in inside],
        classes=[classes[position] for position in inside] if classes else (),
        names={classes[position] for position in positions} if classes else (),
    )
    estimate = asdict(_scaled(AGGREGATORS[metric["aggregate"]](sample), metric["scale"]))
    told = {key: estimate[key] for key in _ESTIMATED}
    return told | {"outside": len(positions) - len(inside), "counts": _counts(column, positions)}


def _scaled(estimate: Estimate, scale: str) -> Estimate:
    """On the scale that it is told in."""
    if scale != "signed":
        return estimate
    value = None if estimate.value is None else 2 * estimate.value - 1
    return replace(estimate, value=value, low=2 * estimate.low - 1, high=2 * estimate.high - 1)


def _counts(column: _Column, positions: Sequence[int]) -> dict[str, int]:
    seen = [column.dispositions[position] for position in positions]
    counts = {disposition.value: seen.count(number) for number, disposition in enumerate(_DISPOSITIONS)}
    return {name: count for name, count in counts.items() if count}
