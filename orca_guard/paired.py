"""Two subjects asked the same items: how far apart they are, whether that could be chance, and what could be seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import NormalDist
from typing import Literal, TypeAlias

from orca_guard.stats import CONFIDENCE, LEAST_CLUSTERS, Columns, Linear, Sample, exact_sums, linear

EXACT_CLUSTERS = 16
"""Up to so many clusters that differ, all ways to flip their signs are looked at."""

DRAWS = 100_000
"""Ways that are drawn where there are more."""

SEED = 20231118
POWER = 0.8

Test: TypeAlias = Literal["none", "mcnemar", "sign-flip", "sign-flip, drawn"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """First minus second, item by item.

    Attributes:
        value: over the pairs of which both have a score; None where there is none, or none of a class.
        n: such pairs.
        clusters: clusters among them.
        unscored: pairs that lack a score.
        better: pairs in which the first has the higher score.
        worse: pairs in which the second has.
        apart: how far those that differ are apart, in the mean; 1 where none does.
        error: standard error of the value, cluster-robust.
        p: probability of a difference at least so large if there were none; two-sided. None under 10 clusters.
        test: how p was had.
        interval: confidence of both sides together → bounds. Missing scores count against the first for the lower bound
            and for it for the upper one.
    """

    value: float | None
    n: int
    clusters: int
    unscored: int
    better: int
    worse: int
    apart: float
    error: float
    p: float | None
    test: Test
    interval: Callable[[float], tuple[float, float]]

    def detectable(self, *, confidence: float = CONFIDENCE, power: float = POWER) -> float:
        """Smallest true difference that a test at this confidence finds with this power (minimum detectable effect).

        From the variance that was seen, and never less than an exact test can tell: where few items or none differ,
        little variance was seen, and yet a small difference would not have been found.
        """
        normal = NormalDist()
        seen = (normal.inv_cdf((1 + confidence) / 2) + normal.inv_cdf(power)) * self.error
        return min(1.0, max(seen, self.apart * _least_share(self.clusters, confidence=confidence, power=power)))


def difference(first: Sample, second: Sample, *, by_class: bool = False) -> Difference:
    """How far apart two samples of the same items are.

    The parts in which the first is better and in which it is worse are two means, each with its interval, and the
    interval of their difference is put together from those (Zou and Donner 2008), with their correlation over clusters
    where it is negative. So it is as careful about few differing items as the interval of a small rate is.

    Args:
        first: of the one.
        second: of the other, with the same clusters and classes.
        by_class: whether classes weigh the same.

    Raises:
        ValueError: they are not of the same items.
    """
    if (list(first.clusters), list(first.classes)) != (list(second.clusters), list(second.classes)):
        raise ValueError("a difference is taken between samples of the same items")
    pairs = _Pairs.of(first, second, by_class=by_class)
    known = pairs.known()
    worst, best, scored = (_Parts.of(pairs, 0.0), _Parts.of(pairs, 1.0), _Parts.of(known, 0.0))
    p, test = _test(known, scored)
    steps = known.steps()
    better, worse = int((steps.scores > 0).sum()), int((steps.scores < 0).sum())
    return Difference(
        value=scored.value if len(steps) and scored.up.classes == worst.up.classes else None,
        n=len(steps),
        clusters=len(scored.up.residuals),
        unscored=len(pairs.first) - len(steps),
        better=better,
        worse=worse,
        apart=float(abs(steps.scores).sum()) / (better + worse) if better + worse else 1.0,
        error=scored.error,
        p=p,
        test=test,
        interval=lambda confidence: (worst.interval(confidence)[0], best.interval(confidence)[1]),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Pairs:
    """The same items, scored twice."""

    first: Columns
    second: Columns

    @classmethod
    def of(cls, first: Sample, second: Sample, *, by_class: bool) -> _Pairs:
        one, other = ((sample if by_class else sample.without_classes()).columns() for sample in (first, second))
        return cls(first=one, second=other)

    def known(self) -> _Pairs:
        """Those of which both have a score."""
        both = self.first.scored & self.second.scored
        return _Pairs(first=self.first.at(both), second=self.second.at(both))

    def steps(self, missing: float = 0.0) -> Columns:
        """First minus second; `missing` is a score of the first that is not there, and of the second the opposite."""
        return self.first.with_scores(self.first.filled(missing).scores - self.second.filled(1 - missing).scores)


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """Where the first is better, and where it is worse."""

    up: Linear
    down: Linear

    @classmethod
    def of(cls, pairs: _Pairs, missing: float) -> _Parts:
        steps = pairs.steps(missing)
        up, down = (steps.with_scores((sign * steps.scores).clip(0.0)) for sign in (1, -1))
        return cls(up=linear(up), down=linear(down))

    @property
    def value(self) -> float:
        return self.up.value - self.down.value

    @property
    def error(self) -> float:
        """Standard error, cluster-robust."""
        count = len(self.up.residuals)
        squares = (self.up.residuals - self.down.residuals) ** 2
        return math.sqrt(count / (count - 1) * math.fsum(squares)) if count > 1 else 1.0

    @property
    def correlation(self) -> float:
        """Of the two parts, where it is negative and so makes the difference less certain."""
        up, down = self.up.residuals, self.down.residuals
        both, scale = math.fsum(up * down), math.sqrt(math.fsum(up**2) * math.fsum(down**2))
        return max(-1.0, min(0.0, both / scale)) if scale else 0.0

    def interval(self, confidence: float) -> tuple[float, float]:
        if self.up.least < self.up.classes * LEAST_CLUSTERS:
            return -1.0, 1.0
        up, down = (part.interval(confidence) for part in (self.up, self.down))
        low = self._reach(self.up.value - up[0], down[1] - self.down.value)
        high = self._reach(up[1] - self.up.value, self.down.value - down[0])
        return max(-1.0, self.value - low), min(1.0, self.value + high)

    def _reach(self, a: float, b: float) -> float:
        return math.sqrt(max(0.0, a * a + b * b - 2 * self.correlation * a * b))


# --- whether it could be chance ------------------------------------------------------------------------


def _test(known: _Pairs, scored: _Parts) -> tuple[float | None, Test]:
    if scored.up.least < scored.up.classes * LEAST_CLUSTERS:
        return None, "none"
    steps = _cluster_sums(known.steps())
    plain = len(steps) == len(known.first) and scored.up.classes == 1
    if plain and all(abs(step) in {0.0, 1.0} for step in steps):
        return mcnemar(sum(step > 0 for step in steps), sum(step < 0 for step in steps)), "mcnemar"
    differing = [step for step in steps if step]
    return sign_flip(differing), "sign-flip" if len(differing) <= EXACT_CLUSTERS else "sign-flip, drawn"


def _cluster_sums(steps: Columns) -> list[float]:
    import numpy as np  # noqa: PLC0415  # takes a tenth of a second

    _, classes, counts = np.unique(steps.classes, return_inverse=True, return_counts=True)
    _, clusters = np.unique(steps.clusters, return_inverse=True)
    parts = steps.scores / counts[classes] * len(steps) / len(counts)
    order = np.argsort(clusters, kind="stable")
    return [*map(float, exact_sums(parts[order], np.bincount(clusters)))]


def mcnemar(better: int, worse: int) -> float:
    """Exact test of paired right and wrong answers (McNemar 1947): two-sided p of so uneven a split."""
    n, fewer = better + worse, min(better, worse)
    return min(1.0, 2 * math.fsum(math.comb(n, k) / 2**n for k in range(fewer + 1))) if n else 1.0


def sign_flip(sums: Sequence[float]) -> float:
    """Two-sided p of a sum over clusters, if each cluster's sign had been as likely the other way (Fisher 1935).

    All ways are looked at where clusters are few. Otherwise ways are drawn with a fixed seed, and the observed one
    counts among them, so that p is never too small by luck.
    """
    import numpy as np  # noqa: PLC0415  # takes a tenth of a second

    steps = np.sort(np.abs(np.array([step for step in sums if step], dtype=float)))
    observed = abs(math.fsum(sums)) * (1 - 1e-12)
    if len(steps) <= EXACT_CLUSTERS:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(steps)))).reshape(2 ** len(steps), len(steps))
        return float((np.abs(signs @ steps) >= observed).mean())
    chance, hits = np.random.default_rng(SEED), 0
    for _ in range(DRAWS // 1000):
        signs = chance.integers(0, 2, (1000, len(steps))) * 2.0 - 1.0
        hits += int((np.abs(signs @ steps) >= observed).sum())
    return (hits + 1) / (DRAWS + 1)


def _least_share(clusters: int, *, confidence: float, power: float) -> float:
    """Share of clusters that has to differ, all the same way, for so many of them to do so as an exact test needs.

    A sign test of m clusters that all go one way has p = 2 / 2^m: below m = 6 none is at 95 %.
    """
    needed = math.ceil(1 - math.log2(1 - confidence))
    low, high = 0.0, 1.0
    if needed > clusters:
        return high
    for _ in range(40):
        share = (low + high) / 2
        fewer = math.fsum(math.comb(clusters, k) * share**k * (1 - share) ** (clusters - k) for k in range(needed))
        low, high = (share, high) if 1 - fewer < power else (low, share)
    return high


def holm(ps: Sequence[float]) -> list[float]:
    """P of a family of claims, each so adjusted that below a level no more than that share of families has a false
    claim (Holm 1979).
    """
    order = sorted(range(len(ps)), key=lambda n: ps[n])
    adjusted, so_far = [0.0] * len(ps), 0.0
    for rank, n in enumerate(order):
        so_far = max(so_far, min(1.0, ps[n] * (len(ps) - rank)))
        adjusted[n] = so_far
    return adjusted


# --- how much is noise -----------------------------------------------------------------------------------


def flips(first: Sample, second: Sample) -> Sample:
    """Which items came out differently in two runs that should be the same: 1 where they did.

    Of two runs of one plan but for the size of a unit it is the noise floor: no difference below it is the model's.
    """
    pairs = zip(first.scores, second.scores, first.clusters, strict=True)
    rows = [(float(abs(a - b) > FLIPPED), name) for a, b, name in pairs if a is not None and b is not None]
    return Sample(scores=[row[0] for row in rows], clusters=[row[1] for row in rows])


FLIPPED = 1e-3
"""Scores that are further apart came out differently."""
