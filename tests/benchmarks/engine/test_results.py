"""Lines stand side by side where they were measured alike, and never otherwise."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.engine.__main__ import MARKS, PAGE, RESULTS
from benchmarks.engine.results import LINE, Elsewhere, Results
from benchmarks.engine.table import markdown, row
from tests.benchmarks.engine.lines import HERE, NAMES, line


def test_a_new_line_takes_the_place_of_its_like_and_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    Results(path, HERE, names=NAMES).put([line(NAMES[1]), line(NAMES[0])])
    Results(path, HERE, names=NAMES).put([line(NAMES[1], date="2026-02-03")])
    Results(path, HERE, names=NAMES).put([line(NAMES[2])])
    lines = json.loads(path.read_text())["results"]
    assert [tuple(one[part] for part in LINE) for one in lines] == NAMES
    assert [one["measured"]["date"] for one in lines] == ["2026-01-02", "2026-02-03", "2026-01-02"]


@pytest.mark.parametrize("what", [{"processor": "B"}, {"python": "3.12"}, {"packages": {"torch": "3"}}])
def test_lines_of_another_machine_or_version_are_refused_and_kept(tmp_path: Path, what: dict[str, object]) -> None:
    path = tmp_path / "results.json"
    Results(path, HERE | what, names=NAMES).put([line()])
    before = path.read_bytes()
    with pytest.raises(Elsewhere, match=f"{next(iter(what))}: .* there, .* here"):
        Results(path, HERE, names=NAMES)
    assert path.read_bytes() == before


def test_another_state_of_the_engine_is_marked_and_said(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json", HERE, names=NAMES)
    results.put([line(NAMES[0], engine="old"), line(NAMES[1])])
    table = markdown(results.lines, HERE)
    assert f"| {NAMES[0][0]} * |" in table
    assert f"| {NAMES[1][0]} |" in table
    assert "earlier state of the engine" in table
    assert "*" not in markdown(results.lines[1:], HERE)


def test_a_line_that_nothing_measures_any_more_is_named_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    Results(path, HERE, names=NAMES).put([line(NAMES[0]), line(NAMES[1])])
    results = Results(path, HERE, names=NAMES[1:])
    assert results.gone() == [", ".join(NAMES[0])]
    results.put([line(NAMES[2])])
    assert [one["work"] for one in results.lines] == [NAMES[1][0], NAMES[2][0]]


def test_lines_are_dropped_by_a_pattern_on_their_names(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json", HERE, names=NAMES)
    results.put([line(name) for name in NAMES])
    results.drop(f"^{re.escape(' '.join(NAMES[1]))}$")
    assert [one["work"] for one in results.lines] == [NAMES[0][0], NAMES[2][0]]


def test_what_else_is_in_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"conditions": HERE, "results": [], "other": 1}))
    Results(path, HERE, names=NAMES).put([line()])
    assert json.loads(path.read_text())["other"] == 1


def test_the_errors_in_half_precision_of_both_sides_stand_side_by_side() -> None:
    errors = {"ours": {"mean": 0.05, "largest": 0.2}, "peer": {"mean": 0.2, "largest": 0.5}}
    told = row(line() | {"off single precision": errors}, "new")
    assert "mean 0.200 / 0.050 = 25%, most 0.500 / 0.200 = 40%" in told


def test_the_head_says_between_which_days_and_what_peaks() -> None:
    one, other = line(NAMES[0]), line(NAMES[1], date="2026-03-04")
    other["measured"]["peak"] = {"float32": 9e10, "bfloat16": 4e11}
    head = markdown([other, one], HERE).splitlines()[0]
    assert head.startswith("2026-01-02 to 2026-03-04; A; torch 2; 3 rounds.")
    assert "float32 90-100, bfloat16 400 GFLOP/s" in head


def test_the_page_shows_the_lines_that_are_written_down() -> None:
    found = json.loads(RESULTS.read_text("utf-8"))
    shown = PAGE.read_text("utf-8").split(MARKS[0])[1].split(MARKS[1])[0]
    assert shown == markdown(found["results"], found["conditions"]) + "\n"
