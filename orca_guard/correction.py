"""A rate as an imperfect scorer saw it, corrected for what it is known to miss and to make up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orca_guard.stats import CONFIDENCE, LEAST_CLUSTERS, Estimate, Linear

LEAST_YOUDEN = 0.3
"""Below it sensitivity + specificity - 1 says that the scorer hardly knows, and nothing is corrected by it."""

POINTS = 4096
_STEPS = 3
_PRIOR = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How often a scorer was right on rows whose truth is known, of what is there and of what is not."""

    tp: int
    fn: int
    tn: int
    fp: int

    @property
    def sensitivity(self) -> float:
        """Share of what is there that it sees."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0

    @property
    def specificity(self) -> float:
        """Share of what is not there that it leaves alone."""
        return self.tn / (self.tn + self.fp) if self.tn + self.fp else 0.0

    @property
    def youden(self) -> float:
        """How much it knows (Youden 1950): 0 is a guess, 1 is the truth."""
        return self.sensitivity + self.specificity - 1


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """A corrected rate.

    Attributes:
        value: median of what the rate may be.
        interval: confidence of both sides together → bounds.
    """

    value: float
    interval: Callable[[float], tuple[float, float]]


def corrected(estimate: Estimate, counts: Counts) -> Corrected | None:
    """What a rate may truly be, given the rate that the scorer saw (Rogan and Gladen 1978).

    Sensitivity, specificity and the seen rate have a posterior each (Jeffreys' prior; of the rate with as many
    independent items as its clusters are worth), and the corrected rate is computed for points that fill all three
    evenly. The points are fixed, so that whoever verifies it gets the same.

    Returns:
        None where the scorer knows too little (`LEAST_YOUDEN`), or nothing was scored.
    """
    if counts.youden < LEAST_YOUDEN or estimate.value is None:
        return None
    seen, worst, best = (_rates(part, counts) for part in (estimate.scored, estimate.worst, estimate.best))

    def interval(confidence: float) -> tuple[float, float]:
        tail = (1 - confidence) / 2
        return _quantile(worst, tail), _quantile(best, 1 - tail)

    return Corrected(value=_quantile(seen, 0.5), interval=interval)


def _rates(part: Linear, counts: Counts) -> Any:
    """Sorted corrected rates. Where a point makes the scorer worse than a guess, half are 0 and half 1."""
    import numpy as np  # noqa: PLC0415  # takes a tenth of a second
    from scipy.special import betaincinv  # noqa: PLC0415  # and this a quarter

    one, two, three = _points()
    n = part.effective if part.least >= LEAST_CLUSTERS else 0.0
    seen = betaincinv(part.value * n + _PRIOR, (1 - part.value) * n + _PRIOR, one)
    sensitivity = betaincinv(counts.tp + _PRIOR, counts.fn + _PRIOR, two)
    specificity = betaincinv(counts.tn + _PRIOR, counts.fp + _PRIOR, three)
    youden = sensitivity + specificity - 1
    known = youden > 0
    rates = np.where(known, (seen + specificity - 1) / np.where(known, youden, 1), np.arange(POINTS) % 2)
    return np.sort(np.clip(rates, 0, 1))


def _points() -> tuple[Any, Any, Any]:
    """Points that fill a cube evenly: multiples of powers of 1 / g, where g⁴ = g + 1 (Roberts 2018)."""
    import numpy as np  # noqa: PLC0415  # as above

    g = 1.0
    for _ in range(60):
        g = (1 + g) ** (1 / (_STEPS + 1))
    places = np.arange(1, POINTS + 1)
    one, two, three = ((0.5 + places * g**-power) % 1 for power in range(1, _STEPS + 1))
    return one, two, three


def _quantile(rates: Any, q: float) -> float:
    return float(rates[min(POINTS - 1, max(0, math.floor(q * POINTS)))])


ASSUMES = (
    "that the scorer errs on these answers as often as on the rows it was measured on; nothing in a run can show that"
)
"""What every corrected rate rests on (transport)."""


def corrected_json(estimate: Estimate, counts: Counts | None, *, confidence: float = CONFIDENCE) -> dict[str, Any]:
    """As a seal holds it: `value`, `low`, `high` (None where it is not computed), what it rests on, and why not."""
    if counts is None:
        return not_corrected("the scorer was not measured on this group")
    found = corrected(estimate, counts)
    told = {"sensitivity": counts.sensitivity, "specificity": counts.specificity}
    if found is None:
        why = f"sensitivity + specificity - 1 is {counts.youden:.2f}, and below {LEAST_YOUDEN} nothing is corrected"
        return not_corrected("nothing was scored" if estimate.value is None else why) | told
    low, high = found.interval(confidence)
    return {"value": found.value, "low": low, "high": high, **told, "assumes": ASSUMES, "reason": ""}


def not_corrected(why: str) -> dict[str, Any]:
    """Instead of a corrected rate, why there is none."""
    empty: Mapping[str, Any] = dict.fromkeys(("value", "low", "high", "sensitivity", "specificity"))
    return {**empty, "assumes": ASSUMES, "reason": why}
