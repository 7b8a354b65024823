"""Estimates against published intervals, simulated coverage, and what must hold for any scores."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.items import Metric
from orca_guard.stats import (
    AGGREGATORS,
    CLASSED,
    Aggregator,
    Estimate,
    Sample,
    agreement,
    balanced,
    gap,
    student,
    wilson,
)
from orca_guard.stats import mean as mean_of

SCORES = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 0.5, 1 / 3]), st.floats(0, 1))
CLUSTERS = st.sampled_from(["", "a", "b", "c", "d"])
ROWS = st.lists(st.tuples(SCORES, CLUSTERS), max_size=30)
BITS = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=40)


def mean(scores: Sequence[float | None], clusters: Sequence[str], **more: float) -> Estimate:
    return mean_of(Sample(scores=scores, clusters=clusters), **more)


def of(rows: Sequence[tuple[float | None, str]]) -> Estimate:
    return mean([score for score, _ in rows], [name for _, name in rows])


def alone(scores: list[float]) -> Estimate:
    return mean(scores, [""] * len(scores))


# --- intervals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (0, 10, 0.0000, 0.2775),
        (8, 10, 0.4902, 0.9433),
    ],
)
def test_the_score_interval_is_the_published_one(right: int, n: int, low: float, high: float) -> None:
    found = alone([1.0] * right + [0.0] * (n - right))
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert (found.value, found.n, found.clusters, found.unscored) == (right / n, n, n, 0)
    assert found.effective_n == pytest.approx(n)


def test_what_was_always_or_never_seen_bounds_exactly() -> None:
    for n in range(1, 300):
        assert (wilson(0, n)[0], wilson(1, n)[1]) == (0, 1)


def test_nothing_is_known_of_none() -> None:
    assert wilson(0.5, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (5, 2.5706), (10, 2.2281), (30, 2.0423), (10**6, 1.9600)],
)
def test_student_is_as_in_tables(freedom: int, quantile: float) -> None:
    assert student(freedom) == pytest.approx(quantile, rel=2e-3)


def test_student_at_another_confidence() -> None:
    assert student(1, confidence=0.99) == pytest.approx(63.6567, rel=1e-5)
    assert student(2, confidence=0.99) == pytest.approx(9.9248, rel=1e-5)


@given(BITS)
def test_one_item_a_cluster_is_a_plain_interval(scores: list[float]) -> None:
    found = alone(scores)
    named = mean(scores, [f"cluster {n}" for n in range(len(scores))])
    assert (found.low, found.high) == pytest.approx(wilson(sum(scores) / len(scores), len(scores)), abs=1e-12)
    assert named == found


def test_items_of_a_cluster_that_agree_are_worth_one() -> None:
    """Ten passages of five questions, answered all right or all wrong: Student's quantiles make it less than ten."""
    clusters = [f"passage {n // 5}" for n in range(50)]
    found = mean([float(n // 5 < 8) for n in range(50)], clusters)
    deff = (50 / 49) * (9 / 10) * (student(49) / student(9)) ** 2
    assert found.effective_n == pytest.approx(10 * deff)
    assert found.effective_n < 10


def test_items_of_a_cluster_that_differ_are_worth_no_more_than_themselves() -> None:
    scores = [1.0, 0.0] * 20 + [1.0, 1.0]
    assert mean(scores, [f"pair {n // 2}" for n in range(42)]).effective_n == 42


def test_balanced_clusters_are_worth_one_each() -> None:
    """Their means do not vary at all, which is luck and no evidence."""
    assert mean([1.0, 0.0] * 20, [f"pair {n // 2}" for n in range(40)]).effective_n == 20


def test_rounding_is_no_difference_between_clusters() -> None:
    """The sums of 0.8, 0.3 and a third differ from three means of theirs by one bit."""
    assert mean([0.8, 0.3, 1 / 3] * 3, [str(n // 3) for n in range(9)]).effective_n == 3


def test_a_single_cluster_is_worth_one() -> None:
    assert mean([1.0, 0.0, 1.0, 1.0], ["only"] * 4).effective_n == 1
    assert mean([0.8, 0.8, 1 / 3], ["only"] * 3).effective_n == 1


def test_a_higher_confidence_gives_a_wider_interval() -> None:
    narrow, wide = (mean([1.0, 0.0, 1.0], ["", "", ""], confidence=c) for c in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


# --- missing scores ------------------------------------------------------------------------------


def test_nothing_scored_says_nothing() -> None:
    for count in (0, 3):
        found = mean([None] * count, [""] * count)
        assert (found.value, found.n, found.clusters, found.unscored, found.effective_n) == (None, 0, 0, count, 0)
    assert (mean([], []).low, mean([], []).high) == (0, 1)


def test_many_unscored_items_are_known_to_be_anything() -> None:
    found = mean([None] * 1000, [""] * 1000)
    assert (found.low, found.high) == (0, 1)


def test_missing_scores_count_against_either_bound() -> None:
    found = mean([1.0] * 6 + [None] * 4, [""] * 10)
    assert found.value == 1
    assert found.low == pytest.approx(wilson(0.6, 10)[0])
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
    assert min(1, found.n) <= found.effective_n <= found.n
    assert found.clusters <= found.n


@given(ROWS, st.randoms(use_true_random=False))
def test_order_does_not_matter_to_the_last_bit(rows: list[tuple[float | None, str]], chance: random.Random) -> None:
    shuffled = chance.sample(rows, len(rows))
    assert of(shuffled) == of(rows)


@given(ROWS)
def test_names_of_clusters_do_not_matter(rows: list[tuple[float | None, str]]) -> None:
    assert of([(score, name and f"other {name}") for score, name in rows]) == of(rows)


@given(BITS, st.integers(2, 5))
def test_the_same_items_again_are_no_evidence(scores: list[float], times: int) -> None:
    """Items copied within their cluster leave value and worth where they are, or lower."""
    once = mean(scores, [str(n) for n in range(len(scores))])
    again = mean(scores * times, [str(n) for n in range(len(scores))] * times)
    assert again.value == pytest.approx(once.value)
    assert again.effective_n <= once.effective_n + 1e-9
    assert again.low <= once.low + 1e-9
    assert again.high >= once.high - 1e-9


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from("abcdef")), min_size=1, max_size=40))
def test_the_same_clustered_items_again_are_no_evidence(rows: list[tuple[float | None, str]]) -> None:
    """Where items of a cluster differ more than chance has it, the limit of one each is what grows with copies."""
    once, again = of(rows), of(rows * 2)
    assert again.effective_n <= once.effective_n + 1e-9 or once.effective_n == once.n


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


# --- coverage ------------------------------------------------------------------------------------

TIMES = 1000
NOISE = 0.015
"""Two standard errors of a share of 95 % in `TIMES` trials. Beyond it the interval is too narrow."""


def covered(p: float, sample: Iterator[tuple[list[float | None], list[str]]]) -> float:
    found = [mean(*next(sample)) for _ in range(TIMES)]
    return sum(x.low <= p <= x.high for x in found) / TIMES


def independent(p: float, n: int) -> Iterator[tuple[list[float | None], list[str]]]:
    chance = random.Random(f"{p} {n}")
    while True:
        yield [float(chance.random() < p) for _ in range(n)], [""] * n


def clustered(p: float, clusters: int, size: int, alike: float) -> Iterator[tuple[list[float | None], list[str]]]:
    """Clusters of 1 to `size` items with a rate of their own, whose spread is the correlation within: beta-binomial."""
    chance = random.Random(f"{p} {clusters} {size} {alike}")
    spread = 1 / alike - 1
    while True:
        scores: list[float | None] = []
        names: list[str] = []
        for cluster in range(clusters):
            rate = chance.betavariate(p * spread, (1 - p) * spread)
            many = chance.randint(1, size)
            scores += [float(chance.random() < rate) for _ in range(many)]
            names += [str(cluster)] * many
        yield scores, names


@pytest.mark.parametrize("n", [10, 40, 150])
@pytest.mark.parametrize("p", [0.3, 0.5, 0.8, 0.9])
def test_independent_items_are_covered(p: float, n: int) -> None:
    """For single p and n the score interval wanders some 3 points around its nominal level (Brown et al. 2001)."""
    assert covered(p, independent(p, n)) >= 0.95 - 0.03 - NOISE


@pytest.mark.parametrize("alike", [0.05, 0.3])
@pytest.mark.parametrize("clusters", [5, 12, 40])
@pytest.mark.parametrize("p", [0.5, 0.8])
def test_clustered_items_are_covered(p: float, clusters: int, alike: float) -> None:
    assert covered(p, clustered(p, clusters, 8, alike)) >= 0.95 - 0.03 - NOISE


def test_without_clusters_the_same_items_are_not() -> None:
    """What the simulation is there to find."""
    blind = ((scores, [""] * len(scores)) for scores, _ in clustered(0.5, 12, 8, 0.3))
    assert covered(0.5, blind) < 0.88


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
    assert balanced(sample([(score, cluster, "x") for score, cluster, _ in rows])) == mean_of(sample(rows))


@pytest.mark.parametrize("aggregate", [balanced, gap])
@given(rows=CLASSED_ROWS, chance=st.randoms(use_true_random=False))
def test_classed_values_lie_within_their_bounds_in_any_order(
    aggregate: Aggregator, rows: list[tuple[float | None, str, str]], chance: random.Random
) -> None:
    found = aggregate(sample(rows))
    value = found.low if found.value is None else found.value
    assert 0 <= found.low <= value <= found.high <= 1
    assert aggregate(sample(chance.sample(rows, len(rows)))) == found


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
