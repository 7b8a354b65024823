"""Scores in, numbers out: a value, and between which bounds it lies whatever became of the items that have no score.

The unit of evidence is the cluster: items that share a passage or a prompt are not independent. How many independent
items a sample is worth follows from the cluster-robust variance of its mean, taken at an upper estimate, and that goes
into the interval of Clopper and Pearson (1934), as Korn and Graubard (1998) do it for surveys. docs/statistics.md has
every formula, and how often each bound was wrong. Sums are exact, so that no figure depends on the order of items.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIDENCE = 0.95

LEAST_CLUSTERS = 10
"""With fewer there is no interval: nothing is said of how clusters differ by so few of them."""

UPPER = 0.88
"""Confidence of the upper estimate of a variance. It is chosen on the grid of `benchmarks/coverage.py`: with less of it
some gate at the true rate passes too often; with more, bounds are needlessly far away."""

EVEN = 1.5
"""A variance has no more degrees of freedom than this times the clusters that there would be if all had one weight."""

_NOTHING = 1e-9


# --- what a number is made of ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a number is made of.

    Attributes:
        scores: one an item, in [0, 1]; None is an item without a score.
        clusters: the cluster of every item; an empty name is a cluster of its own.
        classes: the class of every item, for aggregators that have classes; empty where all items are of one.
        names: all classes, also those that no item here is of; empty is those of the items.

    Raises:
        ValueError: a score outside [0, 1], NaN included, or not as many clusters or classes as scores.
    """

    scores: Sequence[float | None]
    clusters: Sequence[str]
    classes: Sequence[str] = ()
    names: Collection[str] = ()

    def __post_init__(self) -> None:
        if strange := [score for score in self.scores if score is not None and not 0.0 <= score <= 1.0]:
            raise ValueError(f"a score lies in [0, 1], and {strange[0]!r} does not")
        if len(self.clusters) != len(self.scores) or len(self.classes) not in {0, len(self.scores)}:
            raise ValueError(f"{len(self.scores)} scores, and not as many clusters or classes")

    def columns(self) -> Columns:
        """All items, and of every class without items one that has no score."""
        import numpy as np  # noqa: PLC0415  # takes a tenth of a second

        lacking = sorted({*self.names} - {*self.classes})
        classes = [*(self.classes or [""] * len(self.scores)), *lacking]
        place = {name: number for number, name in enumerate(sorted({*classes}))}
        return Columns(
            scores=np.array([*self.scores, *(None for _ in lacking)], dtype=float),
            clusters=np.array(_numbers([*self.clusters, *("" for _ in lacking)])),
            classes=np.array(array("q", map(place.__getitem__, classes))),
        )

    def without_classes(self) -> Sample:
        """All items, as of one class."""
        return Sample(scores=self.scores, clusters=self.clusters)


def _numbers(names: Iterable[str]) -> array[int]:
    """A number for every name; for an empty one, a number of its own."""
    known: dict[str, int] = {}
    places = enumerate(names)
    return array("q", (known.setdefault(name, len(known)) if name else -1 - place for place, name in places))


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Columns:
    """A sample in arrays, so that many items take little memory.

    Attributes:
        scores: of every item; NaN is none.
        clusters: a number that the items of a cluster share.
        classes: likewise of a class; they are numbered in the order of their names.
    """

    scores: NDArray[np.float64]
    clusters: NDArray[np.int64]
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        """How many items."""
        return len(self.scores)

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Of every item, whether it has a score."""
        import numpy as np  # noqa: PLC0415  # as above

        return ~np.isnan(self.scores)

    def at(self, which: NDArray[np.bool_]) -> Columns:
        """The items for which this is true."""
        return Columns(scores=self.scores[which], clusters=self.clusters[which], classes=self.classes[which])

    def with_scores(self, scores: NDArray[np.float64]) -> Columns:
        """The same items with these."""
        return replace(self, scores=scores)

    def filled(self, missing: float) -> Columns:
        """With this for every score that is missing."""
        import numpy as np  # noqa: PLC0415  # as above

        return self.with_scores(np.nan_to_num(self.scores, nan=missing))


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number over items, and how far it can be trusted.

    Attributes:
        value: over the items that have a score; None where none has, or none of a class.
        n: items that have a score.
        clusters: clusters among them.
        unscored: items without a score.
        interval: confidence of both sides together → lower and upper bound. Items without a score count as 0 for the
            lower one and as 1 for the upper one.
        scored: the mean of the items that have a score, class by class.
        worst: that of all items, with 0 for every missing score.
        best: likewise, with 1.
    """

    value: float | None
    n: int
    clusters: int
    unscored: int
    interval: Callable[[float], tuple[float, float]]
    scored: Linear = field(repr=False)
    worst: Linear = field(repr=False)
    best: Linear = field(repr=False)

    @cached_property
    def low(self) -> float:
        """Lower bound at the usual confidence."""
        return self.interval(CONFIDENCE)[0]

    @cached_property
    def high(self) -> float:
        """Upper bound at the usual confidence."""
        return self.interval(CONFIDENCE)[1]


