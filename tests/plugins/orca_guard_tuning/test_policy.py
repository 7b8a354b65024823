"""Policies are files that are read as they were written."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.errors import BadInput
from orca_guard_tuning.policy import Cell, Policy, policy_text, read_policy
from orca_guard_tuning.toml import toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = TEXT | st.integers(-(2**40), 2**40) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | st.lists(SCALARS, max_size=3),
    lambda inner: (
        st.dictionaries(TEXT, inner, max_size=3) | st.lists(st.dictionaries(TEXT, inner, max_size=2), max_size=2)
    ),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_what_is_written_as_toml_is_read_again(table: dict[str, object]) -> None:
    assert tomllib.loads(toml(table)) == table


def test_a_policy_that_was_measured_is_read_again(tmp_path: Path) -> None:
    cell = Cell(category="a b", strategy="direct", n=4, right=0, accuracy=0.0, interval=(0.0, 0.6), tokens=3.5)
    policy = Policy(strategies={"a b": "direct", "*": ("x", "y")}, margin=0.01, measured_on="sha256:0", cells=(cell,))
    (tmp_path / "p.toml").write_text(policy_text(policy), "utf-8")
    assert read_policy(tmp_path / "p.toml") == policy
    assert policy.of("a b") == ("direct",)
    assert policy.of("other") == ("x", "y")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "strategies"),
        ("[strategies]", "names no strategies"),
        ("[strategies]\na = 3", "Expected"),
        ("format = 9\n[strategies]\na = 'b'", "format is 9"),
        ("strategy = {}\n[strategies]\na = 'b'", "did you mean 'strategies'"),
    ],
)
def test_what_is_no_policy_is_refused(tmp_path: Path, text: str, wanted: str) -> None:
    (tmp_path / "p.toml").write_text(text, "utf-8")
    with pytest.raises(BadInput) as refused:
        read_policy(tmp_path / "p.toml")
    assert wanted in str(refused.value)


def test_a_category_without_a_strategy_is_an_error() -> None:
    with pytest.raises(BadInput, match='"\\*" = "STRATEGY"'):
        Policy(strategies={"a": "direct"}).of("b")
