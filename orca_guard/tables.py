"""What an audit measured, in columns: where items stand, what they belong to, and every subject's scores."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from sys import intern
from typing import Any, TypeAlias

from orca_guard import sequential
from orca_guard.correction import ASSUMES, Counts, corrected_json, not_corrected
from orca_guard.errors import BadInput, suggest
from orca_guard.gates import Found, Gate, sequential_of, subjects_of
from orca_guard.items import OUTSIDE, Disposition
from orca_guard.paired import Difference, difference
from orca_guard.roster import Roster, Twice
from orca_guard.stats import AGGREGATORS, CLASSED, CONFIDENCE, Estimate, Sample

Figure: TypeAlias = dict[str, Any]
"""As a seal holds it: `benchmark`, `subject`, `metric`, `group` ("" or `key=value`; see `ATTEMPTS`), `value` (None
where nothing is scored), `low`, `high`, `n`, `clusters`, `unscored`, `outside`, `counts` of the dispositions that
occur, `corrected` for what a scorer misses (None where none takes part), and `circular`, the guards that share
something with that scorer."""

ATTEMPTS = "attempts"
"""The group of figures that tell what a subject comes to when it may try so often and no more: `attempts=1`. Every
attempt is another chance for what guards miss, so a rate of harm is told against their number."""

_DISPOSITIONS = tuple(Disposition)
_NOT_SEEN = -1
_OUTSIDE = -1.0


@dataclass(slots=True)
class Column:
    """One subject's numbers, by the position of the item: nothing else of a record is kept."""

    dispositions: array[int]
    scores: dict[str, array[float]]
    attempts: dict[int, tuple[str, ...]]
    """Of items that were tried more than once: what guards made of each attempt."""

    @property
    def most(self) -> int:
        """Attempts at the item that was tried most often."""
        return max(map(len, self.attempts.values()), default=1)

    def within(self, attempts: int, credits: Mapping[str, Mapping[str, Any]]) -> Column:
        """If items may be tried so often and no more: where guards stopped all of these attempts, nothing is shown.

        Args:
            attempts: most of one item.
            credits: metric → what every disposition is worth.
        """
        dispositions, scores = self.dispositions[:], {name: values[:] for name, values in self.scores.items()}
        for position, actions in self.attempts.items():
            if len(actions) > attempts:
                stopped = "block" in actions[:attempts]
                end = Disposition.BLOCKED if stopped else Disposition.ABSTAINED
                dispositions[position] = _DISPOSITIONS.index(end)
                for name, values in scores.items():
                    values[position] = _score({name: credits[name].get(end.value)}, name, "a disposition table")
        return Column(dispositions, scores, {})


