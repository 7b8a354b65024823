"""Figures from records: worked by hand, whatever the order, and with every gap and intruder named."""

from __future__ import annotations

import copy
import json
import random
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.errors import BadInput
from orca_guard.figures import best_case, differences, figures_of, results_digest
from orca_guard.gates import Gate
from orca_guard.items import ACCURACY, Disposition, Metric, metric_json
from orca_guard.stats import Sample, mean

ASKED = metric_json(Metric(name="answered", by=("topic",)))
PLAN: dict[str, Any] = {
    "arms": [{"name": "plain"}, {"name": "guarded"}],
    "models": [{"name": "model"}],
    "benchmarks": [
        {"name": "sums", "kind": "question", "metrics": [metric_json(ACCURACY), ASKED]},
        {"name": "cloze", "kind": "score", "metrics": [metric_json(ACCURACY)]},
    ],
}
ITEMS: list[dict[str, Any]] = [
    {"benchmark": "sums", "id": "1", "digest": "d", "cluster": "p", "groups": {"topic": "b"}},
    {"benchmark": "sums", "id": "2", "digest": "d", "cluster": "p", "groups": {"topic": "a"}},
    {"benchmark": "sums", "id": "3", "digest": "d", "cluster": "", "groups": {"topic": "b", "other": "x"}},
    {"benchmark": "sums", "id": "4", "digest": "d", "cluster": "", "groups": {}},
    {"benchmark": "cloze", "id": "1", "digest": "d", "cluster": "", "groups": {}},
]


def record(item: str, subject: str, score: float | None, **more: Any) -> dict[str, Any]:
    return {
        "n": 7,
        "prev": "sha256:00",
        "kind": "item",
        "benchmark": "sums",
        "item": item,
        "subject": subject,
        "disposition": "answered",
        "scores": {"accuracy": score, "answered": score},
        "seconds": 0.25,
    } | more


RECORDS = [
    {"n": 0, "prev": "sha256:01", "kind": "open", "rank": 0},
    record("1", "plain", 1.0),
    record("1", "guarded", 0.0, disposition="blocked", scores={"accuracy": 0.0, "answered": None}),
    record("2", "plain", 0.0),
    record("2", "guarded", 1),
    {"n": 5, "prev": "sha256:02", "kind": "resumed", "dropped": 3},
    record("3", "plain", 1.0),
    record("3", "guarded", 1.0),
    record("4", "plain", None, disposition="error"),
    record("4", "guarded", 0.5),
    record("1", "model", 1.0, benchmark="cloze", scores={"accuracy": 1.0}),
]


def found(records: list[dict[str, Any]] = RECORDS) -> dict[tuple[str, ...], dict[str, Any]]:
    figures = figures_of(PLAN, ITEMS, records)
    return {(f["benchmark"], f["subject"], f["metric"], f["group"]): f for f in figures}


# --- figures -------------------------------------------------------------------------------------


def test_figures_stand_in_the_order_of_the_plan() -> None:
    def of(subject: str) -> list[tuple[str, ...]]:
        every = [("accuracy", ""), ("answered", ""), ("answered", "topic=a"), ("answered", "topic=b")]
        return [("sums", subject, *rest) for rest in every]

    assert list(found()) == [*of("plain"), *of("guarded"), ("cloze", "model", "accuracy", "")]


def test_a_figure_worked_by_hand() -> None:
    """1, 0 and 1 of which the first two are one cluster, and an error that counts for neither bound."""
    estimate = mean(Sample(scores=[1.0, 0.0, 1.0, None], clusters=["p", "p", "", ""]))
    assert found()["sums", "plain", "accuracy", ""] == {
        "benchmark": "sums",
        "subject": "plain",
        "metric": "accuracy",
        "group": "",
        "value": 2 / 3,
        "low": estimate.low,
        "high": estimate.high,
        "n": 3,
        "clusters": 2,
        "unscored": 1,
        "outside": 0,
        "counts": {"answered": 3, "error": 1},
        "corrected": None,
        "circular": [],
    }


def test_a_group_holds_its_items_alone() -> None:
    figure = found()["sums", "guarded", "answered", "topic=b"]
    assert (figure["value"], figure["n"], figure["unscored"]) == (1.0, 1, 1)
    assert figure["counts"] == {"answered": 1, "blocked": 1}
    assert (figure["low"], figure["high"]) == (0.0, 1.0)


