"""Who is asked what, and how often, while a line is measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.engine.agreement import errors
from benchmarks.engine.bench import Bench
from benchmarks.engine.kept import Kept
from benchmarks.engine.sides import Sides
from benchmarks.engine.work import Work

SECONDS = {1: 3.0, 4: 2.0, 16: 5.0}
HALF = {"ours": 0.25, "lm-eval": 1.0}
"""What each side is off in half precision."""


@dataclass
class Told(Sides):
    """Both sides, with answers that are known beforehand, and what they were asked."""

    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def ours(self, work: Work | str) -> dict[str, Any]:
        assert isinstance(work, Work)
        return self._answer("ours", work)

    def peer(self, work: Work, peer: str, batch: int) -> dict[str, Any]:
        assert batch == 4
        return self._answer(peer, work)

    def tried(self, work: Work, peer: str, sizes: Sequence[int]) -> dict[int, float]:
        self.asked.append(("tried", work.dtype, Path(work.rows).stem))
        return {size: SECONDS[size] for size in sizes}

    def _answer(self, side: str, work: Work) -> dict[str, Any]:
        self.asked.append((side, work.dtype, Path(work.rows).stem))
        off = HALF[side] if work.dtype == "bfloat16" else 0.0
        values = [[[-1.0 - off, True], [-2.0, False]]]
        return {"seconds": 2.0 if side == "ours" else 40.0, "tokens": 1, "rows": 1, "peak": 1, "values": values}


@pytest.fixture
def sides() -> Told:
    return Told()


@pytest.fixture
def bench(sides: Told, tmp_path: Path) -> Bench:
    return Bench(sides, Kept(tmp_path / "kept"), {"torch": "2"})


@pytest.fixture
def work(tmp_path: Path) -> Work:
    model = tmp_path / "15M"
    model.mkdir()
    (model / "config.json").write_text("{}")
    for name in ("few", "many", "trial"):
        (tmp_path / f"{name}.json").write_text(json.dumps([[name, [" a", " b"]]]))
    paths = {name: str(tmp_path / f"{name}.json") for name in ("few", "trial")}
    return Work(
        name="six-shot, 60 questions",
        kind="score",
        model=str(model),
        dtype="float32",
        rows=paths["few"],
        items=60,
        peers=("lm-eval",),
        trial=paths["trial"],
        trial_model=str(model),
    )


def whole(work: Work) -> Work:
    return replace(work, name="six-shot, 790 questions", rows=work.rows.replace("few", "many"), items=790)


def test_rounds_are_in_turns_and_who_goes_first_changes(bench: Bench, sides: Told, work: Work) -> None:
    (line,) = bench.measured(work, rounds=3)
    assert [who for who, *_ in sides.asked] == ["tried", "ours", "lm-eval", "lm-eval", "ours", "ours", "lm-eval"]
    assert line["batch"] == 4
    assert line["ratio"] == {"median": 20, "low": 20, "high": 20}
    assert line["items"] == 60


def test_a_batch_size_is_tried_on_few_rows_and_once_for_few_and_all(bench: Bench, sides: Told, work: Work) -> None:
    bench.measured(work, rounds=1)
    (line,) = bench.measured(whole(work), rounds=1)
    assert [one for one in sides.asked if one[0] == "tried"] == [("tried", "float32", "trial")]
    assert line["tried"] == SECONDS


def test_a_batch_size_is_tried_for_each_precision(bench: Bench, sides: Told, work: Work) -> None:
    bench.measured(work, rounds=1)
    bench.measured(replace(work, dtype="bfloat16"), rounds=1)
    assert [dtype for who, dtype, _ in sides.asked if who == "tried"] == ["float32", "bfloat16"]


def test_half_precision_is_held_against_single_that_was_measured_before(bench: Bench, sides: Told, work: Work) -> None:
    bench.measured(work, rounds=1)
    (line,) = bench.measured(replace(work, dtype="bfloat16"), rounds=1)
    assert line["off single precision"] == {
        "ours": {"mean": 0.125, "largest": 0.25},
        "peer": {"mean": 0.5, "largest": 1.0},
    }
    assert [one for one in sides.asked if one[0] != "tried"][2:] == [
        ("ours", "bfloat16", "few"),
        ("lm-eval", "bfloat16", "few"),
    ]


def test_half_precision_alone_computes_single_once_and_on_its_own_rows(bench: Bench, sides: Told, work: Work) -> None:
    half = replace(work, dtype="bfloat16")
    bench.measured(half, rounds=2)
    bench.measured(half, rounds=2)
    bench.measured(whole(half), rounds=1)
    single = [one for one in sides.asked if one[1] == "float32" and one[0] != "tried"]
    assert single == [
        ("ours", "float32", "few"),
        ("lm-eval", "float32", "few"),
        ("ours", "float32", "many"),
        ("lm-eval", "float32", "many"),
    ]


def test_errors_are_of_every_choice() -> None:
    half, single = [[[-1.5, True]], [[-2.0, False], [-4.0, False]]], [[[-1.0, True]], [[-2.25, False], [-4.0, True]]]
    assert errors(half, single) == {"mean": 0.25, "largest": 0.5}