@dataclass(slots=True)
class Table:
    """A benchmark: where its items stand, what they belong to, and a column a subject.

    Attributes:
        sequential: whether items are asked in the order of their clusters, until its gates have ruled. Then only whole
            clusters count.
        asked: how many items were asked, from the first; None is all.
    """

    benchmark: Mapping[str, Any]
    items: Roster
    clusters: list[str]
    groups: dict[str, dict[str, array[int]]]
    classes: dict[str, list[str]]
    columns: dict[str, Column]
    sequential: bool = False
    asked: int | None = None

    @property
    def whole(self) -> int:
        """Position after the last item that counts."""
        stop = len(self.clusters) if self.asked is None else self.asked
        if stop < len(self.clusters) and (torn := self.clusters[stop]):
            while stop and self.clusters[stop - 1] == torn:
                stop -= 1
        return stop

    def figures(self) -> Iterator[Figure]:
        """Of every subject and metric, over all items and each group."""
        for subject in self.columns:
            for metric in self.benchmark["metrics"]:
                groups = [f"{key}={value}" for key in metric["by"] for value in sorted(self.groups[key])]
                for group in ("", *groups):
                    which = {"benchmark": self.benchmark["name"], "subject": subject, "metric": metric["name"]}
                    yield which | {"group": group} | self._found(subject, metric, group).figure()
            yield from self._by_attempts(subject)

    def _by_attempts(self, subject: str) -> Iterator[Figure]:
        """Of a subject that tried again, every metric over all items, for every number of attempts."""
        column, metrics = self.columns[subject], self.benchmark["metrics"]
        if not column.attempts:
            return
        credit = {metric["name"]: metric["credit"] for metric in metrics}
        columns = [column.within(most, credit) for most in range(1, column.most + 1)]
        for metric in metrics:
            for most, within in enumerate(columns, 1):
                which = {"benchmark": self.benchmark["name"], "subject": subject, "metric": metric["name"]}
                cell = Cell(self, within, metric, "", range(len(self.clusters)))
                yield which | {"group": f"{ATTEMPTS}={most}"} | cell.figure()

    def cell(self, subject: str, metric: str, group: str) -> Cell | None:
        """None where there is no such figure."""
        key, _, value = group.partition("=")
        found = next((m for m in self.benchmark["metrics"] if m["name"] == metric), None)
        if subject not in self.columns or found is None:
            return None
        known = not group or (key in found["by"] and value in self.groups[key])
        return self._found(subject, found, group) if known else None

    def _found(self, subject: str, metric: Mapping[str, Any], group: str) -> Cell:
        key, _, value = group.partition("=")
        whole = self.whole
        of_group = self.groups[key][value] if group else range(whole)
        positions = of_group[: bisect_left(of_group, whole)]
        return Cell(self, self.columns[subject], metric, group, positions)


