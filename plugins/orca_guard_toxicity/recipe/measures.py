"""How well scores tell two kinds of texts apart, with intervals over clusters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]
RESAMPLES: Final = 1000
_TAIL: Final = 2.5


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number with its 95 % percentile interval (Efron 1979) over resampled clusters."""

    value: float
    low: float
    high: float


def auroc(scores: Array, toxic: Array, *, weights: Array | None = None) -> float:
    """The share of pairs, one of each kind, that the scores put in order; ties count half (Hanley and McNeil 1982).

    Raises:
        ValueError: all texts are of one kind.
    """
    weights = np.ones(len(scores)) if weights is None else weights
    _, level = np.unique(scores, return_inverse=True)
    return _auroc(level, toxic.astype(bool), weights)


def _auroc(level: Array, toxic: Array, weights: Array) -> float:
    positive = np.bincount(level, weights * toxic)
    negative = np.bincount(level, weights * ~toxic)
    pairs = positive.sum() * negative.sum()
    if not pairs:
        raise ValueError("AUROC needs texts of both kinds")
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs)


def resampled(clusters: Sequence[str], *, seed: int, times: int = RESAMPLES) -> list[Array]:
    """How often each row is drawn when whole clusters are drawn with replacement."""
    names, place = np.unique(np.array(clusters, dtype=object).astype(str), return_inverse=True)
    chance = np.random.default_rng(seed)
    return [
        np.bincount(chance.integers(len(names), size=len(names)), minlength=len(names))[place] for _ in range(times)
    ]


def interval(statistic: Callable[[Array], float], *, draws: Sequence[Array]) -> Interval:
    """A statistic of row weights, with its interval over draws; draws without both kinds are left out."""
    found = []
    for weights in draws:
        try:
            found.append(statistic(weights))
        except ValueError:
            continue
    low, high = np.percentile(found, [_TAIL, 100 - _TAIL]) if found else (0.0, 1.0)
    return Interval(value=statistic(np.ones(len(draws[0]))), low=float(low), high=float(high))


def compared(
    scores: Array, other: Array, *, toxic: Array, draws: Sequence[Array]
) -> tuple[Interval, Interval, Interval]:
    """AUROC of two scorers and of the first above the second, on the same draws."""
    kinds = toxic.astype(bool)
    mine, theirs = (np.unique(given, return_inverse=True)[1] for given in (scores, other))
    return (
        interval(lambda w: _auroc(mine, kinds, w), draws=draws),
        interval(lambda w: _auroc(theirs, kinds, w), draws=draws),
        interval(lambda w: _auroc(mine, kinds, w) - _auroc(theirs, kinds, w), draws=draws),
    )


def threshold(scores: Array, *, weights: Array, most: float) -> float:
    """The least score at or above which no more than a share `most` of the weight lies; scores are of harmless texts.

    Where even the highest score holds more, the next larger number.
    """
    order = np.argsort(-scores, kind="stable")
    levels, total = scores[order], weights.sum()
    share = np.cumsum(weights[order]) / total
    last_of_level = np.append(levels[1:] != levels[:-1], [True])
    allowed = levels[last_of_level & (share <= most + 1e-12)]
    return float(allowed[-1]) if len(allowed) else float(np.nextafter(levels[0], np.inf))
