"""How good a guard is: scored on labelled rows, its threshold chosen on some of them, its rates taken on others."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from orca_guard import labelled, operating, stats
from orca_guard.assembly import model_opened
from orca_guard.configuration import GuardTable, ModelTable
from orca_guard.contracts import AskingGuard, Classifying, Reported
from orca_guard.drive import Streamed, drive
from orca_guard.errors import BadInput, GuardFailed, UsageError
from orca_guard.guards import GuardInPlace
from orca_guard.host import Host
from orca_guard.labelled import Labelled, LabelledSet
from orca_guard.operating import OnSet, OperatingPoint, Rate
from orca_guard.pipeline import Pipeline
from orca_guard.placing import Circumstances, prepare, put
from orca_guard.types import Request, Stage, Verdict

T = TypeVar("T")

FEWEST = 20
"""Rows of each kind below which no threshold is chosen and no rate is told."""

CHARACTERS = 4
"""Of a token, where milliseconds are told for so many tokens: nothing here knows how a classifier cuts texts."""

WIDTH = 64


@dataclass(frozen=True, kw_only=True)
class _Nothing:
    """Where no model is needed."""

    name: str = "none"
    identity: Mapping[str, str] = field(default_factory=dict)
    requests: frozenset[type] = frozenset()
    context: int | None = None
    system_messages: Mapping[str, str] = field(default_factory=dict)
    forms: Path | None = None
    notice: str = ""

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:  # noqa: ARG002  # the contract
        """Nothing is asked."""
        return iter(())


@dataclass(frozen=True, kw_only=True)
class _Never:
    """Where nothing is answered."""

    name: str = "none"
    escalates: bool = False

    def choose(self, *_: Any) -> None:
        """No strategy."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A labelled row with its score; None where the guard failed on it."""

    row: Labelled
    score: float | None


def alone(table: GuardTable, host: Host, *, model: ModelTable | None = None, offline: bool = False) -> Pipeline:
    """A pipeline of one guard and nothing else.

    Args:
        table: the guard.
        host: where its name is looked up.
        model: for a guard whose scores are the model's own; None loads none.
        offline: never touch the network.

    Raises:
        UsageError: the guard asks a model, and none is named.
    """
    loaded: Any = _Nothing()
    digest = ""
    if model is not None:
        loaded, digest = model_opened(model, host)
    placed = put(prepare(table, host, Circumstances(offline=offline)), 0, model=digest)
    guard = placed.place.guard
    asks = isinstance(guard, AskingGuard) and (not isinstance(guard, Classifying) or "model" in guard.scored_by)
    if asks and model is None:
        raise UsageError(f"guard {table.name!r} asks the pipeline's own model: say which with --model.")
    return Pipeline(
        model=loaded,
        strategies={},
        selector=_Never(),
        guards=(placed.place,),
        classifiers=placed.server,
        identity={"guards": [dict(placed.identity)]},
    )


def stage_of(place: GuardInPlace) -> Stage:
    """Where its texts are shown to it: as answers, if it sees those."""
    return "output" if place.sees("output") else "input"


def threshold_of(place: GuardInPlace) -> float:
    """Where a guard stands: as its settings say, else as it says itself. Raises `UsageError` where nothing says so."""
    guard: Any = place.guard
    stands = getattr(guard, "standing", guard)
    found = getattr(stands, "threshold", None) if place.settings.threshold is None else place.settings.threshold
    if found is None:
        raise UsageError(f"guard {place.name!r} does not say where it stands: give it a threshold.")
    return float(found)


def scored(
    pipeline: Pipeline, rows: Sequence[Labelled], *, step: Callable[[int], None] = lambda _: None
) -> list[Scored]:
    """The score of every row by the pipeline's one guard, in order; the code is that which serves.

    Raises:
        GuardFailed: it has no score for any row; the first reason is told.
    """
    [place] = pipeline.guards
    stage = stage_of(place)
    exhibits = (row.exhibit(stage) for row in rows)
    tasks = ((n, pipeline.case(exhibit.question).verdict(place, exhibit)) for n, exhibit in enumerate(exhibits))
    found: dict[int, Verdict] = {}
    for event in drive(tasks, pipeline.targets(), width=WIDTH):
        if not isinstance(event, Streamed) and isinstance(event.result, Verdict):
            found[event.key] = event.result
        step(len(found))
    if rows and all(verdict.score is None for verdict in found.values()):
        reasons = [verdict.reason for verdict in found.values() if verdict.reason]
        raise GuardFailed(f"guard {place.name!r} has no score for any row: {next(iter(reasons), 'it gives none')}")
    return [Scored(row, found[n].score if n in found else None) for n, row in enumerate(rows)]