@dataclass(frozen=True, slots=True)
class Cell:
    """One subject's items under one metric, all of them or those of a group."""

    table: Table
    column: Column
    metric: Mapping[str, Any]
    group: str
    positions: Sequence[int]

    @property
    def scores(self) -> array[float]:
        """By position, as a column has them."""
        return self.column.scores[self.metric["name"]]

    @property
    def inside(self) -> array[int]:
        """Positions that are not outside of the metric."""
        scores = self.scores
        return array("q", (position for position in self.positions if scores[position] != _OUTSIDE))

    def sample(self, inside: Sequence[int]) -> Sample:
        """Scores, clusters and classes at these positions."""
        classes, scores = self.table.classes.get(self.metric["over"]), self.scores
        return Sample(
            scores=[None if math.isnan(score := scores[position]) else score for position in inside],
            clusters=[self.table.clusters[position] for position in inside],
            classes=[classes[position] for position in inside] if classes else (),
            names={name for position in self.positions if (name := classes[position])} if classes else (),
        )

    def plain_sample(self) -> Sample:
        """Of the items inside, as of one class."""
        return self.sample(self.inside).without_classes()

    def of_scores(self, scores: Sequence[Any]) -> Cell:
        """The same items with other scores, in their order."""
        name = self.metric["name"]
        values = array("d", [_score({name: score}, name, "a baseline") for score in scores])
        if len(values) != len(self.scores):
            raise BadInput(f"a baseline has {len(values)} scores for {len(self.scores)} items")
        return replace(self, column=Column(self.column.dispositions, {name: values}, {}))

    def estimate(self) -> Estimate:
        """The metric's number."""
        return self._estimate(self.sample(self.inside))

    def _estimate(self, sample: Sample) -> Estimate:
        if self.table.sequential:
            return sequential.estimate(sample, self.metric["aggregate"])
        return AGGREGATORS[self.metric["aggregate"]](sample)

    def figure(self) -> Figure:
        """As a seal holds it, without what it is a figure of."""
        inside = self.inside
        estimate = self._estimate(self.sample(inside))
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
            "corrected": self._corrected(estimate, CONFIDENCE) if self.metric["quality"] else None,
        }

    @property
    def quality(self) -> Counts | None:
        """Of the scorer, on this group."""
        counts = (self.metric["quality"] or {"counts": {}})["counts"].get(self.group)
        return None if counts is None else Counts(**counts)

    def found(self, confidence: float) -> Found:
        """What a gate looks at; with a scorer, the outer ones of the bounds of the seen and of the corrected rate."""
        estimate = self.estimate()
        found = self._seen(estimate, confidence)
        if not self.metric["quality"]:
            return found
        told = self._corrected(estimate, _both_sides(confidence))
        if told["value"] is None:
            return replace(found, low=0.0, high=1.0, note=f"not corrected: {told['reason']}")
        both = f"bounds also hold for the corrected rate {told['value']:.4f}, if it is so {ASSUMES}"
        return replace(found, low=min(found.low, told["low"]), high=max(found.high, told["high"]), note=both)

    def _corrected(self, estimate: Estimate, confidence: float) -> dict[str, Any]:
        if self.table.sequential:
            return not_corrected("asking may have stopped early, and no corrected rate holds whenever one stops")
        return corrected_json(estimate, self.quality, confidence=confidence)

    def _seen(self, estimate: Estimate, confidence: float) -> Found:
        low, high = map(self._told, estimate.interval(_both_sides(confidence)))
        value = None if estimate.value is None else self._told(estimate.value)
        note = ""
        if self.table.sequential:
            note = (
                f"bounds that hold whenever asking stops; {self.table.whole} of {len(self.table.clusters)} items count"
            )
        return Found(value=value, low=low, high=high, clusters=estimate.clusters, note=note)

    def best(self, gate: Gate) -> Found:
        """If every item that is planned had the score that the gate likes best; of a margin, the baseline's."""
        plain = self.sample(range(0))
        clusters = [self.table.clusters[position] for position in self.positions]
        classes = self.table.classes.get(self.metric["over"])
        of = [classes[position] for position in self.positions] if classes else ()
        scores = _best_scores(self.metric["aggregate"], gate.sign, of, len(clusters))
        sample = replace(plain, scores=scores, clusters=clusters, classes=of)
        if gate.baseline:
            step = difference(sample, sample, by_class=self.metric["aggregate"] == "balanced")
            low, high = step.interval(_both_sides(gate.confidence))
            wide = 2 if self.metric["scale"] == "signed" else 1
            return Found(value=step.value, low=wide * low, high=wide * high, clusters=step.clusters)
        return self._seen(self._estimate(sample), gate.confidence)

    def minus(self, other: Cell) -> Difference:
        """Item by item, over those that are outside for neither."""
        inside = [position for position in self.inside if other.scores[position] != _OUTSIDE]
        by_class = self.metric["aggregate"] == "balanced"
        return difference(self.sample(inside), other.sample(inside), by_class=by_class)

    def compared(self, baseline: Cell, confidence: float) -> Found:
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


def _best_scores(aggregate: str, sign: int, classes: Sequence[str], items: int) -> list[float]:
    """Scores that make a number as large (sign 1) or as small as it can be."""
    if aggregate == "agreement" and sign < 0:  # items of one class come out right and wrong by turns
        seen = Counter[str]()
        turns = []
        for name in classes:
            turns.append(float(seen[name] % 2))
            seen[name] += 1
        return turns
    if aggregate == "gap" and sign > 0:  # one class comes out right, and no other
        return [float(name == min(classes)) for name in classes]
    return [1.0 if sign > 0 else 0.0] * items


