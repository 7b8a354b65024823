"""Detectors held against labels: which rows choose, which tell, and that figures are what they are defined to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.configuration import GuardTable
from orca_guard.host import Host
from orca_guard.items import Rejected
from orca_guard.labelled import Labelled
from orca_guard.validation import Scored, alone
from orca_guard_grounded.detectors import BEGIN, FAITHBENCH, RAGTRUTH, SETS, LabelledAnswers
from orca_guard_grounded.validation import _confusion, balanced, best_threshold, f1, main, suite, suites
from tests.packs import SHARED, needs_data, write, write_all

HEADER = "model_name\tdata_source\tknowledge\tmessage\tresponse\tbegin_label\n"
WORDS = ("alder", "birch", "cedar", "dogwood", "elm", "fern", "gorse", "hazel", "iris", "juniper")


def name_of(one: LabelledAnswers) -> str:
    return one.name


@pytest.fixture
def detector() -> object:
    return alone(GuardTable(name="word-overlap"), Host.installed())


def replies(folder: Path, count: int = 800) -> Path:
    """Replies that repeat their knowledge, and replies that say something else: one of ten is the other way round."""
    lines = []
    for n in range(count):
        known = " ".join(WORDS[int(digit)] for digit in f"{n * 7:04d}")
        other = f"nothing {n} whatsoever about anything"
        made_up, turned = n % 2 == 0, n % 10 in {3, 4}
        said = other if made_up is not turned else known
        lines.append(f"m\twow\t{known}\tWhat?\t{said}\t{'Not fully' if made_up else 'Fully'} attributable\n")
    path = folder / "begin/begin_dev_wow.tsv"
    path.parent.mkdir(parents=True)
    path.write_text(HEADER + "".join(lines), "utf-8")
    return folder


def test_what_chooses_the_threshold_is_in_no_figure(detector: object, tmp_path: Path) -> None:
    found = suite(detector, BEGIN, replies(tmp_path))  # type: ignore[arg-type]
    rows = [row for row in BEGIN.rows(tmp_path) if isinstance(row, Labelled)]
    report = [row for row in rows if row.part == "report"]
    assert (found.n, found.hits) == (len(report), sum(row.label for row in report))
    assert found.dev != found.report
    assert found.auroc is not None
    assert found.balanced is not None
    assert found.f1 is not None
    for one in (found.auroc, found.balanced, found.f1):
        assert 0.6 < one.low < one.value < one.high <= 1.0


@needs_data
@pytest.mark.parametrize("one", SETS, ids=name_of)
def test_no_text_chooses_and_tells(one: LabelledAnswers) -> None:
    """Whole passages are on one side, whatever is said of them."""
    parts: dict[tuple[str, ...], set[bool]] = {}
    for row in one.rows(SHARED):
        if isinstance(row, Labelled):
            parts.setdefault(row.context or (row.origin,), set()).add(row.part == "report")
    assert all(len(sides) == 1 for sides in parts.values())
    assert len(parts) > 30


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=40))
def test_the_threshold_is_the_best_of_all(pairs: list[tuple[bool, int]]) -> None:
    rows = [Scored(Labelled(text=str(n), label=label), score / 8) for n, (label, score) in enumerate(pairs)]
    if len({label for label, _ in pairs}) < 2:
        return
    tried = {at: balanced(_confusion(rows, at)) or 0.0 for at in {score / 8 for _, score in pairs}}
    chosen = best_threshold(rows)
    assert tried[chosen] == pytest.approx(max(tried.values()))
    assert chosen == min(at for at, value in tried.items() if value >= max(tried.values()) - 1e-12)


def test_figures_are_what_they_are_defined_to_be() -> None:
    assert f1((6, 2, 3, 9)) == pytest.approx(2 * 6 / (2 * 6 + 3 + 2))
    assert balanced((6, 2, 3, 9)) == pytest.approx((6 / 8 + 9 / 12) / 2)
    assert (f1((0, 0, 0, 5)), balanced((0, 0, 0, 5))) == (None, None)


def test_a_row_without_a_score_is_wrong_whichever_way_it_is_labelled() -> None:
    rows = [Scored(Labelled(text="a", label=label), None) for label in (True, False)]
    assert _confusion(rows, 0.5) == (0, 1, 1, 0)


def test_summaries_have_the_worst_label_that_anybody_gave(tmp_path: Path) -> None:
    rows = list(FAITHBENCH.rows(write_all(tmp_path)))
    assert [row.label for row in rows if isinstance(row, Labelled)] == [True, False, False]
    assert [row.reason for row in rows if isinstance(row, Rejected)] == [
        "its worst label is Questionable: people could not say"
    ]


def test_whole_ragtruth_is_joined_with_its_sources(tmp_path: Path) -> None:
    more: dict[str, Any] = {"model": "m", "quality": "good", "id": "1", "labels": []}
    responses: list[dict[str, Any]] = [
        {**more, "source_id": "1", "response": "It opened.", "labels": [{"start": 0, "end": 2}]},
        {**more, "source_id": "2", "response": "Nobody knows."},
        {**more, "source_id": "9", "response": "Lost."},
        {**more, "source_id": "1", "response": "I cannot", "quality": "truncated"},
    ]
    sources: list[dict[str, Any]] = [
        {"source_id": "1", "task_type": "Summary", "source_info": "The mill opened.", "prompt": "p"},
        {"source_id": "2", "task_type": "QA", "source_info": {"question": "Who?", "passages": "a b"}, "prompt": "p"},
    ]
    write(tmp_path / "ragtruth/response.jsonl", responses)
    write(tmp_path / "ragtruth/source_info.jsonl", sources)
    rows = list(RAGTRUTH.rows(tmp_path))
    assert [(row.text, row.label, row.context) for row in rows if isinstance(row, Labelled)] == [
        ("It opened.", True, ("The mill opened.",)),
        ("Nobody knows.", False, ("a b",)),
    ]
    assert [row.reason for row in rows if isinstance(row, Rejected)] == [
        "its source is not in source_info.jsonl",
        "its answer is cut off or a refusal, as its quality says",
    ]


def test_facts_without_a_source_say_nothing_of_a_guard_that_needs_one(detector: object, tmp_path: Path) -> None:
    found = {one.name: one for one in suites(detector, write_all(tmp_path))}  # type: ignore[arg-type]
    assert found["halueval2"].threshold is None
    assert "have no source" in found["halueval2"].reason
    assert "too few to tell" in found["faithbench"].reason
    assert found["halueval2"].rejected == {"it has another number of labels than of facts": 1}


def test_a_set_that_is_not_there_is_not_run(detector: object, tmp_path: Path) -> None:
    assert all(one.reason.startswith("not run: data absent") for one in suites(detector, tmp_path))  # type: ignore[arg-type]


def test_a_table_and_json_say_the_same(tmp_path: Path) -> None:
    data = str(replies(tmp_path))
    lines = CliRunner().invoke(main, [data, "--set", "begin"]).output.splitlines()
    [found] = json.loads(CliRunner().invoke(main, [data, "--set", "begin", "--json"]).output)
    assert f"{found['auroc']['value']:.3f}" in lines[2]
    assert f"{found['f1']['value']:.3f}" in lines[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--guard", "supported"], "say which with --model"),
        (["--guard", "nothing"], "nothing"),
        (["--option", "x"], "write KEY=VALUE"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], said: str, tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, [str(tmp_path), *arguments])
    assert ended.exit_code == 1
    assert said in ended.output


@needs_data
def test_the_page_says_what_comes_out() -> None:
    page = (Path(__file__).parents[3] / "docs" / "benchmarks" / "grounded.md").read_text("utf-8")
    ended = CliRunner().invoke(main, [str(SHARED), "--set", "begin", "--set", "ragtruth"])
    printed = [line for line in ended.output.splitlines() if line.startswith("| `word")]
    assert len(printed) == 2
    assert all(line in page for line in printed), "docs/benchmarks/grounded.md is out of date"
