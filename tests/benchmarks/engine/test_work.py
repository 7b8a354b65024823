"""The lines that are asked for, on the rows that they name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.engine import models, work
from benchmarks.engine.work import Work, works
from tests.packs import SHARED

pytestmark = pytest.mark.skipif(not (SHARED / "truthfulqa/mc_task.json").is_file(), reason="needs ../shared/data")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Work, frozenset[str]]]:
    with pytest.MonkeyPatch.context() as patch:  # weights are not looked at here
        patch.setattr(work, "make_models", lambda folder, _data: folder.mkdir(exist_ok=True))
        return list(works(tmp_path_factory.mktemp("bench"), SHARED, "Q: one?\nA: one."))


def titles(found: list[tuple[Work, frozenset[str]]], group: str) -> list[str]:
    return [work.title for work, groups in found if group in groups]


def test_the_whole_has_all_questions_on_the_small_model_and_a_hundred_on_the_large(
    found: list[tuple[Work, frozenset[str]]],
) -> None:
    for shots in ("six-shot", "zero-shot"):
        assert [title for title in titles(found, "whole") if f"2, {shots}" in title] == [
            f"TruthfulQA MC1+MC2, {shots}, {count} questions {model} {dtype}"
            for model, count in (("15M", 790), ("110M", 100))
            for dtype in ("float32", "bfloat16")
        ]


def test_both_write_64_answers_with_both_models(found: list[tuple[Work, frozenset[str]]]) -> None:
    for group in ("part", "whole"):
        assert [title for title in titles(found, group) if "generation" in title] == [
            f"generation, 64 prompts {model} {dtype}" for model in models.MODELS for dtype in ("float32", "bfloat16")
        ]


def test_a_line_says_how_many_items_it_has(found: list[tuple[Work, frozenset[str]]]) -> None:
    assert len({work.title for work, _ in found}) == len(found)
    for one, _ in found:
        said = int(re.findall(r"([\d,]+) (?:questions|prompts|texts)", one.name)[0].replace(",", ""))
        rows = len(json.loads(Path(one.rows).read_text()))
        assert one.items == said == (rows // 2 if "MC1+MC2" in one.name else rows)


def test_lines_of_few_and_of_all_rows_share_their_trial(found: list[tuple[Work, frozenset[str]]]) -> None:
    trials: dict[tuple[str, str], set[str]] = {}
    for one, _ in found:
        trials.setdefault((re.sub(r", [\d,]+ .*", "", one.name), Path(one.model).name), set()).add(one.trial)
    assert all(len(same) == 1 for same in trials.values())
