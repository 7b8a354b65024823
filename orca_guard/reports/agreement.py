"""People against people, and scores against people: how far they agree, and a rate that leans on both."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orca_guard.paired import difference
from orca_guard.stats import CONFIDENCE, LEAST_CLUSTERS, Sample, mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """A number between its bounds, 95 %."""

    value: float
    low: float
    high: float


def kappa(pairs: Sequence[tuple[str, str]]) -> Bounded | None:
    """Cohen's kappa (1960) of two people's labels of the same things.

    Its bounds are those of the share on which they agree, with what chance alone would give taken as known. None of no
    pairs, and where chance alone would agree always.
    """
    n = len(pairs)
    if not n:
        return None
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(first[label] * second[label] for label in first) / n**2
    if chance == 1:
        return None
    agreed = mean(Sample(scores=[float(a == b) for a, b in pairs], clusters=[""] * n))
    value, low, high = (((at or 0.0) - chance) / (1 - chance) for at in (agreed.value, agreed.low, agreed.high))
    return Bounded(value=value, low=low, high=high)


# --- a rate from many scores and few labels ----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A record: what the score says (1 a pass), what people say, None where nobody was asked, and its cluster."""

    score: float
    label: float | None
    cluster: str


def corrected(strata: Mapping[str, Sequence[Scored]], *, confidence: float = CONFIDENCE) -> Bounded | None:
    """The rate that people would give all records, from everybody's scores and some people's labels.

    Of every stratum: the mean score of all records, plus the mean of label less score of those with a label; strata are
    weighed by their records. It is unbiased whatever the scores are worth, and better than the labels alone where they
    are worth something: prediction-powered inference (Angelopoulos et al. 2023, Science 382). Labels must have been
    drawn by chance within their stratum.

    The two means have their own intervals over clusters, which are put together as if they were independent (Zou and
    Donner 2008). They are not: where a score is high the label can only be lower, so what is left out would make the
    interval narrower.

    None where a stratum has fewer than 10 labelled clusters.
    """
    total = sum(map(len, strata.values()))
    value = below = above = 0.0
    for records in strata.values():
        part = _stratum(records, confidence)
        if part is None:
            return None
        weight = len(records) / total
        value += weight * part.value
        below += (weight * (part.value - part.low)) ** 2
        above += (weight * (part.high - part.value)) ** 2
    value = min(1.0, max(0.0, value))
    return Bounded(value=value, low=max(0.0, value - math.sqrt(below)), high=min(1.0, value + math.sqrt(above)))


def _stratum(records: Sequence[Scored], confidence: float) -> Bounded | None:
    asked = [record for record in records if record.label is not None]
    labels, theirs = _sample(asked, labels=True), _sample(asked)
    gap = difference(labels, theirs)
    if gap.value is None or gap.clusters < LEAST_CLUSTERS:
        return None
    if len(asked) == len(records):  # the labels are the answer
        whole = mean(labels)
        low, high = whole.interval(confidence)
        return Bounded(value=whole.value or 0.0, low=low, high=high)
    scores = mean(_sample(records))
    (least, most), (low, high) = scores.interval(confidence), gap.interval(confidence)
    value = (scores.value or 0.0) + gap.value
    below = math.hypot((scores.value or 0.0) - least, gap.value - low)
    above = math.hypot(most - (scores.value or 0.0), high - gap.value)
    return Bounded(value=value, low=value - below, high=value + above)


def _sample(records: Sequence[Scored], *, labels: bool = False) -> Sample:
    scores = [record.label if labels else record.score for record in records]
    return Sample(scores=scores, clusters=[record.cluster for record in records])