Aggregator: TypeAlias = Callable[[Sample], Estimate]


def mean(sample: Sample, /) -> Estimate:
    """Mean over all items, whatever their class."""
    return _mean(sample.without_classes().columns())


def balanced(sample: Sample, /) -> Estimate:
    """Mean over the classes of the mean in each: balanced accuracy, where classes are those of the gold.

    Classes are strata, each with the same weight however many items it has. Clusters may lie in several of them.
    """
    return _mean(sample.columns())


def gap(sample: Sample, /) -> Estimate:
    """Best minus worst class mean.

    The interval holds whichever classes turn out best and worst: each class has an interval at a confidence that makes
    all of them hold together (Bonferroni), and the bounds are the narrowest and the widest gap that they leave.
    """
    columns = sample.columns()
    parts = [_mean(columns.at(columns.classes == number)) for number in sorted({*columns.classes.tolist()})]
    values = [part.value for part in parts if part.value is not None]
    whole = mean(sample)

    def interval(confidence: float) -> tuple[float, float]:
        each = [part.interval(1 - (1 - confidence) / len(parts)) for part in parts]
        pairs = [(a, b) for n, a in enumerate(each) for m, b in enumerate(each) if n != m]
        return max((0.0, *(a[0] - b[1] for a, b in pairs))), max((a[1] - b[0] for a, b in pairs), default=1.0)

    value = max(values) - min(values) if len(values) == len(parts) > 1 else None
    return replace(whole, value=value, interval=interval)


def agreement(sample: Sample, /) -> Estimate:
    """How often the items of a class come to the same: the two orders of one pair of options, for example.

    Of two items with scores a and b it is ab + (1 - a)(1 - b), the chance that both come out right or both wrong where
    ties are drawn; of more, the mean over all two of them. A class of one item here tells nothing, and is no case.
    """
    classes: dict[str, list[tuple[float | None, str]]] = {}
    for score, cluster, name in zip(sample.scores, sample.clusters, sample.classes, strict=True):
        classes.setdefault(name, []).append((score, cluster))
    several = [rows for rows in classes.values() if len(rows) > 1]
    scores, clusters = [_agreeing([score for score, _ in rows]) for rows in several], [rows[0][1] for rows in several]
    return mean(Sample(scores=scores, clusters=clusters))


