"""The policy follows from what was measured: accuracy first, then cost, and chance is named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.items import Item
from orca_guard.types import Question
from orca_guard_tuning.collect import Task
from orca_guard_tuning.policy import read_policy
from orca_guard_tuning.sweep import swept
from orca_guard_tuning.teachers import Way
from orca_guard_tuning.triples import Triple
from tests.plugins.orca_guard_tuning.small import COLOURS, colour, comparison, pairs, tune, write_rows, write_teacher


def measured(right: dict[str, list[bool]], tokens: dict[str, int], *, margin: float = 0.0) -> Any:
    strategy: Any = None
    asked, answers = [], {}
    for name, marks in right.items():
        for number, mark in enumerate(marks):
            item = Item(id=str(number), question=Question.of("?"), gold=("x",), groups={"category": "c"})
            task = Task(item, Way(name, strategy))
            asked.append(task)
            answers[task.id] = Triple(system="", user="", answer="", right=mark, tokens=tokens[name])
    policy, [choice] = swept(asked, answers, margin=margin, measured_on="sha256:0")
    assert policy.strategies == {"c": choice.strategy}
    return policy, choice


MARKS = st.dictionaries(st.sampled_from("abcd"), st.lists(st.booleans(), min_size=12, max_size=12), min_size=1)


@given(MARKS, st.data())
def test_nothing_is_more_accurate_or_as_accurate_and_cheaper(marks: dict[str, list[bool]], data: st.DataObject) -> None:
    tokens = {name: data.draw(st.integers(1, 4)) for name in marks}
    policy, choice = measured(marks, tokens)
    hits = {name: sum(right) for name, right in marks.items()}
    assert hits[choice.strategy] == max(hits.values())
    assert all(tokens[name] >= tokens[choice.strategy] for name in marks if hits[name] == hits[choice.strategy])
    for cell in policy.cells:
        assert cell.right == hits[cell.strategy]
        assert cell.interval[0] <= cell.accuracy <= cell.interval[1]


def test_within_the_margin_the_cheapest_is_taken() -> None:
    marks = {"long": [True] * 19 + [False], "short": [True] * 18 + [False] * 2, "none": [False] * 20}
    tokens = {"long": 30, "short": 2, "none": 1}
    assert measured(marks, tokens)[1].strategy == "long"
    assert measured(marks, tokens, margin=0.05)[1].strategy == "short"
    assert not measured(marks, tokens)[1].decided
    assert measured({"long": [True] * 40, "none": [False] * 40}, tokens)[1].decided


def test_a_sweep_writes_the_policy_that_its_answers_say(tmp_path: Path) -> None:
    rows = [colour("snow"), *(comparison(*pair) for pair in pairs()[:20])]
    prompts = write_rows(tmp_path / "prompts.jsonl", rows)
    command = (
        "sweep",
        prompts,
        "--out",
        tmp_path / "p.toml",
        "--teacher",
        f"{write_teacher(tmp_path)}:answer",
        "--json",
    )
    told = json.loads(tune(*command).stdout)
    assert told["strategies"]["comparisons"] in {"extract-generate", "recall-reason-generate", "step-by-step"}
    policy = read_policy(tmp_path / "p.toml")
    assert policy.strategies == told["strategies"]
    assert (tmp_path / "p.answers.jsonl").is_file()
    before = (tmp_path / "p.toml").read_bytes()
    assert "already answered" in tune(*command).stderr
    assert (tmp_path / "p.toml").read_bytes() == before


@pytest.mark.parametrize("gold", [[], None])
def test_what_has_no_known_answer_measures_nothing(tmp_path: Path, gold: object) -> None:
    row = {key: value for key, value in (colour("snow") | {"gold": gold}).items() if value is not None}
    prompts = write_rows(tmp_path / "prompts.jsonl", [row])
    refused = tune("sweep", prompts, "--out", tmp_path / "p.toml", code=2)
    assert "needs known answers" in str(refused.exception)


# --- replies that are kept ---------------------------------------------------------------------

NANO = ("--strategy", "direct", "--strategy", "step-by-step", "--json")


def nano_sweep(folder: Path, name: str, *more: str | Path) -> tuple[Path, dict[str, Any], str]:
    """A sweep of the embedded model, its policy, and what it said."""
    prompts = write_rows(folder / "prompts.jsonl", [colour("snow"), comparison(3, 5)])
    out = folder / f"{name}.toml"
    done = tune("sweep", prompts, "--out", out, *NANO, *more)
    return out, json.loads(done.stdout), done.stderr


def answers_of(policy: Path) -> list[dict[str, Any]]:
    """The rows beside it; the first line says whose they are."""
    lines = policy.with_name(f"{policy.stem}.answers.jsonl").read_text("utf-8").splitlines()
    return [row for line in lines if "id" in (row := json.loads(line))]


def test_a_sweep_keeps_replies_and_says_what_rests_on_one(tmp_path: Path) -> None:
    first, told, said = nano_sweep(tmp_path, "one")
    assert sum(cell.get("cached", 0) for cell in told["cells"]) == 0
    assert list((tmp_path / "one.cache").glob("*.sqlite"))
    assert "kept from earlier" not in said
    again, retold, said = nano_sweep(tmp_path, "two", "--cache", tmp_path / "one.cache")
    assert "4 of 4 answers rest on replies kept from earlier sweeps" in said
    assert [cell["cached"] for cell in retold["cells"]] == [1] * 4
    assert retold["strategies"] == told["strategies"]
    assert all(row["cached"] for row in answers_of(again))
    assert [row | {"cached": 0} for row in answers_of(again)] == [row | {"cached": 0} for row in answers_of(first)]
    assert not (tmp_path / "two.cache").exists()


def test_a_sweep_that_is_told_so_keeps_nothing(tmp_path: Path) -> None:
    nano_sweep(tmp_path, "one", "--no-cache")
    assert not (tmp_path / "one.cache").exists()


@pytest.mark.parametrize("more", [("--no-cache",), ("--teacher", "x.py:answer")])
def test_options_that_say_opposite_things_are_refused(tmp_path: Path, more: tuple[str, ...]) -> None:
    prompts = write_rows(tmp_path / "prompts.jsonl", [colour("snow")])
    with pytest.raises(click.UsageError, match="--cache"):
        tune("sweep", prompts, "--out", tmp_path / "p.toml", "--cache", tmp_path / "c", *more)


@pytest.mark.slow
def test_sweeps_that_run_at_once_share_their_replies(tmp_path: Path) -> None:
    prompts = write_rows(tmp_path / "prompts.jsonl", [colour(thing) for thing in COLOURS])
    command = [
        str(Path(sys.executable).with_name("orca-guard")),
        "tune",
        "sweep",
        str(prompts),
        "--cache",
        str(tmp_path / "kept"),
    ]
    more = (*NANO, "--strategy", "cautious")
    names = ("one", "two")
    running = [
        subprocess.Popen([*command, "--out", str(tmp_path / f"{name}.toml"), *more], stdout=subprocess.PIPE)
        for name in names
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    of = [[row | {"cached": 0} for row in answers_of(tmp_path / f"{name}.toml")] for name in names]
    one, two = (sorted(rows, key=lambda row: str(row["id"])) for rows in of)  # written as they come
    assert one == two