def test_dispositions_are_counted_in_their_order() -> None:
    records = [record(i, "plain", None, disposition=d) for i, d in zip("1234", reversed(Disposition), strict=False)]
    counts = found(records)["sums", "plain", "accuracy", ""]["counts"]
    assert list(counts) == ["empty", "blocked", "abstained", "error"]
    assert set(counts.values()) == {1}


def test_what_has_no_record_is_unscored() -> None:
    figure = found([])["sums", "plain", "accuracy", ""]
    assert (figure["value"], figure["low"], figure["high"]) == (None, 0, 1)
    assert (figure["n"], figure["unscored"], figure["counts"]) == (0, 4, {})


def test_figures_can_be_sealed() -> None:
    figures = figures_of(PLAN, ITEMS, RECORDS)
    assert json.loads(json.dumps(figures)) == figures


@given(st.randoms(use_true_random=False))
def test_order_and_shards_do_not_matter(chance: random.Random) -> None:
    shuffled = chance.sample(RECORDS, len(RECORDS))
    assert figures_of(PLAN, ITEMS, shuffled) == figures_of(PLAN, ITEMS, RECORDS)
    assert results_digest(shuffled) == results_digest(RECORDS)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (record("1", "plain", 1.0), "'1' of 'sums' under 'plain' is there twice"),
        (record("9", "plain", 1.0), "'9' of 'sums' under 'plain' is not planned"),
        (record("1", "model", 1.0), "'1' of 'sums' under 'model' is not planned"),
        (record("1", "plain", 1.0, benchmark="odds"), "'1' of 'odds' under 'plain' is not planned"),
    ],
)
def test_a_record_that_does_not_belong_is_named(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        figures_of(PLAN, ITEMS, [*RECORDS, bad])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": {"accuracy": 1.0}}, "has no 'answered'"),
        ({"scores": {"accuracy": 1.5, "answered": 1}}, "has the accuracy 1.5, which is no number from 0 to 1"),
        ({"scores": {"accuracy": float("nan"), "answered": 1}}, "has the accuracy nan"),
        ({"scores": {"accuracy": True, "answered": 1}}, "has the accuracy True"),
        ({"scores": {"accuracy": "1", "answered": 1}}, "has the accuracy '1'"),
        ({"scores": None}, "has no 'accuracy'"),
        ({"disposition": "lost"}, "has the disposition 'lost'"),
        ({"disposition": ["error"]}, "has the disposition .'error'."),
    ],
)
def test_an_unsound_record_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=f"the record of '1' of 'sums' under 'plain' {message}"):
        figures_of(PLAN, ITEMS, [record("1", "plain", 1.0, **change)])


@pytest.mark.parametrize("key", ["benchmark", "item", "subject"])
@pytest.mark.parametrize("value", [None, 1, ["1"]])
def test_a_record_of_nothing_is_refused(key: str, value: Any) -> None:
    with pytest.raises(BadInput, match=f"a record has the {key} .*, which is no text"):
        figures_of(PLAN, ITEMS, [record("1", "plain", 1.0) | {key: value}])


def test_items_are_of_the_plan_and_listed_once() -> None:
    odd = ITEMS[0] | {"benchmark": "odds"}
    for items, message in (
        ([ITEMS[0], *ITEMS], "item '1' of 'sums' is listed twice"),
        ([*ITEMS, ITEMS[0]], "items of 'sums' stand in two places"),
        ([*ITEMS, odd], "items of 'odds' .* not planned"),
    ):
        with pytest.raises(BadInput, match=message):
            figures_of(PLAN, items, [])


def test_an_unknown_aggregate_is_named() -> None:
    plan = copy.deepcopy(PLAN)
    plan["benchmarks"][1]["metrics"][0]["aggregate"] = "meen"
    with pytest.raises(BadInput, match="unknown aggregate 'meen': did you mean 'mean'"):
        figures_of(plan, ITEMS, RECORDS)


def test_records_are_not_kept() -> None:
    """Ten thousand records of 10 kB each leave less than a hundredth of them in memory."""
    count = 10_000
    plan = PLAN | {"benchmarks": PLAN["benchmarks"][:1]}
    items = [ITEMS[3] | {"id": str(n)} for n in range(count)]

    def records() -> Iterator[dict[str, Any]]:
        return (record(str(n), "plain", 1.0, reason=f"{n}" * 2500) for n in range(count))

    tracemalloc.start()
    figures_of(plan, items, records())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


