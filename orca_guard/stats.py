"""Scores in, numbers out: a value, and between which bounds it lies whatever became of the items that have no score.

The unit of evidence is the cluster: items that share a passage or a prompt are not independent. How many independent
items a sample is worth follows from the cluster-robust variance of its mean, and that number goes into the score
interval of Wilson (1927), as Korn and Graubard (1998) do it for surveys. Sums are exact, so that no figure depends on
the order of the items.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

CONFIDENCE = 0.95
_BALANCED = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number over items, with its confidence interval.

    Attributes:
        value: over the items that have a score; None where none has.
        low: lower bound, with every item without a score counted as 0.
        high: upper bound, with every item without a score counted as 1.
        n: items that have a score.
        clusters: clusters among them.
        unscored: items without a score.
        effective_n: how many independent items those with a score are worth; at most `n`.
    """

    value: float | None
    low: float
    high: float
    n: int
    clusters: int
    unscored: int
    effective_n: float


Aggregator: TypeAlias = Callable[[Sequence[float | None], Sequence[str]], Estimate]


def mean(scores: Sequence[float | None], clusters: Sequence[str], *, confidence: float = CONFIDENCE) -> Estimate:
    """Mean of scores in [0, 1], with a score interval over clusters.

    Args:
        scores: one an item; None is an item without a score.
        clusters: the cluster of every item; an empty name is a cluster of its own.
        confidence: of the interval, both sides together.

    Raises:
        ValueError: a score outside [0, 1], NaN included, or not as many clusters as scores.
    """
    if strange := [score for score in scores if score is not None and not 0.0 <= score <= 1.0]:
        raise ValueError(f"a score lies in [0, 1], and {strange[0]!r} does not")
    known = [(score, name) for score, name in zip(scores, clusters, strict=True) if score is not None]
    sample = _sample([score for score, _ in known], [name for _, name in known], confidence)
    low = _bounds([score or 0.0 for score in scores], clusters, confidence)[0]
    high = _bounds([1.0 if score is None else score for score in scores], clusters, confidence)[1]
    return Estimate(
        value=sample.mean if known else None,
        low=low,
        high=high,
        n=len(known),
        clusters=sample.clusters,
        unscored=len(scores) - len(known),
        effective_n=sample.effective_n,
    )


AGGREGATORS: Mapping[str, Aggregator] = {"mean": mean}
"""What a metric may name as its aggregate."""


def wilson(p: float, n: float, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927); `n` need not be whole. Nothing is known of a sample of none."""
    if n <= 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2) / (1 + z * z / n)
    # The interval holds p, and only rounding says otherwise.
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


# --- how much a sample is worth ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sample:
    mean: float
    clusters: int
    effective_n: float


def _bounds(scores: Sequence[float], clusters: Sequence[str], confidence: float) -> tuple[float, float]:
    sample = _sample(scores, clusters, confidence)
    return wilson(sample.mean, sample.effective_n, confidence=confidence)


def _sample(scores: Sequence[float], clusters: Sequence[str], confidence: float) -> _Sample:
    if not scores:
        return _Sample(0.0, 0, 0.0)
    groups = _grouped(scores, clusters)
    p = math.fsum(scores) / len(scores)
    return _Sample(p, len(groups), _effective(p, len(scores), groups, confidence))


def _grouped(scores: Sequence[float], clusters: Sequence[str]) -> list[list[float]]:
    named: dict[str, list[float]] = {}
    alone = []
    for score, name in zip(scores, clusters, strict=True):
        if name:
            named.setdefault(name, []).append(score)
        else:
            alone.append([score])
    return [*named.values(), *alone]


def _effective(p: float, n: int, groups: Sequence[Sequence[float]], confidence: float) -> float:
    """Independent items that would give the mean the variance it has over clusters, between 1 and `n`.

    One item a cluster, right or wrong, is worth exactly itself. Of few clusters the variance is hardly known, and the
    ratio of the two quantiles of Student's distribution takes that off; without it 5 clusters of 20 items gave
    intervals at 95 % that held the truth in 83 of 100 cases. Clusters that do not differ at all are worth one each.
    """
    count = len(groups)
    residuals = [math.fsum(group) - len(group) * p for group in groups]
    if all(abs(residual) < _BALANCED for residual in residuals):
        return float(count)
    variance = count / (count - 1) * math.fsum(r * r for r in residuals) / n**2
    certainty = student(n - 1, confidence=confidence) / student(count - 1, confidence=confidence)
    return min(float(n), max(1.0, p * (1 - p) / variance * n / (n - 1) * certainty**2))


def student(freedom: int, *, confidence: float = CONFIDENCE) -> float:
    """Two-sided quantile of Student's distribution, to a thousandth at 95 %.

    Exact for one and two degrees of freedom, beyond that the expansion of Fisher and Cornish (1960).
    """
    q = (1 + confidence) / 2
    if freedom == 1:
        return math.tan(math.pi * (q - 0.5))
    if freedom == 2:  # noqa: PLR2004  # the other case with a closed form
        return (2 * q - 1) / math.sqrt(2 * q * (1 - q))
    z = NormalDist().inv_cdf(q)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, 1))
