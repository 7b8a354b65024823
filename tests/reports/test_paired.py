"""Paired differences: the test is that of turning every cluster's sign, and chance finds a difference rarely."""

from __future__ import annotations

import math
import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.reports.paired import holm, paired

STEPS = st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])


def by_turning_all(differences: list[float], clusters: list[str]) -> float:
    """The definition, over every cluster and every sign."""
    sums: dict[str, float] = {}
    for difference, name in zip(differences, clusters, strict=True):
        sums[name] = sums.get(name, 0.0) + difference
    seen = abs(sum(sums.values()))
    flips = list(product((1, -1), repeat=len(sums)))
    return sum(abs(sum(s * t for s, t in zip(f, sums.values(), strict=True))) >= seen - 1e-9 for f in flips) / len(
        flips
    )


@given(st.lists(st.tuples(STEPS, st.sampled_from("abcdefgh")), min_size=2, max_size=20))
def test_p_is_that_of_turning_every_cluster(rows: list[tuple[float, str]]) -> None:
    differences, clusters = [row[0] for row in rows], [row[1] for row in rows]
    found = paired(differences, clusters)
    if len(set(clusters)) < 2:
        assert found.p is None
    else:
        assert found.p == pytest.approx(by_turning_all(differences, clusters))


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=2, max_size=14))
def test_mcnemar_is_the_same_where_every_pair_is_a_cluster(differences: list[float]) -> None:
    found = paired(differences, [""] * len(differences))
    assert found.p == pytest.approx(by_turning_all(differences, [str(n) for n in range(len(differences))]))


@given(st.lists(st.tuples(STEPS, st.sampled_from("abcdefgh")), min_size=2, max_size=30))
def test_sides_exchanged_change_the_sign_alone(rows: list[tuple[float, str]]) -> None:
    differences, clusters = [row[0] for row in rows], [row[1] for row in rows]
    there, back = paired(differences, clusters), paired([-d for d in differences], clusters)
    assert there.value == pytest.approx(-(back.value or 0))
    assert there.p == (None if back.p is None else pytest.approx(back.p))
    if there.low is not None and there.high is not None and there.value is not None:
        assert there.low <= there.value + 1e-12
        assert there.high >= there.value - 1e-12
        assert there.low == pytest.approx(-(back.high or 0))


@pytest.mark.parametrize("clusters", [30, 500])
def test_of_two_that_are_alike_few_are_told_apart(clusters: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten items a cluster that go wrong together: taken one by one they would be told apart far too often."""
    monkeypatch.setattr("orca_guard.reports.paired.FLIPS", 499)
    chance = random.Random(clusters)
    told = 0
    for _ in range(200):
        rows = [(sign, str(g)) for g in range(clusters) for sign in [chance.choice([-1.0, 0.0, 1.0])] for _ in range(4)]
        found = paired([row[0] for row in rows], [row[1] for row in rows])
        told += (found.p or 1) < 0.05
    assert told <= 10 + 3 * math.sqrt(200 * 0.05 * 0.95)


def test_a_difference_as_large_as_the_detectable_one_is_found_in_four_of_five() -> None:
    chance = random.Random(1)
    base = [chance.choices([-1.0, 0.0, 1.0], [1, 6, 1])[0] for _ in range(400)]
    detectable = paired(base, [""] * 400).detectable
    assert detectable is not None
    share = (1 - 6 / 8 + detectable) / 2
    found = 0
    for _ in range(200):
        weights = [1 - 6 / 8 - share, 6 / 8, share]
        rows = [chance.choices([-1.0, 0.0, 1.0], [max(0, w) for w in weights])[0] for _ in range(400)]
        found += (paired(rows, [""] * 400).p or 1) < 0.05
    assert 140 <= found <= 185


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=8))
def test_holm_rejects_what_stepping_down_rejects(values: list[float | None]) -> None:
    known = sorted(value for value in values if value is not None)
    rejected: set[float] = set()
    for rank, value in enumerate(known):
        if value * (len(known) - rank) >= 0.05:
            break
        rejected.add(value)
    assert [v is not None and v < 0.05 for v in holm(values)] == [v in rejected for v in values]


def test_of_nothing_nothing_is_said() -> None:
    assert paired([], []).value is None
    assert paired([1.0, 1.0], ["a", "a"]).p is None
    assert paired([0.0, 0.0], ["", ""]).p == 1
