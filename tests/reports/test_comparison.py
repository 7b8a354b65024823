"""Comparisons pair what is the same item, say what changed, and never call two runs equal."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from orca_guard.errors import BadInput
from orca_guard.reports.comparing import document, headline, page, terminal
from orca_guard.reports.comparison import Comparison, compare
from tests.auditing import MODELS, arm, audited, host, request
from tests.reports.conftest import HOSTILE, sealed
from tests.reports.test_html import Page

__all__ = ["sealed"]


def _often(prompt: str) -> str:
    return HOSTILE if len(prompt) % 3 == 0 else MODELS["oracle"].writes(prompt)


MODELS_HERE = {"served": MODELS["oracle"], "worse": replace(MODELS["oracle"], name="worse", writes=_often)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same arm before and after its model got worse; afterwards fewer items, and one more arm."""
    store = tmp_path_factory.mktemp("runs")
    known = {"a": MODELS_HERE["served"], "b": MODELS_HERE["worse"]}
    before, _ = audited(request(arm("served", model="a")), store, name="before", by=host(known))
    arms = (arm("served", model="b", no_guards=["control-characters"]), arm("more", model="a", no_guards=["length"]))
    after, _ = audited(request(*arms, limit=40), store, name="after", by=host(known))
    return before.bundle.root, after.bundle.root


@pytest.fixture(scope="module")
def found(runs: tuple[Path, Path]) -> Comparison:
    return compare(*runs, faults={})


def scores(folder: Path, benchmark: str, subject: str) -> dict[str, float]:
    rows = map(json.loads, (folder / "journal-0.jsonl").read_text("utf-8").splitlines())
    return {
        row["item"]: row["scores"]["accuracy"]
        for row in rows
        if row["kind"] == "item" and (row["benchmark"], row["subject"]) == (benchmark, subject)
    }


def test_differences_are_those_of_the_items_that_both_have(runs: tuple[Path, Path], found: Comparison) -> None:
    a, b = (scores(folder, "basics-questions", "served") for folder in runs)
    both = a.keys() & b.keys()
    row = next(row for row in found.rows if row.benchmark == "basics-questions")
    assert (row.a, row.b, row.n) == ("served", "served", len(both))
    assert row.difference == pytest.approx(sum(b[item] - a[item] for item in both) / len(both))
    assert row.lost == sum(a[item] > b[item] for item in both)
    assert row.only_a == len(a) - len(both)
    assert row.says == "worse"


def test_exchanged_sides_exchange_better_and_worse(runs: tuple[Path, Path], found: Comparison) -> None:
    back = compare(runs[1], runs[0], faults={})
    for row, other in zip(
        found.rows, sorted(back.rows, key=lambda r: [x.benchmark for x in found.rows].index(r.benchmark)), strict=True
    ):
        assert row.difference == pytest.approx(-(other.difference or 0))
        assert (row.gained, row.lost) == (other.lost, other.gained)


def test_a_run_held_against_itself_shows_no_difference_and_does_not_say_equal(runs: tuple[Path, Path]) -> None:
    same = compare(runs[0], runs[0], faults={})
    assert {row.says for row in same.rows} == {"no difference shown"}
    assert not same.flips
    assert not same.changes
    assert headline(same).word == "NO DIFFERENCE SHOWN"


def test_where_nothing_differs_a_small_run_is_not_said_to_find_much(runs: tuple[Path, Path]) -> None:
    rows = compare(runs[0], runs[0], faults={}).rows
    assert all(row.detectable is not None and row.detectable > 7 / row.n for row in rows)


def test_a_run_that_ended_early_is_held_against_a_whole_one(runs: tuple[Path, Path], tmp_path: Path) -> None:
    short = Path(shutil.copytree(runs[1], tmp_path / "short"))
    (short / "seal.json").unlink()
    journal = short / "journal-0.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: len(lines) // 2]))
    there, back = compare(runs[0], short, faults={}), compare(short, runs[0], faults={})
    assert there.flips
    assert all(flip.a.item == flip.b.item for flip in there.flips)
    assert len(there.flips) + there.more_flips == sum(
        row.gained + row.lost for row in there.rows if row.metric == "accuracy"
    )
    assert [row.only_a for row in there.rows] == [row.only_b for row in back.rows]
    assert all(min(row.only_a, row.only_b) >= 0 for row in there.rows)
    assert all(row.unscored for row in there.rows if row.benchmark == there.rows[-1].benchmark)


def test_what_changed_in_the_plan_is_a_line_each(found: Comparison) -> None:
    told = "\n".join(found.changes)
    assert 'arms.more: absent → "there"' in told
    assert 'arms.served.guards.control-characters: "there" → absent' in told
    assert re.search(r"arms\.served\.model\.\w+: ", told)


def test_a_gate_of_one_side_alone_is_a_line(sealed: Path, runs: tuple[Path, Path]) -> None:
    gates = json.loads((sealed / "plan.json").read_text("utf-8"))["gates"]
    assert gates
    told = [line for line in compare(sealed, runs[0], faults={}).changes if line.startswith("gates.")]
    assert told == [
        f'gates.{n} {gate["benchmark"]} {gate["metric"]}: "there" → absent' for n, gate in enumerate(gates, 1)
    ]


def test_what_one_side_alone_measured_is_said(found: Comparison) -> None:
    assert any(line.startswith("more of b under basics-questions") for line in found.unpaired)


def test_flips_have_the_texts_of_both_sides(found: Comparison) -> None:
    lost = [flip for flip in found.flips if not flip.gained]
    assert lost
    for flip in lost:
        assert (flip.a.item, flip.a.mark) == (flip.b.item, "pass")
        assert flip.b.answer == HOSTILE.strip() or flip.b.answer == HOSTILE


def test_two_arms_of_one_run(sealed: Path) -> None:
    found = compare(sealed, sealed, arms=("oracle", "mixed"), faults={})
    assert [(row.metric, row.says) for row in found.rows] == [("accuracy", "worse"), ("refused", "worse")]
    assert found.unpaired == ("basics-choices measures the model alone, without any arm",)
    with pytest.raises(BadInput, match="did you mean 'mixed'"):
        compare(sealed, sealed, arms=("oracle", "mixd"), faults={})


def test_every_form_says_it_and_no_text_acts(found: Comparison) -> None:
    text = StringIO()
    Console(width=80, file=text).print(terminal(found))
    told = text.getvalue()
    assert max(map(len, told.splitlines())) <= 80
    assert told.splitlines()[1].startswith("│ WORSE")
    assert json.loads(document(found))["rows"][0]["benchmark"]
    parsed = Page(page(found))
    assert not [t for t, _ in parsed.elements if t in {"img", "iframe", "link"}]
    assert [t for t, _ in parsed.elements].count("script") == 1


def test_few_items_in_common_are_not_comparable_and_no_equality(runs: tuple[Path, Path], tmp_path: Path) -> None:
    known = {"a": MODELS_HERE["served"]}
    few, _ = audited(request(arm("served", model="a"), limit=4), tmp_path, name="few", by=host(known))
    small = compare(runs[0], few.bundle.root, faults={})
    assert {row.says for row in small.rows} == {"not comparable"}
    assert headline(small).word == "NOT COMPARABLE"
