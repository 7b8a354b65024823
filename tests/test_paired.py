"""Differences item by item, whether they could be chance, and what must hold for any two samples."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.paired import Difference, difference, flips, holm, mcnemar, sign_flip
from orca_guard.stats import Sample, clopper_pearson, mean

SCORES = st.sampled_from([0.0, 1.0, 0.5, None])
PAIRS = st.lists(st.tuples(SCORES, SCORES, st.sampled_from(["", "a", "b", "c"])), min_size=1, max_size=40)


def of(rows: Sequence[tuple[float | None, float | None, str]]) -> Difference:
    clusters = [cluster for *_, cluster in rows]
    one = Sample(scores=[score for score, _, _ in rows], clusters=clusters)
    return difference(one, Sample(scores=[score for _, score, _ in rows], clusters=clusters))


def pairs(better: int, worse: int, same: int) -> list[tuple[float | None, float | None, str]]:
    rows: list[tuple[float | None, float | None, str]] = [(1.0, 0.0, "")] * better
    rows += [(0.0, 1.0, "")] * worse
    rows += [(1.0, 1.0, "")] * same
    return rows


def test_a_difference_worked_by_hand() -> None:
    found = of(pairs(12, 4, 84))
    assert found.value == pytest.approx(0.08)
    assert (found.n, found.better, found.worse, found.clusters) == (100, 12, 4, 100)
    assert found.error == pytest.approx((0.16 - 0.08**2) ** 0.5 / 99**0.5)
    low, high = found.interval(0.95)
    assert -0.01 < low < 0.02
    assert 0.14 < high < 0.18


def test_where_nothing_differs_the_bound_is_that_of_a_rate_without_events() -> None:
    found = of(pairs(0, 0, 60))
    most = clopper_pearson(0, 60, confidence=0.9)[1]
    assert found.interval(0.9) == pytest.approx((-most, most))
    assert found.p == 1


def test_missing_scores_count_against_either_side() -> None:
    found = of([*pairs(0, 0, 50), (None, 1.0, ""), (1.0, None, "")])
    assert (found.value, found.unscored) == (0, 2)
    assert found.interval(0.95)[0] < of(pairs(0, 0, 52)).interval(0.95)[0]
    assert found.interval(0.95)[1] > of(pairs(0, 0, 52)).interval(0.95)[1]


@given(PAIRS)
def test_the_other_way_round_is_the_opposite(rows: list[tuple[float | None, float | None, str]]) -> None:
    there, back = of(rows), of([(b, a, cluster) for a, b, cluster in rows])
    low, high = there.interval(0.95)
    assert back.interval(0.95) == pytest.approx((-high, -low))
    assert (there.p, there.test) == (back.p, back.test)
    assert there.value is None or back.value == pytest.approx(-there.value)
    assert -1 <= low <= (there.value or 0.0) <= high <= 1 or there.value is None


@given(PAIRS)
def test_an_interval_of_what_is_scored_holds_the_difference(
    rows: list[tuple[float | None, float | None, str]],
) -> None:
    found = of(rows)
    if found.value is not None:
        low, high = found.interval(0.95)
        assert low - 1e-12 <= found.value <= high + 1e-12


def test_other_items_are_refused() -> None:
    with pytest.raises(ValueError, match="same items"):
        difference(Sample(scores=[1.0], clusters=["a"]), Sample(scores=[1.0], clusters=["b"]))


def test_classes_weigh_the_same() -> None:
    classes = ["many"] * 90 + ["few"] * 30
    one = Sample(scores=[1.0] * 120, clusters=[""] * 120, classes=classes)
    other = Sample(scores=[1.0] * 90 + [0.0] * 30, clusters=[""] * 120, classes=classes)
    assert difference(one, other).value == pytest.approx(0.25)
    assert difference(one, other, by_class=True).value == pytest.approx(0.5)


# --- tests ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("better", "worse", "p"), [(0, 0, 1), (5, 5, 1), (0, 5, 0.0625), (1, 9, 0.021484375)])
def test_mcnemar_is_the_exact_binomial(better: int, worse: int, p: float) -> None:
    assert mcnemar(better, worse) == pytest.approx(p)
    assert mcnemar(worse, better) == pytest.approx(p)


@given(st.integers(0, 8), st.integers(0, 8))
def test_flipping_signs_of_single_items_is_mcnemar(better: int, worse: int) -> None:
    assert sign_flip([1.0] * better + [-1.0] * worse) == pytest.approx(mcnemar(better, worse))


def test_drawn_flips_come_close_to_all_of_them() -> None:
    assert sign_flip([1.0] * 14 + [-1.0] * 4) == pytest.approx(mcnemar(14, 4), rel=0.1)
    assert sign_flip([1.0] * 40) == pytest.approx(1e-5, rel=0.01)


def test_the_test_follows_the_clusters() -> None:
    """Twelve passages of four questions each, three of them better throughout: no twelve independent wins."""
    rows = [(1.0 if n < 12 else 0.0, 0.0, f"passage {n // 4}") for n in range(48)]
    found = of(rows)
    assert (found.test, found.p) == ("sign-flip", 0.25)
    alone = of([(a, b, "") for a, b, _ in rows])
    assert alone.test == "mcnemar"
    assert alone.p == pytest.approx(2 / 2**12)


def test_under_ten_clusters_there_is_no_test() -> None:
    found = of([(1.0, 0.0, str(n % 9)) for n in range(90)])
    assert (found.p, found.test, found.interval(0.95)) == (None, "none", (-1, 1))


def test_no_difference_is_found_where_there_is_none() -> None:
    chance = random.Random("paired")
    found = [
        of([(float(chance.random() < 0.4), float(chance.random() < 0.4), f"c{n % 30}") for n in range(90)])
        for _ in range(60)
    ]
    assert sum((x.p or 1) < 0.05 for x in found) <= 8


# --- families, power, noise ----------------------------------------------------------------------


def test_holm_on_a_published_example() -> None:
    """Holm 1979, worked by hand: 0.01 · 4, 0.02 · 3, 0.03 · 2, 0.04 · 1, and none smaller than one before."""
    assert holm([0.02, 0.01, 0.04, 0.03]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_makes_a_claim_stronger(ps: list[float]) -> None:
    adjusted = holm(ps)
    assert all(p <= a <= 1 for p, a in zip(ps, adjusted, strict=True))
    assert sorted(range(len(ps)), key=lambda n: (ps[n], n)) == sorted(
        range(len(ps)), key=lambda n: (adjusted[n], ps[n], n)
    )


def test_what_can_be_detected_shrinks_with_the_root_of_the_items() -> None:
    small, large = of(pairs(10, 10, 80)), of(pairs(90, 90, 720))
    assert small.detectable() == pytest.approx(3 * large.detectable(), rel=0.02)
    assert large.detectable() == pytest.approx((1.96 + 0.8416) * (0.2 / 899) ** 0.5, rel=1e-3)


@pytest.mark.parametrize(("differing", "n"), [(0, 10), (0, 50), (0, 1000), (1, 50), (2, 1000)])
def test_where_few_items_differ_no_small_difference_is_said_to_be_detectable(differing: int, n: int) -> None:
    """Of the least difference, all one way, about four in five samples have a significant exact test."""
    least = of(pairs(differing, 0, n - differing)).detectable()
    drawn = np.random.default_rng(0).binomial(n, least, 4000)
    found = np.mean([mcnemar(int(count), 0) < 0.05 for count in drawn])
    assert found == pytest.approx(0.8, abs=0.03)


def test_of_five_items_nothing_can_be_detected_and_apart_scales_what_can() -> None:
    assert of(pairs(0, 0, 5)).detectable() == 1.0
    names = [f"c{n}" for n in range(40)]
    scored = difference(Sample(scores=[0.25] + [0.5] * 39, clusters=names), Sample(scores=[0.5] * 40, clusters=names))
    assert scored.apart == 0.25
    assert scored.detectable() == pytest.approx(of(pairs(0, 0, 40)).detectable() / 4)


def test_flips_are_scores_that_came_out_differently() -> None:
    one = Sample(scores=[1.0, 0.0, 0.5, None], clusters=[""] * 4)
    other = Sample(scores=[1.0, 1.0, 0.5004, 1.0], clusters=[""] * 4)
    assert mean(flips(one, other)).value == pytest.approx(1 / 3)