# --- figures -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What is known of a scorer at a threshold; a row without a score counts as wrong.

    `n` and `hits` are of rows and of those that carry the label; `unscored` rows are among them.
    """

    n: int
    hits: int
    unscored: int
    auroc: Rate
    tpr: Rate
    fpr: Rate

    @property
    def balanced(self) -> float:
        """Mean of the shares that are right of each kind."""
        return (self.tpr.value + 1 - self.fpr.value) / 2


def quality(rows: Sequence[Scored], threshold: float) -> Quality:
    """AUROC, and the rates at a threshold."""
    hits = [one for one in rows if one.row.label]
    others = [one for one in rows if not one.row.label]
    value, low, high = stats.auroc(
        [(-1.0 if one.score is None else one.score, one.row.cluster) for one in hits],
        [(math.inf if one.score is None else one.score, one.row.cluster) for one in others],
    )
    return Quality(
        n=len(rows),
        hits=len(hits),
        unscored=sum(one.score is None for one in rows),
        auroc=Rate(value=value, low=low, high=high, n=len(rows)),
        tpr=_share(hits, threshold, lost=0.0),
        fpr=_share(others, threshold, lost=1.0),
    )


def _share(rows: Sequence[Scored], threshold: float, *, lost: float) -> Rate:
    """How many reach the threshold; what has no score counts as `lost`."""
    found = [lost if one.score is None else float(one.score >= threshold) for one in rows]
    if not found:
        return Rate(value=0.0, low=0.0, high=1.0, n=0)
    estimate = stats.mean(stats.Sample(scores=found, clusters=[one.row.cluster for one in rows]))
    return Rate(value=estimate.value or 0.0, low=estimate.low, high=estimate.high, n=len(found))


def threshold_under(rows: Sequence[Scored], bound: float) -> float:
    """The least threshold at which at most this share of rows without the label is hit, in the mean of the sets.

    Raises:
        BadInput: even a score of 1 is given to more of them.
    """
    others = [(math.inf if one.score is None else one.score, one.row.set) for one in rows if not one.row.label]
    counts = Counter(name for _, name in others)
    room, least = bound * len(counts) + 1e-9, 0.0
    for score, tied in groupby(sorted(others, reverse=True), key=lambda one: one[0]):
        room -= math.fsum(1 / counts[name] for _, name in tied)
        if room < 0:
            least = math.nextafter(score, math.inf)  # the first that has to stay below
            break
    if least > 1:
        raise BadInput(
            f"more than {bound:.1%} of the {len(others)} rows without the label score as high as can be, or have no "
            "score: no threshold keeps to that bound. Allow more, or take another scorer."
        )
    if not least:
        return 0.0
    reached = [one.score for one in rows if one.score is not None and one.score >= least]
    return min(reached, default=1.0)


# --- calibrating ---------------------------------------------------------------------------------


def calibrated(
    table: GuardTable,
    host: Host,
    data: LabelledSet,
    *,
    bound: float,
    relevant: str = "",
    untrained: bool = False,
    model: ModelTable | None = None,
    offline: bool = False,
    step: Callable[[int, int], None] = lambda *_: None,
) -> OperatingPoint:
    """Choose a threshold on the dev part of the rows, and tell what it is worth on the report part.

    Args:
        table: the guard; a threshold in it does not count.
        host: where its name is looked up.
        data: labelled rows.
        bound: most of the rows without the label that may be hits on the dev part, in the mean of its sets.
        relevant: the set that texts in use are like; empty is the worst.
        untrained: no row was ever trained on, so those of the train part choose the threshold too.
        model: as in `alone`.
        offline: never touch the network.
        step: told how many rows are scored, and of how many.

    Raises:
        BadInput: too few rows of either kind in a part or a set, or no threshold keeps to the bound.
        UsageError: there is no such relevant set.
        GuardFailed: the guard gives no scores.
    """
    bare = _bare(table)
    pipeline = alone(bare, host, model=model, offline=offline)
    choosing = {"train", "dev"} if untrained else {"dev"}
    dev = [row for row in data.rows if row.part in choosing]
    report = [row for row in data.rows if row.part == "report"]
    sets = _by(report, lambda row: row.set or data.name)
    if relevant and relevant not in sets:
        raise UsageError(f"no row to report on is of a set {relevant!r}. There is: {', '.join(sets)}.")
    parts = {"the dev part": dev, "the report part": report}
    for name, rows in (parts | {f"the report part of {name}": rows for name, rows in sets.items()}).items():
        _check_enough(name, rows)
    started = time.perf_counter()
    every = scored(pipeline, [*dev, *report], step=lambda done: step(done, len(dev) + len(report)))
    seconds = time.perf_counter() - started
    threshold = threshold_under(every[: len(dev)], bound)
    told = _by(every[len(dev) :], lambda one: one.row.set or data.name)
    characters = sum(len(row.text) + sum(map(len, row.context)) for row in (*dev, *report))
    return OperatingPoint(
        guard=table.name,
        scorer=pipeline.guards[0].scorer,
        data=data.name,
        threshold=threshold,
        bound=bound,
        dev=labelled.told(dev),
        sets=tuple(operating.worst_first([_on(name, rows, threshold) for name, rows in told.items()])),
        relevant=relevant,
        unscored=sum(one.score is None for one in every),
        ms=round(seconds * 1e6 * CHARACTERS / max(1, characters), 3),
    )


def _by(rows: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _on(name: str, rows: Sequence[Scored], threshold: float) -> OnSet:
    found = quality(rows, threshold)
    return OnSet(
        name=name,
        rows=labelled.told([one.row for one in rows]),
        tpr=found.tpr,
        fpr=found.fpr,
        auroc=found.auroc,
        balanced=found.balanced,
    )


def _bare(table: GuardTable) -> GuardTable:
    """The guard without a threshold or operating point of its own, and with a deadline that a batch will not meet."""
    return GuardTable(
        name=table.name, action=table.action, options=table.options, timeout_s=max(600.0, table.timeout_s)
    )


def _check_enough(name: str, rows: Sequence[Labelled]) -> None:
    hits = sum(row.label for row in rows)
    if min(hits, len(rows) - hits) < FEWEST:
        raise BadInput(
            f"{name} has {hits} rows with the label and {len(rows) - hits} without; each has to be {FEWEST} "
            "or more. Rows are divided by their texts: 70 of 100 are for training, 10 choose the threshold and 20 are "
            "reported. Bring more rows, or say --untrained if none of them was ever trained on."
        )


def by_group(rows: Sequence[Scored]) -> dict[str, list[Scored]]:
    """Rows by their group, sorted by its name."""
    groups = _by(rows, lambda one: one.row.group)
    return {name: groups[name] for name in sorted(groups)}
