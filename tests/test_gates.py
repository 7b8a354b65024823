"""Gates: what is accepted, what each ruling needs, and what all of them come to."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.errors import BadInput, ExitCode
from orca_guard.gates import (
    EXIT_CODES,
    Found,
    Gate,
    GateResult,
    Look,
    Ruling,
    evaluate,
    gate_json,
    gates_of,
    result_json,
    subjects_of,
    unreachable,
    verdict,
)
from orca_guard.items import Metric, metric_json

ACCURACY = metric_json(Metric(name="accuracy"))
GAP = metric_json(Metric(name="gap", aggregate="gap", over="group"))
SIGNED = metric_json(Metric(name="bias", scale="signed"))
PLAN: dict[str, Any] = {
    "arms": [{"name": "plain"}, {"name": "guarded"}],
    "models": [{"name": "model"}],
    "benchmarks": [
        {
            "name": "sums",
            "kind": "question",
            "metrics": [ACCURACY | {"by": ["category"]}, ACCURACY | {"name": "coverage"}, GAP],
        },
        {"name": "cloze", "kind": "score", "metrics": [ACCURACY, SIGNED]},
    ],
    "absent": [{"benchmark": "far", "reason": "no data"}],
}
MARGIN = {"at_least": None, "margin": 0.1, "baseline": "plain"}
GATE = {"benchmark": "sums", "metric": "accuracy", "at_least": 0.5}


def looking(**found: Found) -> Look:
    """What there is for these arms."""
    return lambda _gate, subject: found.get(subject)


def saw(low: float, value: float | None, high: float, **more: Any) -> Found:
    return Found(**{"value": value, "low": low, "high": high, "clusters": 50, **more})


def ruled(gate: Gate, **found: Found) -> list[tuple[str, Ruling]]:
    return [(result.subject, result.ruling) for result in evaluate([gate], looking(**found), PLAN)]


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
        ({"at_most": 0.9}, "it has at_least and at_most of at_least, at_most and margin; give exactly one"),
        ({"at_least": None}, "it has none of at_least, at_most and margin; give exactly one"),
        ({"at_least": None, "margin": 0.1}, "a margin has a baseline, and nothing else has one"),
        ({"baseline": "plain"}, "a margin has a baseline, and nothing else has one"),
        ({**MARGIN, "baseline": "plian"}, "unknown arm 'plian': did you mean 'plain'?"),
        ({**MARGIN, "subject": "plain"}, "'plain' is its own baseline"),
        ({**MARGIN, "baseline": "", "baseline_run": "r"}, "a margin has a baseline, and nothing else has one"),
        ({**MARGIN, "margin": -0.1}, "margin is a number from 0 to 1, not -0.1"),
        ({**MARGIN, "metric": "gap"}, "gap is a gap, which has no difference item by item; give at_most"),
        ({"confidence": 0.4}, "confidence is a number from 0.5 to 1, not 0.4"),
        ({"confidence": 1}, "confidence is less than 1: nothing is certain"),
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
        ({"at_least": 0.5}, 0.3, 0.4, 0.5, Ruling.INCONCLUSIVE),
        ({"at_least": 0.5}, 0.3, 0.4, 0.49, Ruling.FAIL),
        ({"at_least": 0.0}, 0.0, 0.0, 0.3, Ruling.PASS),
        ({"at_least": 0.0}, 0.0, None, 1.0, Ruling.INCONCLUSIVE),
        ({"at_most": 0.5}, 0.1, 0.3, 0.5, Ruling.PASS),
        ({"at_most": 0.5}, 0.1, 0.3, 0.51, Ruling.INCONCLUSIVE),
        ({"at_most": 0.5}, 0.5, 0.6, 0.7, Ruling.INCONCLUSIVE),
        ({"at_most": 0.5}, 0.51, 0.6, 0.7, Ruling.FAIL),
        ({"at_most": 0.0}, 0.0, 0.0, 0.3, Ruling.INCONCLUSIVE),
        ({"at_most": 1.0}, 0.0, None, 1.0, Ruling.INCONCLUSIVE),
        ({"margin": 0.1, "baseline": "guarded"}, -0.1, 0.0, 0.1, Ruling.PASS),
        ({"margin": 0.1, "baseline": "guarded"}, -0.11, 0.0, 0.1, Ruling.INCONCLUSIVE),
        ({"margin": 0.1, "baseline": "guarded"}, -0.3, -0.2, -0.11, Ruling.FAIL),
    ],
)
def test_ruling(bounds: dict[str, Any], low: float, value: float | None, high: float, ruling: Ruling) -> None:
    (gate,) = gates_of([{"benchmark": "sums", "metric": "accuracy", "subject": "plain", **bounds}], PLAN)
    assert ruled(gate, plain=saw(low, value, high)) == [("plain", ruling)]


@pytest.mark.parametrize("better", [saw(0.9, 0.95, 1, clusters=9), saw(0.9, 0.95, 1, void="circular")])
def test_evidence_that_is_too_little_or_void_rules_nothing(better: Found) -> None:
    worse = replace(better, low=0.0, value=0.1, high=0.2)
    (gate,) = gates_of([GATE], PLAN)
    assert ruled(gate, plain=better, guarded=worse) == [
        ("plain", Ruling.INCONCLUSIVE),
        ("guarded", Ruling.INCONCLUSIVE),
    ]


def test_a_gate_without_a_subject_is_one_for_each() -> None:
    (gate,) = gates_of([GATE], PLAN)
    rulings = ruled(gate, guarded=saw(0.6, 0.7, 0.8), plain=saw(0.1, 0.2, 0.3))
    assert rulings == [("plain", Ruling.FAIL), ("guarded", Ruling.PASS)]


def test_a_margin_is_for_everybody_but_the_baseline() -> None:
    (gate,) = gates_of([GATE | MARGIN], PLAN)
    assert ruled(gate, plain=saw(0, 0, 0), guarded=saw(0, 0, 0)) == [("guarded", Ruling.PASS)]


def test_where_there_is_no_figure_nothing_is_ruled() -> None:
    gates = gates_of([GATE | {"subject": "plain"}, {"benchmark": "far", "metric": "any", "at_least": 0.5}], PLAN)
    results = evaluate(gates, looking(), PLAN)
    assert [(r.subject, r.ruling, r.value, r.reason) for r in results] == [
        ("plain", Ruling.INCONCLUSIVE, None, "this was not measured"),
        ("", Ruling.INCONCLUSIVE, None, "this was not measured"),
    ]


def test_a_result_says_what_it_rests_on() -> None:
    (gate,) = gates_of([GATE | {"because": "as before"}], PLAN)
    row = result_json(evaluate([gate], looking(plain=saw(0.4, 0.6, 0.8, note="of 50 items")), PLAN)[0])
    assert json.loads(json.dumps(row)) == row
    assert row == {
        "benchmark": "sums",
        "metric": "accuracy",
        "subject": "plain",
        "group": "",
        "at_least": 0.5,
        "at_most": None,
        "margin": None,
        "baseline": "",
        "baseline_run": "",
        "confidence": 0.95,
        "because": "as before",
        "kind": "",
        "policy": "",
        "sequential": False,
        "labels": 0,
        "ruling": "inconclusive",
        "value": 0.6,
        "low": 0.4,
        "high": 0.8,
        "reason": "0.6000 holds, and the bounds 0.4000 and 0.8000 lie on either side of 0.5: not enough evidence; "
        "of 50 items",
    }


UNIT = st.floats(0, 1)
SORTED = st.lists(UNIT, min_size=3, max_size=3).map(sorted)


@given(SORTED, UNIT)
def test_what_holds_one_way_round_holds_the_other(bounds: list[float], threshold: float) -> None:
    """A rate of at most t is a rate of the opposite of at least -t."""
    low, value, high = bounds
    up = ruled(
        Gate(benchmark="sums", metric="accuracy", subject="plain", at_least=-threshold), plain=saw(-high, -value, -low)
    )
    down = ruled(
        Gate(benchmark="sums", metric="accuracy", subject="plain", at_most=threshold), plain=saw(low, value, high)
    )
    assert up == down


@given(SORTED, UNIT, st.sampled_from(["at_least", "at_most"]))
def test_a_gate_rules_exactly_where_the_whole_interval_is_on_one_side(
    bounds: list[float], threshold: float, key: str
) -> None:
    low, value, high = bounds
    (gate,) = gates_of([{"benchmark": "sums", "metric": "accuracy", "subject": "plain", key: threshold}], PLAN)
    ((_, ruling),) = ruled(gate, plain=saw(low, value, high))
    every = threshold <= low if key == "at_least" else high <= threshold
    none = threshold > high if key == "at_least" else low > threshold
    assert (ruling is Ruling.PASS) == every
    assert (ruling is Ruling.FAIL) == none


def test_what_a_perfect_model_could_not_pass_is_told_with_its_arithmetic() -> None:
    strict, loose = gates_of([{**GATE, "at_least": None, "at_most": limit} for limit in (0.05, 0.06)], PLAN)
    (told,) = unreachable([strict, loose], looking(plain=saw(0, 0, 0.0503)), PLAN)
    assert told.startswith("gate 1 (sums accuracy ≤ 0.05) cannot pass: if every item came out right")
    assert "0.0503" in told


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
        Ruling.NONE: ExitCode.INCONCLUSIVE,
        Ruling.FAIL: ExitCode.FAILED,
        Ruling.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    }
