"""People against people, and scores against people: how far they agree, and a rate that leans on both."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Z = 1.959963984540054
FEWEST = 10
"""Clusters that people labelled below which a corrected rate is not computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """A number between its bounds, 95 %."""

    value: float
    low: float
    high: float


def kappa(pairs: Sequence[tuple[str, str]]) -> Bounded | None:
    """Cohen's kappa (1960) of two people's labels of the same things, with its interval by the jackknife.

    None of fewer than two pairs, and where chance alone would agree always.
    """
    counts = Counter(pairs)
    value = _kappa(counts)
    if value is None or len(pairs) < 2:  # noqa: PLR2004  # nothing can be left out of one
        return None
    n = len(pairs)
    left = [(_kappa(counts - Counter([pair])), count) for pair, count in counts.items()]
    ups = [((value if one is None else one), count) for one, count in left]
    middle = sum(one * count for one, count in ups) / n
    error = math.sqrt((n - 1) / n * sum(count * (one - middle) ** 2 for one, count in ups))
    return Bounded(value=value, low=max(-1.0, value - Z * error), high=min(1.0, value + Z * error))


def _kappa(counts: Counter[tuple[str, str]]) -> float | None:
    n = counts.total()
    if not n:
        return None
    first, second = Counter[str](), Counter[str]()
    for (a, b), count in counts.items():
        first[a] += count
        second[b] += count
    agreed = sum(count for (a, b), count in counts.items() if a == b) / n
    chance = sum(first[label] * second[label] for label in first) / n**2
    return None if chance == 1 else (agreed - chance) / (1 - chance)


# --- a rate from many scores and few labels ----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A record: what the score says (1 a pass), what people say, None where nobody was asked, and its cluster."""

    score: float
    label: float | None
    cluster: str


def corrected(strata: Mapping[str, Sequence[Scored]]) -> Bounded | None:
    """The rate that people would give all records, from everybody's scores and some people's labels.

    Of every stratum: the mean score of all records, plus the mean of label less score of those with a label; strata are
    weighed by their records. It is unbiased whatever the scores are worth, and better than the labels alone where they
    are worth something: prediction-powered inference (Angelopoulos et al. 2023, Science 382). As the two means share
    records, the same number is written as a sum over records with a label and one over those without, which are
    independent; variances are over clusters. Labels must have been drawn by chance within their stratum.

    None where a stratum has fewer than two labelled clusters, or all have fewer than `FEWEST` together.
    """
    total = sum(map(len, strata.values()))
    value = variance = 0.0
    freedom = 0
    for records in strata.values():
        found = _stratum(records)
        if found is None:
            return None
        weight = len(records) / total
        value += weight * found[0]
        variance += weight**2 * found[1]
        freedom += found[2] - 1
    if freedom + len(strata) < FEWEST:
        return None
    from scipy.special import stdtrit  # noqa: PLC0415  # takes a tenth of a second

    reach = float(stdtrit(freedom, 0.975)) * math.sqrt(variance)
    return Bounded(value=min(1.0, max(0.0, value)), low=max(0.0, value - reach), high=min(1.0, value + reach))


def _stratum(records: Sequence[Scored]) -> tuple[float, float, int] | None:
    """Rate, its variance, and labelled clusters."""
    share = sum(record.label is None for record in records) / len(records)
    labelled = [(r.label - share * r.score, r.cluster) for r in records if r.label is not None]
    rest = [(share * r.score, r.cluster) for r in records if r.label is None]
    mean, variance, _ = _mean(rest)
    gap, gap_variance, clusters = _mean(labelled)
    if clusters < 2:  # noqa: PLR2004  # of one, nothing is known
        return None
    return mean + gap, variance + gap_variance, clusters


def _mean(rows: Sequence[tuple[float, str]]) -> tuple[float, float, int]:
    """Mean, its variance over clusters, and their number."""
    if not rows:
        return 0.0, 0.0, 0
    mean = math.fsum(value for value, _ in rows) / len(rows)
    residuals: dict[str | int, float] = {}
    for place, (value, name) in enumerate(rows):
        residuals[name or place] = residuals.get(name or place, 0.0) + value - mean
    count = len(residuals)
    if count < 2:  # noqa: PLR2004  # as above
        return mean, 0.0, count
    return mean, count / (count - 1) * math.fsum(r * r for r in residuals.values()) / len(rows) ** 2, count