def digests_in(value: Any) -> set[str]:
    """Every digest that a document holds, however deep."""
    if isinstance(value, Mapping):
        return set().union(*map(digests_in, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(digests_in, value))
    return {value} if isinstance(value, str) and value.startswith("sha256:") else set()


def _both_sides(confidence: float) -> float:
    """The confidence of an interval each of whose bounds alone holds with this one."""
    return 2 * confidence - 1


def tables_of(plan: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> dict[str, Table]:
    """A table a benchmark, without any record."""
    stopping = sequential_of(plan)
    tables = {
        row["name"]: Table(row, Roster(()), [], _empty_groups(row), _empty_classes(row), {}, row["name"] in stopping)
        for row in plan["benchmarks"]
    }
    for name, lines in groupby(items, itemgetter("benchmark")):
        _fill(tables.get(name), name, lines)
    for table in tables.values():
        metrics = [_known(metric)["name"] for metric in table.benchmark["metrics"]]
        for subject in subjects_of(plan, table.benchmark):
            table.columns[subject] = _column(len(table.clusters), metrics)
    return tables


def _empty_groups(benchmark: Mapping[str, Any]) -> dict[str, dict[str, array[int]]]:
    return {key: {} for metric in benchmark["metrics"] for key in metric["by"]}


def _empty_classes(benchmark: Mapping[str, Any]) -> dict[str, list[str]]:
    return {metric["over"]: [] for metric in benchmark["metrics"] if metric["over"]}


def _known(metric: Mapping[str, Any]) -> Mapping[str, Any]:
    if metric["aggregate"] not in AGGREGATORS:
        raise BadInput(f"unknown aggregate {metric['aggregate']!r}{suggest(metric['aggregate'], AGGREGATORS)}")
    if (metric["aggregate"] in CLASSED) != bool(metric["over"]):
        raise BadInput(f"metric {metric['name']!r} is the {metric['aggregate']} over {metric['over'] or 'no classes'}")
    return metric


def _column(items: int, metrics: Iterable[str]) -> Column:
    scores = {metric: array("d", [math.nan]) * items for metric in metrics}
    return Column(array("b", [_NOT_SEEN]) * items, scores, {})


def _fill(table: Table | None, name: str, lines: Iterable[Mapping[str, Any]]) -> None:
    """All items of a benchmark, which stand together."""
    if table is None or table.items:
        raise BadInput(f"items of {name!r} stand in two places, or it is not planned")
    try:
        table.items = Roster(_placed(table, lines))
    except Twice as error:
        raise BadInput(f"item {error.name!r} of {name!r} is listed twice") from error


def _placed(table: Table, lines: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The ids of items, each put into clusters, groups and classes as it goes by."""
    for position, item in enumerate(lines):
        table.clusters.append(intern(item["cluster"]))
        for key, values in table.groups.items():
            if key in item["groups"]:
                values.setdefault(item["groups"][key], array("q")).append(position)
        for key, names in table.classes.items():
            names.append(intern(item["groups"].get(key, "")))
        yield item["id"]


def enter(tables: Mapping[str, Table], record: Mapping[str, Any]) -> None:
    """Put a record into its column. Raises `BadInput` where it is not planned, there twice, or not sound."""
    benchmark, item, subject = (_text(record, key) for key in ("benchmark", "item", "subject"))
    name = f"the record of {item!r} of {benchmark!r} under {subject!r}"
    table = tables.get(benchmark)
    column = table.columns.get(subject) if table else None
    position = table.items.find(item) if table else None
    if column is None or position is None:
        raise BadInput(f"{name} is not planned")
    if column.dispositions[position] != _NOT_SEEN:
        raise BadInput(f"{name} is there twice")
    column.dispositions[position] = _disposition(record.get("disposition"), name)
    for metric, values in column.scores.items():
        values[position] = _score(record.get("scores"), metric, name)
    if len(actions := _attempts(record.get(ATTEMPTS, ()), name)) > 1:
        column.attempts[position] = actions


def _attempts(actions: Any, name: str) -> tuple[str, ...]:
    if not isinstance(actions, list | tuple) or not all(isinstance(action, str) for action in actions):
        raise BadInput(f"{name} has the attempts {actions!r}, which are no list of actions")
    return tuple(map(intern, actions))


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


def _counts(column: Column, positions: Sequence[int]) -> dict[str, int]:
    seen = Counter(column.dispositions[position] for position in positions)
    return {disposition.value: seen[number] for number, disposition in enumerate(_DISPOSITIONS) if seen[number]}
