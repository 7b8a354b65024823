"""Differences of paired scores: how large, how sure, how likely by chance, and what could have been found."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from statistics import NormalDist

from orca_guard.stats import student

POWER = 0.8
FLIPS = 9999
EXACT = 12
"""Clusters up to which every way of turning their signs is tried."""
MANY = 400
"""Clusters from which on the normal approximation is as good as turning signs by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Of pairs.

    Attributes:
        value: mean difference; None of no pairs.
        low, high: of its interval, 95 %; None of fewer than two clusters.
        p: two-sided, of no difference; None likewise.
        test: which one.
        detectable: the smallest true difference that would have been found with a power of 80 %; None likewise.
        n: pairs.
        clusters: among them.
    """

    value: float | None
    low: float | None
    high: float | None
    p: float | None
    test: str
    detectable: float | None
    n: int
    clusters: int


def paired(differences: Sequence[float], clusters: Sequence[str]) -> Difference:
    """The mean difference, with clusters as the unit of evidence.

    Its interval rests on the cluster-robust variance and Student's distribution. The test turns the signs of whole
    clusters; where each pair is a cluster and scores are right or wrong, that is McNemar's, and exact.

    Args:
        differences: a pair each.
        clusters: of each; empty is one of its own.
    """
    sums, sizes = _clustered(differences, clusters)
    n, count = len(differences), len(sums)
    if count < 2:  # noqa: PLR2004  # of one cluster nothing is known
        value = math.fsum(differences) / n if n else None
        return Difference(
            value=value, low=None, high=None, p=None, test="too few clusters", detectable=None, n=n, clusters=count
        )
    value = math.fsum(sums) / n
    residuals = [total - value * size for total, size in zip(sums, sizes, strict=True)]
    error = math.sqrt(count / (count - 1) * math.fsum(r * r for r in residuals)) / n
    reach = student(count - 1) * error
    test, p = _tested(sums, sizes, differences)
    return Difference(
        value=value,
        low=max(-1.0, value - reach),
        high=min(1.0, value + reach),
        p=p,
        test=test,
        detectable=min(1.0, (student(count - 1) + NormalDist().inv_cdf(POWER)) * error) if error else None,
        n=n,
        clusters=count,
    )


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Adjusted for being many (Holm 1979): each is the level at which it would be rejected among all that are known."""
    known = sorted((value, place) for place, value in enumerate(values) if value is not None)
    adjusted: list[float | None] = [None] * len(values)
    most = 0.0
    for rank, (value, place) in enumerate(known):
        most = max(most, min(1.0, value * (len(known) - rank)))
        adjusted[place] = most
    return adjusted


def _clustered(differences: Sequence[float], clusters: Sequence[str]) -> tuple[list[float], list[int]]:
    sums: dict[str | int, list[float]] = {}
    for place, (difference, name) in enumerate(zip(differences, clusters, strict=True)):
        sums.setdefault(name or place, []).append(difference)
    return [math.fsum(group) for group in sums.values()], [len(group) for group in sums.values()]


def _tested(sums: Sequence[float], sizes: Sequence[int], differences: Sequence[float]) -> tuple[str, float]:
    moved = [total for total in sums if abs(total) > 1e-12]  # noqa: PLR2004  # rounding
    if not moved:
        return "no pair differs", 1.0
    if max(sizes) == 1 and all(difference in {-1.0, 0.0, 1.0} for difference in differences):
        return "McNemar, exact", _mcnemar(sum(total > 0 for total in moved), len(moved))
    if len(moved) <= EXACT:
        return "sign-flip by cluster, exact", _every_flip(moved)
    if len(moved) >= MANY:
        z = abs(math.fsum(moved)) / math.sqrt(math.fsum(total * total for total in moved))
        return "sign-flip by cluster, normal approximation", 2 * (1 - NormalDist().cdf(z))
    return f"sign-flip by cluster, {FLIPS} draws", _some_flips(moved)


def _mcnemar(above: int, n: int) -> float:
    if n > 2000:  # noqa: PLR2004  # the sum is slow, and the normal approximation as good
        return min(1.0, 2 * (1 - NormalDist(n / 2, math.sqrt(n) / 2).cdf(max(above, n - above) - 0.5)))
    tail = sum(math.comb(n, k) for k in range(max(above, n - above), n + 1))
    return min(1.0, float(2 * tail / 2**n))


def _every_flip(sums: Sequence[float]) -> float:
    seen = abs(math.fsum(sums)) - 1e-9
    flips = list(product((1, -1), repeat=len(sums)))
    return sum(abs(math.fsum(s * t for s, t in zip(signs, sums, strict=True))) >= seen for signs in flips) / len(flips)


def _some_flips(sums: Sequence[float]) -> float:
    """Monte Carlo with a fixed seed; the seen one counts among the draws, so that p is never 0."""
    chance, seen = random.Random(0), abs(math.fsum(sums)) - 1e-9  # noqa: S311  # nothing is hidden
    hits = sum(
        abs(sum(total if chance.random() < 0.5 else -total for total in sums)) >= seen  # noqa: PLR2004  # a coin
        for _ in range(FLIPS)
    )
    return (hits + 1) / (FLIPS + 1)