def _agreeing(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    if len(known) < len(scores):
        return None
    return fmean(a * b + (1 - a) * (1 - b) for a, b in combinations(known, 2))


AGGREGATORS: Mapping[str, Aggregator] = {"mean": mean, "balanced": balanced, "gap": gap, "agreement": agreement}
"""What a metric may name as its aggregate."""

CLASSED = frozenset({"balanced", "gap", "agreement"})
"""Those that need classes."""


def _mean(items: Columns) -> Estimate:
    # Mostly nothing is missing: then all three are one.
    known = items.at(items.scored)
    whole = len(known) == len(items)
    scored = linear(known)
    worst, best = (scored if whole else linear(items.filled(missing)) for missing in (0.0, 1.0))
    return Estimate(
        value=scored.value if len(known) and scored.classes == worst.classes else None,
        n=len(known),
        clusters=len(scored.residuals),
        unscored=len(items) - len(known),
        interval=lambda confidence: (worst.interval(confidence)[0], best.interval(confidence)[1]),
        scored=scored,
        worst=worst,
        best=best,
    )


# --- a mean, and how many independent items it is worth ------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear:
    """A mean of class means. With one class it is the mean.

    Attributes:
        value: of the mean.
        classes: how many.
        size: independent items of which a plain mean would be as certain; with one class, how many there are.
        least: classes times the clusters of the smallest one; with one class, how many clusters there are.
        held: the fewest clusters that hold a score above 0, or one below 1.
        pure: variance that classes have whose scores are all 0 or all 1, if one more cluster may differ by half.
        residuals: a cluster, the sum of its items' distances from their class means, with the weights of the mean.
        weights: a cluster, in the same order, its weight in the mean; all of them add up to 1.
    """

    value: float
    classes: int
    size: float
    least: int
    held: int
    pure: float
    residuals: NDArray[np.float64]
    weights: NDArray[np.float64]

    @cached_property
    def kish(self) -> float:
        """Clusters of one weight that a mean of theirs would be as certain with (Kish 1965)."""
        return 1 / math.fsum(self.weights**2)

    @cached_property
    def variance(self) -> float:
        """Cluster-robust variance of the value; 0 where clusters do not differ at all.

        A heavy cluster draws the mean towards itself, and its residual is taken for larger by what that hides (CR2 of
        Bell and McCaffrey 2002). For clusters of one weight that is the usual G / (G - 1).
        """
        if (abs(self.residuals) * self.size < _NOTHING).all():
            return 0.0
        return math.fsum(self.residuals**2 / (1 - self.weights)) + self.pure

    @cached_property
    def freedom(self) -> float:
        """Degrees of freedom of the variance: clusters that hold an event, since the others say little of it.

        Heavy clusters take some off, and with several classes so do those that do not carry the variance.
        """
        squares = self.residuals**2
        carrying = math.fsum(squares) ** 2 / math.fsum(squares**2) if self.classes > 1 else math.inf
        return max(1.0, min(len(squares) - 1, self.held, EVEN * self.kish, carrying))

    @cached_property
    def effective(self) -> float:
        """Independent items that would give the value the variance it has, taken at an upper estimate.

        Clusters that do not differ at all, as those without any event, are worth one item each. No sample is worth more
        than its items, and none less than clusters of items that are all alike.
        """
        if not self.variance:
            return float(self.least)
        p, n = self.value, self.size
        worth = p * (1 - p) / self.variance * n / (n - 1) * shrink(self.freedom)
        return min(n, max(worth, min(self.kish, self.least)))

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Lower and upper bound; `confidence` is of both together. With too few clusters nothing is known."""
        if self.least < max(1, self.classes) * LEAST_CLUSTERS:
            return 0.0, 1.0
        return clopper_pearson(self.value, self.effective, confidence=confidence)


def linear(items: Columns) -> Linear:
    """Of items that all have a score."""
    import numpy as np  # noqa: PLC0415  # as above

    which, clusters = np.unique(items.clusters, return_inverse=True)
    _, classes, counts = np.unique(items.classes, return_inverse=True, return_counts=True)
    order = np.lexsort((clusters, classes))
    scores, clusters, classes = items.scores[order], clusters[order], classes[order]
    # A cell is what a cluster has of a class: its items stand next to one another now, class by class.
    starts = np.flatnonzero(np.diff(clusters, prepend=-1) | np.diff(classes, prepend=-1))
    sizes, of, within = np.diff(starts, append=len(scores)), clusters[starts], classes[starts]
    means = exact_sums(scores, counts) / counts
    weight = 1 / (len(counts) * counts[within])
    cells = np.bincount(within, minlength=len(counts))
    residuals, weights = np.zeros((2, len(which)))
    np.add.at(residuals, of, (exact_sums(scores, sizes) - sizes * means[within]) * weight)
    np.add.at(weights, of, sizes * weight)
    pure = [_pure(p, n) / len(counts) ** 2 for p, n in zip(means.tolist(), cells.tolist(), strict=True) if p in {0, 1}]
    return Linear(
        value=math.fsum(means) / max(1, len(counts)),
        classes=len(counts),
        size=len(counts) ** 2 / math.fsum(1 / counts) if len(scores) else 0.0,
        least=len(counts) * min(cells.tolist(), default=0),
        held=min(len(np.unique(clusters[scores != end])) for end in (0.0, 1.0)),
        pure=math.fsum(pure),
        residuals=residuals,
        weights=weights,
    )


def exact_sums(scores: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Exact sums of the first so many scores, of so many after those, and so on."""
    import numpy as np  # noqa: PLC0415  # as above

    parts = zip(sizes.cumsum(), sizes, strict=True)
    return np.fromiter((math.fsum(scores[stop - size : stop]) for stop, size in parts), float, len(sizes))


def _pure(p: float, clusters: int) -> float:
    near = (p * clusters + 0.5) / (clusters + 1)
    return near * (1 - near) / clusters


def shrink(freedom: float) -> float:
    """A lower quantile of chi-square over its degrees of freedom (Wilson and Hilferty 1931).

    A variance divided by it is an upper estimate, at the confidence `UPPER`.
    """
    part = 2 / (9 * freedom)
    return max(0.0, 1 - part - NormalDist().inv_cdf(UPPER) * math.sqrt(part)) ** 3


def clopper_pearson(p: float, n: float, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval of Clopper and Pearson (1934) of a proportion; `n` need not be whole.

    Each side alone errs with a probability of at most (1 - confidence) / 2.
    """
    from scipy.special import betaincinv  # noqa: PLC0415  # takes a quarter of a second

    tail = (1 - confidence) / 2
    hits, misses = p * n, (1 - p) * n
    low = float(betaincinv(hits, misses + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, misses, 1 - tail)) if misses > 0 else 1.0
    return min(p, low), max(p, high)


# --- how well a score tells two kinds of rows apart ------------------------------------------------


def auroc(
    hits: Sequence[tuple[float, str]], others: Sequence[tuple[float, str]], *, confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """How likely a labelled row scores above another, ties counting half, and its interval.

    The variance is that of DeLong, DeLong and Clarke-Pearson (1988) summed over clusters as Obuchowski (1997) does it;
    the interval is symmetric in the logit and so stays within [0, 1]. Where no pair is ordered against the rest there
    is no variance to go by, and the bound is that of so many successes without a failure as the smaller kind has rows.

    Args:
        hits: score and cluster of every row that carries the label; an empty name is a cluster of its own.
        others: likewise of every row that does not.
        confidence: of both sides together.

    Returns:
        Value, lower bound, upper bound. Without rows of both kinds nothing is known: 0.5, 0, 1.
    """
    if not hits or not others:
        return 0.5, 0.0, 1.0
    above = _placements([score for score, _ in hits], [score for score, _ in others])
    below = [1 - share for share in _placements([score for score, _ in others], [score for score, _ in hits])]
    value = math.fsum(above) / len(above)
    influence: dict[str | tuple[str, int], float] = {}
    for kind, rows, shares in (("hit", hits, above), ("other", others, below)):
        for at, ((_, cluster), share) in enumerate(zip(rows, shares, strict=True)):
            name = cluster or (kind, at)
            influence[name] = influence.get(name, 0.0) + (share - value) / len(rows)
    spread = math.fsum(part * part for part in influence.values()) * len(influence) / max(1, len(influence) - 1)
    if spread <= _NOTHING**2 or not 0 < value < 1:
        least, tail = min(len(hits), len(others)), (1 - confidence) / 2
        return value, value * tail ** (1 / least), 1 - (1 - value) * tail ** (1 / least)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(spread) / (value * (1 - value))
    centre = math.log(value / (1 - value))
    low, high = (1 / (1 + math.exp(-max(-700.0, min(700.0, centre + side)))) for side in (-half, half))
    return value, low, high


def _placements(scores: Sequence[float], others: Sequence[float]) -> list[float]:
    """Of every score, the share of the others that lie below it, ties counting half."""
    ranked = sorted(others)
    return [(bisect_left(ranked, score) + bisect_right(ranked, score)) / (2 * len(ranked)) for score in scores]
