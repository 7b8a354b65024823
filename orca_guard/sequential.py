"""Bounds that hold however often one looks, so that asking can stop as soon as a gate is decided.

One bets on the means of clusters, one cluster after the other, that the rate is below (or above) a limit. If it is not,
the stake never grows more than a twentyfold with a probability of more than 1 in 20, whenever one stops (Ville 1939).
Five bets of fixed size are made side by side, each with a fifth of the stake, and what they hold together counts
(Robbins 1970; Waudby-Smith and Ramdas 2024). No distribution is assumed; means lie in [0, 1], clusters are alike in
law and come in an order that nobody chose. The rate is that of the mean cluster, so that a heavy one counts as one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from statistics import fmean
from typing import Literal, TypeAlias

from orca_guard.stats import AGGREGATORS, LEAST_CLUSTERS, Estimate, Sample

BETS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Shares of what is held that are put on every cluster. Large ones soon show a rate far from the limit, small ones in
the end also a near one; more of them cost more of the stake."""

LEAST_PLANNED = 100
"""Clusters that a sequential gate takes: with fewer, asking all of them is as soon done and shows more."""

_STEPS = 60

Side: TypeAlias = Literal[-1, 1]
"""-1 bets on a rate below the limit, 1 on one above it."""


class Stakes:
    """What the bets against one limit have come to, one cluster mean after the other.

    Args:
        limit: that is bet against.
        side: on which side of it the rate is bet to be.
    """

    def __init__(self, limit: float, side: Side) -> None:
        self._limit, self._side = limit, side
        self._held = [0.0] * len(BETS)

    def add(self, mean: float, times: int = 1) -> None:
        """A cluster mean, or several that are alike."""
        for number, bet in enumerate(BETS):
            factor = bet * self._side * (mean - self._limit)
            self._held[number] += times * math.log1p(factor) if factor > -1 else -math.inf

    @property
    def log(self) -> float:
        """Logarithm of what all hold together, of a stake of 1."""
        most = max(self._held)
        if most == -math.inf:
            return most
        return most + math.log(math.fsum(math.exp(held - most) for held in self._held) / len(BETS))


def bound(means: Mapping[float, int], side: Side, *, error: float) -> float:
    """The limit up to which the bets have not paid: an upper bound of the rate for side -1, a lower one for side 1.

    Args:
        means: of clusters, and how many have each.
        side: of the bets.
        error: probability that the bound is ever wrong, however often one looks.
    """
    inside, outside = (1.0, 0.0) if side > 0 else (0.0, 1.0)
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        stakes = Stakes(middle, side)
        for mean, times in means.items():
            stakes.add(mean, times)
        inside, outside = (inside, middle) if stakes.log >= -math.log(error) else (middle, outside)
    return outside


def estimate(sample: Sample, aggregate: str) -> Estimate:
    """A number over items that were asked until a gate was decided.

    Only a mean has bounds then: of others nothing is known that holds whenever one stops. Its value is the mean of
    cluster means.
    """
    plain = AGGREGATORS[aggregate](sample)
    if aggregate != "mean":
        return replace(plain, interval=lambda _: (0.0, 1.0))
    lows, highs = cluster_means(sample, 0.0), cluster_means(sample, 1.0)
    known = cluster_means(sample, None)

    def interval(confidence: float) -> tuple[float, float]:
        if len(highs) < LEAST_CLUSTERS:
            return 0.0, 1.0
        error = (1 - confidence) / 2
        return bound(Counter(lows), 1, error=error), bound(Counter(highs), -1, error=error)

    return replace(plain, value=fmean(known) if known else None, interval=interval)


def cluster_means(sample: Sample, missing: float | None) -> list[float]:
    """Of every cluster the mean of its items, with this for scores that are missing; without them where it is None."""
    clusters: dict[str | int, list[float]] = {}
    for place, (score, cluster) in enumerate(zip(sample.scores, sample.clusters, strict=True)):
        if (filled := missing if score is None else score) is not None:
            clusters.setdefault(cluster or place, []).append(filled)
    return [_mean(scores) for scores in clusters.values()]


def _mean(scores: Iterable[float]) -> float:
    found = list(scores)
    return math.fsum(found) / len(found)
