"""Estimates against published intervals, and what must hold for any scores. Coverage: tests/test_coverage.py."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.items import Metric
from orca_guard.stats import (
    AGGREGATORS,
    CLASSED,
    LEAST_CLUSTERS,
    Aggregator,
    Estimate,
    Sample,
    agreement,
    auroc,
    balanced,
    clopper_pearson,
    gap,
    linear,
    shrink,
)
from orca_guard.stats import mean as mean_of

SCORES = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 0.5, 1 / 3]), st.floats(0, 1))
CLUSTERS = st.sampled_from(["", "a", "b", "c", "d"])
ROWS = st.lists(st.tuples(SCORES, CLUSTERS), max_size=30)
BITS = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=40)


def mean(scores: Sequence[float | None], clusters: Sequence[str]) -> Estimate:
    return mean_of(Sample(scores=scores, clusters=clusters))


def of(rows: Sequence[tuple[float | None, str]]) -> Estimate:
    return mean([score for score, _ in rows], [name for _, name in rows])


def alone(scores: Sequence[float | None]) -> Estimate:
    return mean(scores, [""] * len(scores))


def said(found: Estimate) -> tuple[float | None, ...]:
    return found.value, found.low, found.high, found.n, found.clusters, found.unscored


def worth(scores: Sequence[float], clusters: Sequence[str]) -> float:
    """How many independent items."""
    return linear(Sample(scores=scores, clusters=clusters).columns()).effective


# --- intervals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 5.
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0000, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ],
)
def test_independent_items_have_the_published_interval(right: int, n: int, low: float, high: float) -> None:
    found = alone([1.0] * right + [0.0] * (n - right))
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert (found.value, found.n, found.clusters, found.unscored) == (right / n, n, n, 0)


def test_none_of_58_still_allows_five_in_a_hundred() -> None:
    """One-sided at 95 %, so two-sided at 90."""
    assert alone([0.0] * 58).interval(0.9)[1] == pytest.approx(0.0503, abs=1e-4)
    assert alone([0.0] * 59).interval(0.9)[1] == pytest.approx(0.0495, abs=1e-4)


def test_what_was_always_or_never_seen_bounds_exactly() -> None:
    for n in range(1, 300):
        assert (clopper_pearson(0, n)[0], clopper_pearson(1, n)[1]) == (0, 1)


@given(BITS)
def test_one_item_a_cluster_is_a_plain_interval(scores: list[float]) -> None:
    found = alone(scores)
    named = mean(scores, [f"cluster {n}" for n in range(len(scores))])
    known = clopper_pearson(sum(scores) / len(scores), len(scores)) if len(scores) >= LEAST_CLUSTERS else (0, 1)
    assert (found.low, found.high) == pytest.approx(known, abs=1e-12)
    assert (named.low, named.high) == (found.low, found.high)


def test_under_ten_clusters_there_is_no_interval() -> None:
    for count in range(1, LEAST_CLUSTERS):
        found = mean([1.0] * 50, [str(n % count) for n in range(50)])
        assert (found.value, found.low, found.high) == (1, 0, 1)
    assert mean([1.0] * 50, [str(n % LEAST_CLUSTERS) for n in range(50)]).low > 0.6


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_without_any_event_no_bound_is_tighter_than_that_of_as_many_clusters(right: float) -> None:
    found = mean([right] * 200, [str(n % 20) for n in range(200)])
    assert (found.low, found.high) == pytest.approx(clopper_pearson(right, 20))


def test_items_of_a_cluster_that_agree_are_worth_less_than_one() -> None:
    """Twenty passages of five questions, answered all right or all wrong. Four passages hold an error."""
    scores, clusters = [float(n // 5 < 16) for n in range(100)], [f"passage {n // 5}" for n in range(100)]
    assert worth(scores, clusters) == pytest.approx(20)
    assert linear(Sample(scores=scores, clusters=clusters).columns()).freedom == 4


def test_items_of_a_cluster_that_differ_are_worth_no_more_than_themselves() -> None:
    assert worth([1.0, 0.0] * 20 + [1.0, 1.0], [f"pair {n // 2}" for n in range(42)]) == 42


def test_balanced_clusters_are_worth_one_each() -> None:
    """Their means do not vary at all, which is luck and no evidence."""
    assert worth([1.0, 0.0] * 20, [f"pair {n // 2}" for n in range(40)]) == 20


def test_rounding_is_no_difference_between_clusters() -> None:
    """The sums of 0.8, 0.3 and a third differ from three means of theirs by one bit."""
    assert worth([0.8, 0.3, 1 / 3] * 12, [str(n // 3) for n in range(36)]) == 12


def test_one_giant_cluster_takes_its_weight_off() -> None:
    """A thousand items of one passage, half of all there are, are no thousand items where they differ from the rest."""
    scores = [float(n % 2 == 0) for n in range(1000)] + [float(n % 4 == 0) for n in range(1000)]
    assert worth(scores, ["giant"] * 1000 + [str(n) for n in range(1000)]) < 20


def test_a_higher_confidence_gives_a_wider_interval() -> None:
    narrow, wide = (alone([1.0, 0.0] * 10).interval(confidence) for confidence in (0.8, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize(("freedom", "lower"), [(5, 0.3539), (10, 0.5163), (30, 0.7082)])
def test_the_upper_estimate_of_a_variance_is_that_of_chi_square(freedom: int, lower: float) -> None:
    """The quantile at 12 %, over its degrees of freedom."""
    assert shrink(freedom) == pytest.approx(lower, rel=0.005)


# --- missing scores ------------------------------------------------------------------------------


def test_nothing_scored_says_nothing() -> None:
    for count in (0, 3):
        found = mean([None] * count, [""] * count)
        assert (found.value, found.n, found.clusters, found.unscored) == (None, 0, 0, count)
    assert (mean([], []).low, mean([], []).high) == (0, 1)


def test_many_unscored_items_are_known_to_be_anything() -> None:
    found = mean([None] * 1000, [""] * 1000)
    assert (found.low, found.high) == (0, 1)


def test_missing_scores_count_against_either_bound() -> None:
    found = mean([1.0] * 6 + [None] * 4, [""] * 10)
    assert found.value == 1
    assert found.low == pytest.approx(clopper_pearson(0.6, 10)[0])
    assert (found.high, found.n, found.unscored) == (1, 6, 4)


@given(ROWS, CLUSTERS)
def test_one_more_item_without_a_score_does_not_move_the_value(
    rows: list[tuple[float | None, str]], cluster: str
) -> None:
    before, after = of(rows), of([*rows, (None, cluster)])
    assert (after.value, after.n, after.unscored) == (before.value, before.n, before.unscored + 1)


@given(ROWS)
def test_the_bounds_are_those_of_the_worst_and_the_best_case(rows: list[tuple[float | None, str]]) -> None:
    worst, best = ([(fill if score is None else score, name) for score, name in rows] for fill in (0.0, 1.0))
    assert (of(rows).low, of(rows).high) == (of(worst).low, of(best).high)


# --- what must hold ------------------------------------------------------------------------------


@given(ROWS)
def test_the_value_lies_within_its_bounds(rows: list[tuple[float | None, str]]) -> None:
    found = of(rows)
    value = found.low if found.value is None else found.value
    assert 0 <= found.low <= value <= found.high <= 1
    assert found.n + found.unscored == len(rows)
    assert found.clusters <= found.n


@given(ROWS, st.randoms(use_true_random=False))
def test_order_does_not_matter_to_the_last_bit(rows: list[tuple[float | None, str]], chance: random.Random) -> None:
    shuffled = chance.sample(rows, len(rows))
    assert said(of(shuffled)) == said(of(rows))


@given(ROWS)
def test_names_of_clusters_do_not_matter(rows: list[tuple[float | None, str]]) -> None:
    assert said(of([(score, name and f"other {name}") for score, name in rows])) == said(of(rows))


@given(BITS, st.integers(2, 5))
def test_the_same_items_again_are_no_evidence(scores: list[float], times: int) -> None:
    """Items copied within their cluster leave the value where it is, and bounds too, or further apart."""
    once = mean(scores, [str(n) for n in range(len(scores))])
    again = mean(scores * times, [str(n) for n in range(len(scores))] * times)
    assert again.value == pytest.approx(once.value)
    assert again.low <= once.low + 1e-9
    assert again.high >= once.high - 1e-9


@pytest.mark.parametrize("score", [1.5, -0.1, math.nan, math.inf])
def test_a_score_out_of_range_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match="does not"):
        mean([0.5, score], ["", ""])


def test_scores_and_clusters_belong_together() -> None:
    with pytest.raises(ValueError, match="not as many"):
        mean([0.5, 1.0], [""])


def test_a_metric_that_names_no_aggregate_has_one() -> None:
    assert AGGREGATORS[Metric(name="m").aggregate] is mean_of
    assert set(AGGREGATORS) >= CLASSED


# --- classes -------------------------------------------------------------------------------------

CLASSED_ROWS = st.lists(st.tuples(SCORES, CLUSTERS, st.sampled_from("xyz")), min_size=1, max_size=30)


def sample(rows: Sequence[tuple[float | None, str, str]]) -> Sample:
    return Sample(scores=[r[0] for r in rows], clusters=[r[1] for r in rows], classes=[r[2] for r in rows])


def test_classes_weigh_the_same_however_large() -> None:
    rows = [(1.0, "", "many")] * 90 + [(0.0, "", "few")] * 10
    assert balanced(sample(rows)).value == 0.5
    assert gap(sample(rows)).value == 1


def test_always_one_answer_is_half_right_in_balance() -> None:
    """Of 575 neutral and 425 toxic texts, whoever says neutral is 57.5 % right, and knows nothing."""
    rows = [(1.0, "", "neutral")] * 575 + [(0.0, "", "toxic")] * 425
    assert mean_of(sample(rows)).value == 0.575
    assert balanced(sample(rows)).value == 0.5


@given(CLASSED_ROWS)
def test_one_class_is_a_plain_mean(rows: list[tuple[float | None, str, str]]) -> None:
    assert said(balanced(sample([(score, cluster, "x") for score, cluster, _ in rows]))) == said(mean_of(sample(rows)))


@pytest.mark.parametrize("aggregate", [balanced, gap])
@given(rows=CLASSED_ROWS, chance=st.randoms(use_true_random=False))
def test_classed_values_lie_within_their_bounds_in_any_order(
    aggregate: Aggregator, rows: list[tuple[float | None, str, str]], chance: random.Random
) -> None:
    found = aggregate(sample(rows))
    value = found.low if found.value is None else found.value
    assert 0 <= found.low <= value <= found.high <= 1
    assert said(aggregate(sample(chance.sample(rows, len(rows))))) == said(found)


@pytest.mark.parametrize("aggregate", [balanced, gap])
def test_of_a_class_without_a_score_nothing_is_known(aggregate: Aggregator) -> None:
    rows: list[tuple[float | None, str, str]] = [(1.0, "", "x")] * 50
    unscored = aggregate(sample([*rows, (None, "", "y")]))
    absent = aggregate(replace(sample(rows), names=("x", "y")))
    for found in (unscored, absent):
        assert found.value is None
        assert found.low < 0.6
        assert found.high > 0.9


def test_there_is_no_gap_in_one_class() -> None:
    found = gap(sample([(1.0, "", "x")] * 50))
    assert (found.value, found.low, found.high) == (None, 0, 1)


def test_a_gap_holds_whichever_classes_are_best_and_worst() -> None:
    """Three classes that are equally good: their best looks better than their worst, and the interval knows."""
    chance = random.Random("gap")
    found = [gap(sample([(float(chance.random() < 0.7), "", "xyz"[n % 3]) for n in range(120)])) for _ in range(300)]
    assert sum(x.low == 0 for x in found) >= 0.95 * 300
    assert sum(x.value or 0.0 for x in found) / 300 > 0.08


# --- how well a score tells two kinds of rows apart ----------------------------------------------

SCORED = st.lists(st.integers(0, 8).map(lambda n: n / 8), min_size=1, max_size=25)


@given(SCORED, SCORED)
def test_auroc_is_the_share_of_pairs_in_order(hits: list[float], others: list[float]) -> None:
    naive = sum((a > b) + (a == b) / 2 for a in hits for b in others) / (len(hits) * len(others))
    value, low, high = auroc([(h, "") for h in hits], [(o, "") for o in others])
    assert value == pytest.approx(naive)
    assert 0 <= low <= value + 1e-12
    assert value - 1e-12 <= high <= 1


@given(SCORED, SCORED)
def test_auroc_turned_round_is_its_complement(hits: list[float], others: list[float]) -> None:
    one = auroc([(h, "") for h in hits], [(o, "") for o in others])
    other = auroc([(o, "") for o in others], [(h, "") for h in hits])
    assert one[0] == pytest.approx(1 - other[0])
    assert one[1] == pytest.approx(1 - other[2])


def test_rows_that_are_copies_of_one_another_say_no_more_than_one() -> None:
    chance = random.Random(3)
    rows = [[(chance.gauss(shift, 1), f"{shift}-{n}") for n in range(60)] for shift in (1, 0)]
    once, often = auroc(*rows), auroc(*([row for row in kind for _ in range(5)] for kind in rows))
    assert often == pytest.approx(once)


def test_the_bounds_of_auroc_hold_about_as_often_as_they_say() -> None:
    """Normal scores one standard deviation apart: the true value is that of a normal distribution at 1/sqrt(2)."""
    chance, true = random.Random(11), NormalDist().cdf(1 / math.sqrt(2))
    missed = 0
    for _ in range(400):
        kinds = [[(chance.gauss(shift, 1), "") for _ in range(40)] for shift in (1, 0)]
        _, low, high = auroc(*kinds)
        missed += not low <= true <= high
    assert 4 <= missed <= 36


def test_a_few_rows_in_perfect_order_prove_little() -> None:
    value, low, high = auroc([(1.0, "")] * 3, [(0.0, "")] * 50)
    assert (value, high) == (1.0, 1.0)
    assert low == pytest.approx(0.025 ** (1 / 3))
    assert auroc([], [(0.0, "")]) == (0.5, 0.0, 1.0)


# --- agreement -----------------------------------------------------------------------------------


def test_two_orders_agree_where_both_come_out_the_same() -> None:
    rows = [(1.0, "", "a"), (1.0, "", "a"), (0.0, "", "b"), (0.0, "", "b"), (1.0, "", "c"), (0.0, "", "c")]
    found = agreement(sample([*rows, (0.5, "", "d"), (0.5, "", "d")]))
    assert found.value == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    assert found.n == 4


def test_an_item_without_its_pair_is_no_case_and_a_pair_without_a_score_is_one() -> None:
    rows = [(1.0, "", "alone"), (1.0, "", "half"), (None, "", "half"), (1.0, "", "a"), (1.0, "", "a")]
    found = agreement(sample(rows))
    assert (found.value, found.n, found.unscored) == (1.0, 1, 1)


def test_without_pairs_nothing_is_known_of_agreement() -> None:
    found = agreement(sample([(1.0, "", "a"), (0.0, "", "b")]))
    assert (found.value, found.low, found.high, found.n) == (None, 0.0, 1.0, 0)


@given(CLASSED_ROWS)
def test_agreement_lies_within_its_bounds(rows: list[tuple[float | None, str, str]]) -> None:
    found = agreement(sample(rows))
    assert 0 <= found.low <= (found.low if found.value is None else found.value) <= found.high <= 1
