from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from orca_guard_hf.growing import likeliest
from orca_guard_hf.sampling import first_of_likeliest

ROWS = st.lists(st.lists(st.integers(-300, 300), min_size=5, max_size=5), min_size=1, max_size=20)


@given(ROWS)
def test_of_equals_the_first_is_the_likeliest(rows: list[list[int]]) -> None:
    assert first_of_likeliest(torch.tensor(rows).float()).tolist() == [row.index(max(row)) for row in rows]


@given(ROWS)
def test_sum_and_entropy_are_those_of_the_definition(rows: list[list[int]]) -> None:
    told = likeliest(torch.tensor(rows) / 10).told()
    for row, (token, top, total, entropy) in zip(rows, told.T.tolist(), strict=True):
        powers = [math.exp(number / 10) for number in row]
        chances = [power / sum(powers) for power in powers]
        assert (token, round(10 * top)) == (row.index(max(row)), max(row))
        assert math.isclose(total, math.log(sum(powers)), abs_tol=1e-5)
        assert math.isclose(entropy, -sum(c * math.log(c) for c in chances if c > 0), abs_tol=1e-5)


def test_what_is_no_number_is_found() -> None:
    row = torch.tensor([[0.0, math.nan, 3.0]])
    assert first_of_likeliest(row).tolist() == [1]
    assert math.isnan(likeliest(row).told()[1, 0])
