"""Which strategy is best for a category is measured: accuracy with its interval, then cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from orca_guard.errors import BadInput
from orca_guard.items import Item
from orca_guard.paired import difference
from orca_guard.stats import CONFIDENCE, Sample, mean
from orca_guard_tuning.collect import Task, category_of
from orca_guard_tuning.policy import Cell, Policy
from orca_guard_tuning.triples import Triple


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen for a category.

    Attributes:
        category: of the prompts.
        strategy: that is taken.
        best: the one with the highest accuracy, if that is another.
        lead: over the next best: bounds of the paired difference in accuracy; None where there is only one strategy.
    """

    category: str
    strategy: str
    best: str
    lead: tuple[float, float] | None

    @property
    def decided(self) -> bool:
        """Whether the best is better than the next by more than chance explains."""
        return self.lead is None or self.lead[0] > 0


def check_gold(items: Iterable[Item]) -> None:
    """Raises `BadInput` where an answer is not known: nothing could be measured there."""
    unknown = [item.id for item in items if not item.gold]
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise BadInput(f"item {unknown[0]!r}{more} has no gold: a sweep needs known answers")


def swept(
    asked: Sequence[Task], answers: Mapping[str, Triple], *, margin: float, measured_on: str
) -> tuple[Policy, list[Choice]]:
    """The policy that follows from answers to prompts whose answer is known.

    Of the strategies within `margin` of the best accuracy the one with the fewest tokens is taken; of equals, the first
    by name. The accuracy of what was chosen is too high by having been chosen: it is no estimate of what it will reach.

    Args:
        asked: everything that was asked.
        answers: by id of the task; all are there.
        margin: of accuracy, as a share.
        measured_on: digest of the prompts.
    """
    cells: list[Cell] = []
    choices = []
    for category in sorted({category_of(task.item) for task in asked}):
        mine = [task for task in asked if category_of(task.item) == category]
        samples, costs = _measured(mine, answers)
        kept = Counter(task.way.name for task in mine if answers[task.id].cached)
        found = {name: _cell(category, name, sample, costs[name], kept[name]) for name, sample in samples.items()}
        cells += found.values()
        choices.append(_choice(category, found, samples, margin=margin))
    strategies: dict[str, str | tuple[str, ...]] = {choice.category: choice.strategy for choice in choices}
    return Policy(strategies=strategies, margin=margin, measured_on=measured_on, cells=tuple(cells)), choices


def _measured(asked: Sequence[Task], answers: Mapping[str, Triple]) -> tuple[dict[str, Sample], dict[str, float]]:
    """Scores and mean tokens a strategy, of the same items in the same order."""
    samples, costs = {}, {}
    for name in sorted({task.way.name for task in asked}):
        mine = sorted((task for task in asked if task.way.name == name), key=lambda task: task.item.id)
        rows = [answers[task.id] for task in mine]
        scores = [None if row.right is None else float(row.right) for row in rows]
        samples[name] = Sample(scores=scores, clusters=[task.item.cluster for task in mine])
        costs[name] = fmean(row.tokens for row in rows)
    return samples, costs


def _cell(category: str, strategy: str, sample: Sample, cost: float, cached: int) -> Cell:
    """What cannot be told counts as wrong."""
    low, high = mean(sample).interval(CONFIDENCE)
    right = int(sum(score or 0.0 for score in sample.scores))
    n = len(sample.scores)
    return Cell(category=category, strategy=strategy, n=n, right=right, accuracy=round(right / n, 4),
                interval=(round(low, 4), round(high, 4)), tokens=round(cost, 2),
                cached=cached)  # fmt: skip


def _choice(category: str, cells: Mapping[str, Cell], samples: Mapping[str, Sample], *, margin: float) -> Choice:
    ranked = sorted(cells.values(), key=lambda cell: (-cell.accuracy, cell.tokens, cell.strategy))
    best = ranked[0]
    near = [cell for cell in ranked if best.accuracy - cell.accuracy <= margin + 1e-9]
    taken = min(near, key=lambda cell: (cell.tokens, cell.strategy))
    lead = None
    if len(ranked) > 1:
        low, high = difference(samples[best.strategy], samples[ranked[1].strategy]).interval(CONFIDENCE)
        lead = (round(low, 4), round(high, 4))
    return Choice(category=category, strategy=taken.strategy, best=best.strategy, lead=lead)
