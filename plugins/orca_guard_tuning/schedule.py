"""How the learning rate goes through a stage."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

Shape: TypeAlias = Literal["cosine", "linear", "constant"]


def rate_at(step: int, *, steps: int, peak: float, warmup: float, shape: Shape) -> float:
    """The rate of one step: it rises in a line, then falls to nothing in the shape asked for, or stays.

    Args:
        step: from 0.
        steps: of the stage.
        peak: the highest rate.
        warmup: share of the steps in which it rises.
        shape: of the fall.
    """
    rising = math.ceil(steps * warmup)
    if step < rising:
        return peak * (step + 1) / rising
    gone = (step - rising) / max(1, steps - rising)
    match shape:
        case "cosine":
            return peak * (1 + math.cos(math.pi * gone)) / 2
        case "linear":
            return peak * (1 - gone)
        case "constant":
            return peak
