"""What a plan calls for, and whether it is there."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca_guard.errors import BadInput
from orca_guard.identity import digest_text
from orca_guard.journal.chain import Fault
from orca_guard.journal.units import Census, ItemLine, schedule_of

Run = Any
Make = Callable[..., Run]

shapes = st.lists(st.tuples(st.sampled_from(["question", "score"]), st.integers(1, 7)), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), unit=st.integers(1, 9))
def test_units_cover_every_item_under_every_subject_once(
    make_run: Make, tmp_path_factory: pytest.TempPathFactory, fast_disk: None, data: st.DataObject, unit: int
) -> None:
    benchmarks, few = data.draw(shapes), st.integers(1, 3)
    subjects = {"question": data.draw(few), "score": data.draw(few)}
    world = data.draw(few)
    folder = tmp_path_factory.mktemp("u") / "run"
    run = make_run(folder, benchmarks, arms=subjects["question"], models=subjects["score"], unit=unit)
    schedule = run.schedule
    assert [u.number for u in schedule.units] == list(range(len(schedule.units)))
    assert [n for u in schedule.units for n in range(u.start, u.stop)] == list(range(len(run.items)))
    for one in schedule.units:
        assert 1 <= one.stop - one.start <= unit
        assert {item.benchmark for item in run.items[one.start : one.stop]} == {one.benchmark}
        kind = benchmarks[int(one.benchmark[1:])][0]
        name = "arm" if kind == "question" else "model"
        assert one.subjects == tuple(f"{name}-{n}" for n in range(subjects[kind]))
    of_ranks = [list(schedule.shares(rank=rank, world=world)) for rank in range(world)]
    assert sorted(n for shares in of_ranks for s in shares for n in s.positions) == list(range(len(run.items)))
    assert sum(s.records for shares in of_ranks for s in shares) == schedule.records == run.plan["records"]
    rounds = schedule.rounds(world)
    for share in (share for shares in of_ranks for share in shares):
        section = schedule.sections[share.benchmark]
        assert {rounds[schedule.unit_at(section, position)] for position in share.positions} == {share.number}
        assert 0 < len(share.positions) <= unit
        assert list(share.positions) == sorted(share.positions)
    census = Census(schedule)
    for number in range(len(schedule.units)):
        for record in run.records(number):
            census.see({**record, "unit": number}, file="journal-0.jsonl", line=1)
    assert census.faults({}) == []


def test_only_the_last_unit_of_a_benchmark_is_short(make_run: Make, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [("question", 5), ("score", 3)], arms=2, models=3, unit=2)
    assert [(u.benchmark, u.start, u.stop, u.records) for u in run.schedule.units] == [
        ("b0", 0, 2, 4),
        ("b0", 2, 4, 4),
        ("b0", 4, 5, 2),
        ("b1", 5, 7, 6),
        ("b1", 7, 8, 3),
    ]


def change(run: Run, **fields: Any) -> None:
    run.plan |= fields


def spoil_items(run: Run, **fields: Any) -> None:
    run.items[1] = ItemLine(**{f: getattr(run.items[1], f) for f in ItemLine.__struct_fields__} | fields)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda run: change(run, unit=0), "units of 0 items"),
        (lambda run: change(run, unit=None), "no plan: TypeError"),
        (lambda run: run.plan.pop("arms"), "no plan: KeyError: 'arms'"),
        (lambda run: change(run, arms=[]), "'b0' has nobody to ask"),
        (lambda run: change(run, arms=run.plan["arms"] * 2), "two of one name"),
        (lambda run: change(run, records=7), "counts 7 records, .* make 8"),
        (lambda run: change(run, benchmarks=run.plan["benchmarks"][:1]), "items of 'b1' stand where"),
        (lambda run: change(run, benchmarks=run.plan["benchmarks"] * 2), "'nothing' stands where .* 'b0'"),
        (lambda run: change(run, benchmarks=run.plan["benchmarks"][::-1]), "'b0' stands where .* 'b1'"),
        (lambda run: run.items.pop(), "has 1 items of 'b1', and plan.json counts 2"),
        (lambda run: spoil_items(run, benchmark="b1"), "has 1 items of 'b0'"),
        (lambda run: spoil_items(run, id="i0"), "item 'i0' of 'b0' stands there twice"),
        (lambda run: spoil_items(run, digest="sha256:what"), "no plan: ValueError"),
    ],
)
def test_a_plan_that_does_not_fit_its_items_is_refused(run: Run, spoil: Callable[[Run], None], what: str) -> None:
    spoil(run)
    with pytest.raises(BadInput, match=what):
        schedule_of(run.plan, run.items)


# --- every record once -------------------------------------------------------------------------


def all_records(run: Run) -> list[dict[str, Any]]:
    return [{**record, "unit": u.number} for u in run.schedule.units for record in run.records(u.number)]


def many(records: list[str]) -> str:
    return "1 record" if len(records) == 1 else f"{len(records)} records"


def counted(run: Run, records: list[dict[str, Any]]) -> list[Fault]:
    census = Census(run.schedule)
    for line, record in enumerate(records, 2):
        census.see(record, file="journal-0.jsonl", line=line)
    return census.faults({})


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_missing_or_twice_is_named(make_run: Make, run: Run, data: st.DataObject) -> None:
    records = all_records(run)
    times = data.draw(st.lists(st.integers(0, 3), min_size=len(records), max_size=len(records)))
    faults = counted(run, [record for record, count in zip(records, times, strict=True) for _ in range(count)])
    names = [f"{r['benchmark']}/{r['item']} under {r['subject']}" for r in records]
    missing = [name for name, count in zip(names, times, strict=True) if not count]
    again = [name for name, count in zip(names, times, strict=True) for _ in range(count - 1)]
    said = {fault.what.split(":")[0]: fault.what for fault in faults}
    expected = {f"{many(missing)} of 8 missing"} if missing else set()
    expected |= {f"{many(again)} standing a second time"} if again else set()
    assert set(said) == expected
    for what, gone in said.items():
        wanted = missing if "missing" in what else again
        assert all(name in gone for name in wanted[:5])
        assert gone.endswith(f", and {len(wanted) - 5} more") == (len(wanted) > 5)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"benchmark": "b9"}, "b9/i0 under arm-0"),
        ({"benchmark": ["b0"]}, r"\['b0'\]/i0 under arm-0"),
        ({"item": "i9"}, "b0/i9 under arm-0"),
        ({"item": None}, "b0/None under arm-0"),
        ({"subject": "model-0"}, "b0/i0 under model-0"),
        ({"subject": {}}, "b0/i0 under {}"),
    ],
)
def test_a_record_that_nobody_planned_is_named(run: Run, fields: dict[str, Any], what: str) -> None:
    first, *others = all_records(run)
    unplanned, missing = counted(run, [first | fields, *others])
    assert unplanned == Fault(
        "journal-0.jsonl",
        2,
        f"1 record that the plan does not call for: {what} (journal-0.jsonl, line 2)".replace("\\", ""),
    )
    assert missing == Fault("journal-*.jsonl", 0, "1 record of 8 missing: b0/i0 under arm-0")


@pytest.mark.parametrize(
    "fields", [{"unit": 1}, {"digest": digest_text("x")}, {"identity": digest_text("x")}, {"unit": []}]
)
def test_a_record_of_another_item_or_pipeline_is_named(run: Run, fields: dict[str, Any]) -> None:
    first, *others = all_records(run)
    (fault,) = counted(run, [first | fields, *others])
    ((key, value),) = fields.items()
    assert fault.line == 2
    assert f"b0/i0 under arm-0, whose {key} is {value!r} and not {first[key]!r}" in fault.what


def test_counting_takes_little_memory() -> None:
    """A byte for every planned record, on top of the items' names and digests."""
    count, arms = 20_000, 3
    plan: dict[str, Any] = {
        "unit": 16,
        "arms": [{"name": f"arm-{n}", "pipeline": digest_text(str(n))} for n in range(arms)],
        "models": [],
        "benchmarks": [{"name": "b", "kind": "question", "items": count}],
        "records": count * arms,
    }
    digest = digest_text("one")
    tracemalloc.start()
    schedule = schedule_of(plan, (ItemLine("b", f"item-{n}", digest, "", {}) for n in range(count)))
    held = tracemalloc.get_traced_memory()[0]
    census = Census(schedule)
    for n in range(count - 6):
        record = {"benchmark": "b", "item": f"item-{n}", "digest": digest, "unit": n // 16}
        for arm in plan["arms"]:
            census.see({**record, "subject": arm["name"], "identity": arm["pipeline"]}, file="journal-0.jsonl", line=1)
    counted = tracemalloc.get_traced_memory()[0] - held
    tracemalloc.stop()
    assert held < 450 * count
    assert counted < 2 * count * arms
    assert census.faults({})[0].what.endswith("b/item-19995 under arm-1, and 13 more")