# --- the digest of results -----------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"seconds": 9.0}, {"sureness": [[-0.5, 0.1]]}, {"n": 8}, {"prev": "sha256:ff"}])
def test_times_and_chains_are_no_results(change: dict[str, Any]) -> None:
    assert results_digest([r | change for r in RECORDS if r["kind"] == "item"]) == results_digest(RECORDS)


@pytest.mark.parametrize("change", [{"scores": {"accuracy": 0.0}}, {"item": "2"}, {"reason": "x"}, {"mark": "pass"}])
def test_everything_else_is(change: dict[str, Any]) -> None:
    assert results_digest([*RECORDS[:-1], RECORDS[-1] | change]) != results_digest(RECORDS)


def test_a_record_more_or_less_is_another_result() -> None:
    different = {results_digest(records) for records in ([], RECORDS[:-1], RECORDS, [*RECORDS, RECORDS[-1]])}
    assert len(different) == 4


# --- differences ---------------------------------------------------------------------------------


def test_figures_agree_with_themselves_and_with_their_copy() -> None:
    figures = figures_of(PLAN, ITEMS, RECORDS)
    assert differences(figures, figures) == []
    assert differences(list(reversed(json.loads(json.dumps(figures)))), figures) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"value": 0.7}, "value is recorded as 0.7 and comes to 0.6666666666666666"),
        ({"value": None}, "value is recorded as None and comes to 0.6666666666666666"),
        ({"value": "0.7"}, "value is recorded as 0.7 and comes to 0.6666666666666666"),
        ({"value": float("nan")}, "value is recorded as nan and comes to 0.6666666666666666"),
        ({"n": 4}, "n is recorded as 4 and comes to 3"),
        ({"unscored": True}, "unscored is recorded as True and comes to 1"),
        ({"counts": {"answered": 4}}, "counts is recorded as {'answered': 4} and comes to {'answered': 3, 'error': 1}"),
        ({"stars": 5}, "stars is recorded as 5 and comes to absent"),
    ],
)
def test_what_differs_is_named(change: dict[str, Any], line: str) -> None:
    figures = figures_of(PLAN, ITEMS, RECORDS)
    assert differences([figures[0] | change, *figures[1:]], figures) == [f"sums plain accuracy: {line}"]


def test_what_lies_within_the_tolerance_does_not_differ() -> None:
    figures = figures_of(PLAN, ITEMS, RECORDS)
    near, far = ([figures[0] | {"low": figures[0]["low"] + step}, *figures[1:]] for step in (5e-10, 2e-9))
    assert differences(near, figures) == []
    assert len(differences(far, figures)) == 1


def test_missing_strange_and_repeated_figures_are_named() -> None:
    figures = figures_of(PLAN, ITEMS, RECORDS)
    assert differences(figures[1:], figures) == ["sums plain accuracy: not recorded"]
    assert differences([*figures, figures[2]], figures) == ["sums plain answered topic=a: recorded twice"]
    strange = [figures[0] | {"subject": "else"}, {}]
    assert differences([*figures, *strange], figures) == [
        "sums else accuracy: recorded, and there is no such figure",
        "a figure without a name: recorded, and there is no such figure",
    ]


# --- the best that there could be --------------------------------------------------------------


@pytest.mark.parametrize(
    ("aggregate", "limit", "value"),
    [
        ("mean", {"at_least": 0.5}, 1.0),
        ("mean", {"at_most": 0.5}, 0.0),
        ("balanced", {"at_most": 0.5}, 0.0),
        ("agreement", {"at_least": 0.5}, 1.0),
        ("agreement", {"at_most": 0.5}, 0.0),
        ("gap", {"at_most": 0.5}, 0.0),
        ("gap", {"at_least": 0.5}, 1.0),
    ],
)
def test_the_best_case_is_the_best_that_scores_can_make(aggregate: str, limit: dict[str, Any], value: float) -> None:
    over = "" if aggregate == "mean" else "pair" if aggregate == "agreement" else "half"
    metric = metric_json(Metric(name="m", aggregate=aggregate, over=over))
    plan = PLAN | {"benchmarks": [{"name": "b", "kind": "question", "metrics": [metric]}], "gates": []}
    items = [
        {
            "benchmark": "b",
            "id": f"{n}",
            "digest": "",
            "cluster": "",
            "groups": {"pair": f"{n // 2}", "half": f"{n % 2}"},
        }
        for n in range(40)
    ]
    gate = Gate(benchmark="b", metric="m", **limit)
    found = best_case(plan, items)(gate, plan["arms"][0]["name"])
    assert found is not None
    assert found.value == value
