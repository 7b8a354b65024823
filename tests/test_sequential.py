"""Bounds that hold whenever one stops."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.coverage import paying
from orca_guard.sequential import BETS, Stakes, bound, cluster_means, estimate
from orca_guard.stats import Sample

MEANS = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=10, max_size=60)


def sample(means: Sequence[float | None], clusters: list[str] | None = None) -> Sample:
    return Sample(scores=means, clusters=clusters or [""] * len(means))


@given(MEANS)
def test_the_mean_lies_between_the_bounds(means: list[float]) -> None:
    found = estimate(sample([*means]), "mean")
    low, high = found.interval(0.9)
    assert found.value is not None
    assert 0 <= low <= found.value + 1e-9
    assert found.value - 1e-9 <= high <= 1


@given(MEANS, st.floats(0.01, 0.99))
def test_a_bound_is_where_the_bets_begin_to_pay(means: list[float], limit: float) -> None:
    for side in (-1, 1):
        stakes = Stakes(limit, side)
        for mean in means:
            stakes.add(mean)
        at = bound(Counter(means), side, error=0.05)
        if abs(at - limit) > 1e-6:
            assert (stakes.log >= math.log(20)) is (at * side >= limit * side)


def test_what_all_bets_hold_together_is_their_mean() -> None:
    stakes, product = Stakes(0.3, -1), [1.0] * len(BETS)
    for mean in (0.0, 0.0, 1.0, 0.5):
        stakes.add(mean)
        product = [held * (1 + bet * (0.3 - mean)) for held, bet in zip(product, BETS, strict=True)]
    assert math.exp(stakes.log) == pytest.approx(sum(product) / len(BETS))


def test_by_hand() -> None:
    """Without any event the largest bet holds 1 + limit after every cluster; five share the stake."""
    at = bound({0.0: 59}, -1, error=0.05)
    assert sum((1 + bet * at) ** 59 for bet in BETS) / len(BETS) == pytest.approx(20)
    assert at > 1 - 0.05 ** (1 / 59), "it holds whenever one stops, and so is further away than one for 59 items alone"


def test_neither_order_nor_names_matter_and_missing_scores_count_against_both() -> None:
    means = [0.0, 1.0, 1.0, None, 0.5] * 6
    clusters = [f"c{n // 2}" for n in range(30)]
    rows = list(zip(means, clusters, strict=True))
    random.Random(1).shuffle(rows)
    one = estimate(sample(means, clusters), "mean")
    other = estimate(sample([row[0] for row in rows], [row[1] for row in rows]), "mean")
    assert one.interval(0.9) == pytest.approx(other.interval(0.9))
    known = estimate(sample([score for score in means if score is not None]), "mean").interval(0.9)
    low, high = estimate(sample([*means]), "mean").interval(0.9)
    assert low < known[0] < known[1] < high


def test_a_heavy_cluster_counts_as_one() -> None:
    found = estimate(sample([1.0] * 90 + [0.0] * 10, ["giant"] * 90 + [f"{n}" for n in range(10)]), "mean")
    assert found.value == pytest.approx(1 / 11)


def test_few_clusters_and_other_aggregates_know_nothing() -> None:
    assert estimate(sample([0.0] * 9), "mean").interval(0.9) == (0.0, 1.0)
    classes = Sample(scores=[1.0] * 40, clusters=[""] * 40, classes=["a", "b"] * 20)
    for aggregate in ("balanced", "gap", "agreement"):
        assert estimate(classes, aggregate).interval(0.9) == (0.0, 1.0)
    assert cluster_means(sample([None, 1.0]), None) == [1.0]


def test_the_simulation_bets_as_we_do() -> None:
    chance = np.random.default_rng(3)
    means = chance.choice([0.0, 0.25, 1.0], (4, 80), p=[0.85, 0.1, 0.05])
    paid = paying(means, 0.2, -1)
    for trial, row in enumerate(means):
        for at in range(10, 81):
            upper = bound(Counter(row[:at].tolist()), -1, error=0.05)
            assert bool(paid[trial, at - 1]) is (upper <= 0.2)
