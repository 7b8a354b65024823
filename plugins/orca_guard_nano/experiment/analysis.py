"""From cells to contrasts: the seed is the unit, intervals resample seeds and within them templates."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from orca_guard.paired import holm

from .plan import ARMS, CATEGORIES, MEASURES, SPLITS, Plan

PLACES = {"right": 3, "tokens": 4, "formed": 5, "best": 6}


def _parts(result: dict[str, Any], *, split: str) -> dict[str, list[list[Any]]]:
    return {c: [row for row in result[split] if row[0] == c] for c in CATEGORIES}


def figure(result: dict[str, Any], *, split: str, arm: str, measure: str) -> float:
    """The mean over categories of a measure's mean over items."""
    place, number = PLACES[measure], ARMS.index(arm)
    shares = [
        sum(row[place][number] for row in rows) / sum(row[2] for row in rows)
        for rows in _parts(result, split=split).values()
    ]
    return sum(shares) / len(shares)


def _resampled(result: dict[str, Any], *, split: str, pair: tuple[str, str], measure: str, draws: int,
               rng: np.random.Generator) -> Any:  # fmt: skip
    """The seed's difference under resampled templates, `draws` times."""
    place, (one, two) = PLACES[measure], (ARMS.index(arm) for arm in pair)
    total = np.zeros(draws)
    for rows in _parts(result, split=split).values():
        counts = np.array([row[2] for row in rows], float)
        gains = np.array([row[place][one] - row[place][two] for row in rows], float)
        weights = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=draws)
        total += (weights @ gains) / (weights @ counts)
    return total / len(CATEGORIES)


def interval(results: Sequence[dict[str, Any]], *, split: str, pair: tuple[str, str], measure: str,
             draws: int) -> tuple[float, float]:  # fmt: skip
    """95 % percentile interval of the mean difference, two levels: seeds, and templates within each."""
    rng = np.random.default_rng(1)
    each = np.stack([
        _resampled(result, split=split, pair=pair, measure=measure, draws=draws, rng=rng) for result in results
    ])  # fmt: skip
    seeds = rng.integers(len(results), size=(draws, len(results)))
    means = each[seeds, rng.integers(draws, size=seeds.shape)].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def contrasts(results: Sequence[dict[str, Any]], plan: Plan) -> list[dict[str, Any]]:
    """Every contrast of the plan, with Holm's correction within each measure."""
    rows = []
    for measure, split, one, two in plan.contrasts:
        gaps = [
            figure(r, split=split, arm=one, measure=measure) - figure(r, split=split, arm=two, measure=measure)
            for r in results
        ]
        low, high = interval(results, split=split, pair=(one, two), measure=measure, draws=plan.draws)
        rows.append({
            "measure": measure, "split": split, "arm": one, "against": two, "seeds": gaps,
            "mean": sum(gaps) / len(gaps), "low": low, "high": high, "p": _p(gaps),
        })  # fmt: skip
    for measure in MEASURES:
        family = [row for row in rows if row["measure"] == measure]
        for row, p in zip(family, holm([row["p"] for row in family]), strict=True):
            row["holm"] = p
    return rows


def _p(gaps: Sequence[float]) -> float:
    """Two-sided t test of the seeds' differences against none."""
    if len(gaps) < 2 or max(gaps) == min(gaps):
        return 1.0
    p = float(stats.ttest_1samp(gaps, 0).pvalue)
    return 1.0 if math.isnan(p) else p


def summary(results: Sequence[dict[str, Any]], plan: Plan) -> dict[str, Any]:
    """All that the page shows."""
    arms = {
        split: {arm: {m: [figure(r, split=split, arm=arm, measure=m) for r in results] for m in PLACES} for arm in ARMS}
        for split in SPLITS
    }
    return {"arms": arms, "contrasts": contrasts(results, plan)}
