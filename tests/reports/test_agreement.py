"""Kappa is Cohen's, and a corrected rate is right about what people would say, however wrong the score."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.reports.agreement import Scored, corrected, kappa

PAIRS = st.lists(st.tuples(st.sampled_from(["pass", "fail"]), st.sampled_from(["pass", "fail"])), min_size=2)


def test_kappa_of_a_published_table() -> None:
    """Cohen 1960 needs agreement beyond chance: 20 + 15 of 50 agree, chance alone 25."""
    pairs = [("pass", "pass")] * 20 + [("pass", "fail")] * 5 + [("fail", "pass")] * 10 + [("fail", "fail")] * 15
    found = kappa(pairs)
    assert found is not None
    assert found.value == pytest.approx(0.4)
    assert found.low < 0.4 < found.high


@given(PAIRS)
def test_kappa_lies_between_its_bounds_and_does_not_depend_on_who_is_first(pairs: list[tuple[str, str]]) -> None:
    found, back = kappa(pairs), kappa([(b, a) for a, b in pairs])
    if found is None or back is None:
        assert found is back is None
        return
    assert found.value == pytest.approx(back.value)
    assert found.low <= found.value + 1e-12
    assert found.high >= found.value - 1e-12


def test_people_who_always_agree_have_kappa_one_unless_they_say_one_thing_only() -> None:
    both = kappa([("pass", "pass"), ("fail", "fail")] * 10)
    assert both is not None
    assert both.value == 1
    assert kappa([("pass", "pass")] * 10) is None


def drawn(seed: int, *, clusters: int = 150, labelled: int = 60, liked: float = 0.3) -> dict[str, list[Scored]]:
    """Scores that are right in four of five, in clusters of two, of two strata, some with labels."""
    chance = random.Random(seed)
    strata: dict[str, list[Scored]] = {"easy": [], "hard": []}
    for name, records in strata.items():
        asked = set(chance.sample(range(clusters), labelled // 2))
        for cluster in range(clusters):
            good = chance.random() < (liked + 0.4 if name == "easy" else liked)
            for _ in range(2):
                truth = float(good if chance.random() < 0.8 else not good)
                score = truth if chance.random() < 0.8 else 1.0
                label = truth if cluster in asked else None
                records.append(Scored(score=score, label=label, cluster=f"{name} {cluster}"))
    return strata


def test_a_corrected_rate_holds_the_truth_as_often_as_it_says_and_the_score_alone_does_not() -> None:
    truth = sum(0.8 * g + 0.2 * (1 - g) for g in (0.7, 0.3)) / 2
    held = biased = 0
    for seed in range(300):
        strata = drawn(seed)
        found = corrected(strata)
        assert found is not None
        held += found.low <= truth <= found.high
        scores = [record.score for records in strata.values() for record in records]
        biased += sum(scores) / len(scores) > truth + 0.05
    assert held >= 300 * 0.95 - 3 * (300 * 0.95 * 0.05) ** 0.5
    assert biased > 250


def test_a_good_score_makes_the_interval_narrower_than_labels_alone() -> None:
    chance = random.Random(0)
    truths = [float(chance.random() < 0.5) for _ in range(2000)]
    records = [
        Scored(score=t if chance.random() < 0.97 else 1 - t, label=t if n < 100 else None, cluster="")
        for n, t in enumerate(truths)
    ]
    both, alone = corrected({"": records}), corrected({"": records[:100]})
    assert both is not None
    assert alone is not None
    assert both.high - both.low < (alone.high - alone.low) / 1.5


def test_people_who_agree_with_every_score_leave_room_for_those_that_were_not_asked() -> None:
    records = [Scored(score=1, label=1.0 if n < 20 else None, cluster="") for n in range(500)]
    found = corrected({"": records})
    assert found is not None
    assert found.value == 1
    assert found.low < 0.9, "of twenty labels nothing more can be said"


def test_two_who_always_agree_on_twenty_are_not_taken_to_agree_for_ever() -> None:
    found = kappa([("pass", "pass"), ("fail", "fail")] * 10)
    assert found is not None
    assert found.high == 1
    assert found.low < 0.75


def test_too_few_labels_give_no_rate() -> None:
    few = [Scored(score=1, label=1.0 if n < 5 else None, cluster="") for n in range(50)]
    assert corrected({"": few}) is None
    one = [Scored(score=1, label=1.0 if n < 20 else None, cluster="same" if n < 20 else "") for n in range(50)]
    assert corrected({"": one}) is None
