"""Gates: what is accepted, what each ruling needs, and what all of them come to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.errors import BadInput, ExitCode
from orca_guard.gates import (
    EXIT_CODES,
    Gate,
    GateResult,
    Ruling,
    evaluate,
    gate_json,
    gates_of,
    result_json,
    subjects_of,
    verdict,
)
from orca_guard.items import Metric, metric_json

ACCURACY = metric_json(Metric(name="accuracy"))
SIGNED = metric_json(Metric(name="bias", scale="signed"))
PLAN: dict[str, Any] = {
    "arms": [{"name": "plain"}, {"name": "guarded"}],
    "models": [{"name": "model"}],
    "benchmarks": [
        {
            "name": "sums",
            "kind": "question",
            "metrics": [ACCURACY | {"by": ["category"]}, ACCURACY | {"name": "coverage"}],
        },
        {"name": "cloze", "kind": "score", "metrics": [ACCURACY, SIGNED]},
    ],
    "absent": [{"benchmark": "far", "reason": "no data"}],
}
GATE = {"benchmark": "sums", "metric": "accuracy", "at_least": 0.5}


def figure(low: float, value: float | None, high: float, **which: str) -> dict[str, Any]:
    where = {"benchmark": "sums", "subject": "plain", "metric": "accuracy", "group": ""} | which
    return where | {"value": value, "low": low, "high": high}


def ruled(gate: Gate, *figures: dict[str, Any]) -> list[tuple[str, Ruling]]:
    return [(result.subject, result.ruling) for result in evaluate([gate], figures, PLAN)]


# --- what is accepted ----------------------------------------------------------------------------


def test_a_gate_keeps_what_it_was_given() -> None:
    table = {
        "benchmark": "sums",
        "metric": "accuracy",
        "subject": "guarded",
        "group": "category=a=b",
        "at_least": 1,
    }
    (gate,) = gates_of([table], PLAN)
    assert gate == Gate(
        benchmark="sums", metric="accuracy", subject="guarded", group="category=a=b", at_least=1.0, at_most=None
    )
    assert str(gate) == "sums accuracy guarded category=a=b ≥ 1"
    assert str(Gate(benchmark="sums", metric="coverage", at_most=0.25)) == "sums coverage ≤ 0.25"


@given(st.sampled_from(["", "plain", "guarded"]), st.sampled_from(["", "category=x"]), st.floats(0, 1), st.booleans())
def test_a_gate_comes_back_from_a_plan(subject: str, group: str, threshold: float, upward: bool) -> None:  # noqa: FBT001
    bounds = {"at_least": threshold} if upward else {"at_most": threshold}
    gates = gates_of([{"benchmark": "sums", "metric": "accuracy", "subject": subject, "group": group, **bounds}], PLAN)
    assert gates_of(json.loads(json.dumps([gate_json(gate) for gate in gates])), PLAN) == gates
    assert gates[0].threshold == threshold


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"at_lest": 0.5}, "unknown key 'at_lest': did you mean 'at_least'?"),
        ({"benchmark": "sum"}, "unknown benchmark 'sum': did you mean 'sums'?"),
        ({"benchmark": "fra"}, "unknown benchmark 'fra': did you mean 'far'?"),
        ({"benchmark": None}, "benchmark is a text, not None"),
        ({"benchmark": ""}, "it names no benchmark"),
        ({"metric": "acuracy"}, "unknown metric 'acuracy': did you mean 'accuracy'?"),
        ({"metric": ""}, "it names no metric"),
        ({"subject": "plan"}, "unknown arm 'plan': did you mean 'plain'?"),
        ({"subject": "model"}, "unknown arm 'model'"),
        ({"benchmark": "cloze", "subject": "plain"}, "unknown model 'plain'. There is: model."),
        ({"group": "categroy=x"}, "unknown group key 'categroy': did you mean 'category'?"),
        ({"group": "category"}, "group is written key=value, not 'category'"),
        ({"group": "category="}, "group is written key=value, not 'category='"),
        ({"metric": "coverage", "group": "category=x"}, "unknown group key 'category'. There is none."),
        ({"at_most": 0.9}, "it has both at_least and at_most; give exactly one"),
        ({"at_least": None}, "it has neither at_least nor at_most; give exactly one"),
        ({"at_least": 50}, "at_least is a number from 0 to 1, not 50"),
        ({"at_least": -0.1}, "accuracy lies between 0 and 1, and the threshold is -0.1"),
        ({"at_least": -1.1}, "at_least is a number from 0 to 1, not -1.1"),
        ({"at_least": "0.5"}, "at_least is a number from 0 to 1, not '0.5'"),
        ({"at_least": True}, "at_least is a number from 0 to 1, not True"),
        ({"at_least": float("nan")}, "at_least is a number from 0 to 1, not nan"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        gates_of([GATE, GATE | change], PLAN)
    assert str(caught.value).startswith(f"gate 2: {message}")


def test_subjects_are_arms_or_models() -> None:
    assert [subjects_of(PLAN, benchmark) for benchmark in PLAN["benchmarks"]] == [["plain", "guarded"], ["model"]]


# --- what figures make of them -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "low", "value", "high", "ruling"),
    [
        ({"at_least": 0.5}, 0.5, 0.7, 0.9, Ruling.PASS),
        ({"at_least": 0.5}, 0.49, 0.7, 0.9, Ruling.INCONCLUSIVE),
        ({"at_least": 0.5}, 0.3, 0.5, 0.9, Ruling.INCONCLUSIVE),
        ({"at_least": 0.5}, 0.3, 0.49, 0.9, Ruling.FAIL),
        ({"at_least": 0.5}, 0.1, 0.2, 0.3, Ruling.FAIL),
        ({"at_least": 0.0}, 0.0, 0.0, 0.3, Ruling.PASS),
        ({"at_least": 0.0}, 0.0, None, 1.0, Ruling.INCONCLUSIVE),
        ({"at_most": 0.5}, 0.1, 0.3, 0.5, Ruling.PASS),
        ({"at_most": 0.5}, 0.1, 0.3, 0.51, Ruling.INCONCLUSIVE),
        ({"at_most": 0.5}, 0.1, 0.5, 0.7, Ruling.INCONCLUSIVE),
        ({"at_most": 0.5}, 0.1, 0.51, 0.7, Ruling.FAIL),
        ({"at_most": 0.5}, 0.6, 0.7, 0.8, Ruling.FAIL),
        ({"at_most": 0.0}, 0.0, 0.0, 0.3, Ruling.INCONCLUSIVE),
        ({"at_most": 1.0}, 0.0, None, 1.0, Ruling.INCONCLUSIVE),
    ],
)
def test_ruling(bounds: dict[str, float], low: float, value: float | None, high: float, ruling: Ruling) -> None:
    (gate,) = gates_of([{"benchmark": "sums", "metric": "accuracy", "subject": "plain", **bounds}], PLAN)
    assert ruled(gate, figure(low, value, high)) == [("plain", ruling)]


def test_a_gate_without_a_subject_is_one_for_each() -> None:
    (gate,) = gates_of([GATE], PLAN)
    figures = [figure(0.6, 0.7, 0.8, subject="guarded"), figure(0.1, 0.2, 0.3, subject="plain")]
    assert ruled(gate, *figures) == [("plain", Ruling.FAIL), ("guarded", Ruling.PASS)]


def test_a_gate_looks_at_its_own_figure_alone() -> None:
    (gate,) = gates_of([GATE | {"subject": "plain", "group": "category=x"}], PLAN)
    others = [
        figure(0.9, 0.9, 0.9),
        figure(0.9, 0.9, 0.9, group="category=y"),
        figure(0.9, 0.9, 0.9, group="category=x", subject="guarded"),
        figure(0.9, 0.9, 0.9, group="category=x", metric="coverage"),
        figure(0.9, 0.9, 0.9, group="category=x", benchmark="cloze"),
    ]
    (result,) = evaluate([gate], others, PLAN)
    assert (result.ruling, result.value, result.reason) == (Ruling.INCONCLUSIVE, None, "there is no such figure")
    assert ruled(gate, *others, figure(0.6, 0.6, 0.6, group="category=x")) == [("plain", Ruling.PASS)]


def test_a_gate_on_an_absent_benchmark_is_inconclusive() -> None:
    (gate,) = gates_of([{"benchmark": "far", "metric": "whatever", "at_least": 0.5}], PLAN)
    assert ruled(gate, figure(0.9, 0.9, 0.9)) == [("", Ruling.INCONCLUSIVE)]


def test_a_result_says_what_it_rests_on() -> None:
    (gate,) = gates_of([GATE], PLAN)
    row = result_json(evaluate([gate], [figure(0.4, 0.6, 0.8)], PLAN)[0])
    assert json.loads(json.dumps(row)) == row
    assert row == {
        "benchmark": "sums",
        "metric": "accuracy",
        "subject": "plain",
        "group": "",
        "at_least": 0.5,
        "at_most": None,
        "ruling": "inconclusive",
        "value": 0.6,
        "low": 0.4,
        "high": 0.8,
        "reason": "0.6000 holds, but the lower bound 0.4000 does not: not enough evidence",
    }


UNIT = st.floats(0, 1)


@given(st.lists(UNIT, min_size=3, max_size=3).map(sorted), UNIT)
def test_what_holds_one_way_round_holds_the_other(bounds: list[float], threshold: float) -> None:
    """A rate of at most t is a rate of the opposite of at least -t."""
    low, value, high = bounds
    up = ruled(
        Gate(benchmark="sums", metric="accuracy", subject="plain", at_least=-threshold), figure(-high, -value, -low)
    )
    down = ruled(
        Gate(benchmark="sums", metric="accuracy", subject="plain", at_most=threshold), figure(low, value, high)
    )
    assert up == down


@given(st.lists(UNIT, min_size=3, max_size=3).map(sorted), UNIT, st.sampled_from(["at_least", "at_most"]))
def test_no_gate_passes_where_any_number_within_the_bounds_misses(
    bounds: list[float], threshold: float, key: str
) -> None:
    low, value, high = bounds
    (gate,) = gates_of([{"benchmark": "sums", "metric": "accuracy", "subject": "plain", key: threshold}], PLAN)
    ((_, ruling),) = ruled(gate, figure(low, value, high))
    every = threshold <= low if key == "at_least" else high <= threshold
    none = threshold > high if key == "at_least" else low > threshold
    assert (ruling is Ruling.PASS) == every
    assert ruling is Ruling.FAIL or not none


# --- all of them ---------------------------------------------------------------------------------

ONE = Gate(benchmark="sums", metric="accuracy", at_least=0.5)


def together(*rulings: Ruling, absent: bool = False) -> Ruling:
    return verdict([GateResult(gate=ONE, subject="plain", ruling=ruling) for ruling in rulings], absent=absent)


def test_verdict() -> None:
    assert together() is Ruling.NONE
    assert together(Ruling.PASS, Ruling.PASS) is Ruling.PASS
    assert together(Ruling.PASS, Ruling.INCONCLUSIVE) is Ruling.INCONCLUSIVE
    assert together(Ruling.INCONCLUSIVE, Ruling.FAIL, Ruling.PASS) is Ruling.FAIL


def test_what_is_absent_passes_nothing() -> None:
    assert together(absent=True) is Ruling.INCONCLUSIVE
    assert together(Ruling.PASS, absent=True) is Ruling.INCONCLUSIVE
    assert together(Ruling.FAIL, absent=True) is Ruling.FAIL


def test_every_verdict_has_an_exit_code() -> None:
    assert {ruling: EXIT_CODES[ruling] for ruling in Ruling} == {
        Ruling.PASS: ExitCode.DONE,
        Ruling.NONE: ExitCode.DONE,
        Ruling.FAIL: ExitCode.FAILED,
        Ruling.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    }
