"""The small benchmark, held to the contract."""

from __future__ import annotations

from collections import Counter

import pytest

from orca_guard.testing import check_benchmark
from orca_guard_basics.benchmark import CHOICES, QUESTIONS, Pack


@pytest.mark.parametrize("benchmark", [QUESTIONS, CHOICES], ids=lambda benchmark: benchmark.name)
def test_contract(benchmark: Pack) -> None:
    check_benchmark(benchmark, benchmark.files(None))


def test_the_right_continuation_stands_at_every_place() -> None:
    items = list(CHOICES.items(CHOICES.files(None)))
    assert min(Counter(item.gold for item in items).values()) >= 4


def test_items_on_one_text_share_a_cluster() -> None:
    items = list(QUESTIONS.items(QUESTIONS.files(None)))
    for item in items:
        assert item.question
        assert bool(item.question.documents) == bool(item.cluster)
