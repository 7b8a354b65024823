"""TruthfulQA: what becomes of its rows, and the two releases."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from orca_guard.errors import BadInput, DataAbsent
from orca_guard.items import Item, gathered
from orca_guard.scoring import Rules
from orca_guard.testing.known import expected, known_models
from orca_guard_truthfulqa.benchmark import CHOOSING, Letters, MultipleChoice
from orca_guard_truthfulqa.data import CHOICES_2025, RELEASE_817, RELEASE_2025, TRUTHFULQA
from tests.packs import QUESTIONS, SHARED, needs_data, write, write_all

BY_NAME = {benchmark.name: benchmark for benchmark in CHOOSING}
MC, LETTERS = BY_NAME["truthfulqa-mc"], BY_NAME["truthfulqa-letters"]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return write_all(tmp_path)


def items(benchmark: MultipleChoice | Letters, data: Path) -> list[Item]:
    return gathered(benchmark.items(benchmark.files(data)))[0]


def scored(item: Item, by_answer: dict[str, float], benchmark: MultipleChoice | Letters = MC) -> dict[str, object]:
    assert item.request
    rows = [[by_answer[text.strip()], 3, False] for text in item.request.continuations]
    return dict(Rules(benchmark.scoring, benchmark.metrics).of_likelihoods(rows, item)[0])


def test_a_question_is_asked_as_published_and_each_answer_once(pack: Path) -> None:
    first = items(MC, pack)[0]
    assert first.request
    assert first.request.context == "Q: Can you sharpen a pencil with a banana?\nA:"
    answers = [text.removeprefix(" ") for text in first.request.continuations]
    assert sorted(answers) == sorted({*QUESTIONS[0]["mc1_targets"], *QUESTIONS[0]["mc2_targets"]})


def test_mc1_and_mc2_are_told_from_one_request(pack: Path) -> None:
    """MC2 as the paper has it: the probability of true answers over that of all, 0.3 and 0.1 against 0.2 and 0.1."""
    likely = {"No, a banana is too soft": 0.3, "Yes, if it is green": 0.2, "No": 0.1, "Only at night": 0.1}
    found = scored(items(MC, pack)[0], {answer: math.log(p) for answer, p in likely.items()})
    assert found == {"mc1": 1.0, "mc2": pytest.approx(0.4 / 0.7)}


def test_golds_are_told_by_label_where_true_answers_do_not_stand_together(pack: Path) -> None:
    """In MC2 of the first question a false answer stands between two true ones."""
    assert [*QUESTIONS[0]["mc2_targets"].values()] == [1, 0, 1, 0]
    false_alone = {"No, a banana is too soft": -9.0, "Yes, if it is green": 0.0, "No": -9.0, "Only at night": -9.0}
    assert scored(items(MC, pack)[0], false_alone)["mc2"] == pytest.approx(2 * math.exp(-9) / (1 + 3 * math.exp(-9)))


def test_an_answer_too_unlikely_for_a_number_still_has_its_share(pack: Path) -> None:
    """e to the -800 is 0, and 0 / 0 is no number: in log space it is half."""
    found = scored(items(MC, pack)[2], {"None": -800.0, "Seven": -800.0, "Eight": -2000.0, "Nine": -2000.0})
    assert math.exp(-800) == 0
    assert found == {"mc1": 0.5, "mc2": 0.5}


def test_what_is_no_number_is_never_a_win(pack: Path) -> None:
    found = scored(items(MC, pack)[0], dict.fromkeys(QUESTIONS[0]["mc2_targets"], math.nan))
    assert found == {"mc1": None, "mc2": None}


def test_an_empty_answer_is_left_out_and_counted(pack: Path) -> None:
    path = pack / "truthfulqa" / "mc_task.json"
    assert CHOICES_2025.account(path).repaired == {"an empty answer was left out": 1}
    item = items(BY_NAME["truthfulqa-2025-mc"], pack)[1]
    assert item.request
    assert " " not in item.request.continuations


def test_letters_stand_in_two_orders_with_the_gold_where_it_went(pack: Path) -> None:
    drawn, turned = items(LETTERS, pack)[:2]
    assert drawn.question
    assert turned.question
    assert drawn.question.choices == turned.question.choices[::-1]
    assert drawn.cluster == turned.cluster
    for item in (drawn, turned):
        assert item.question
        assert item.question.choices["ABC".index(item.gold[0])] == "No, a banana is too soft"


def test_a_preamble_is_the_users_own(pack: Path) -> None:
    primed = BY_NAME["truthfulqa-mc-primed"]
    first = items(primed, pack)[0]
    assert first.request
    assert (
        first.request.context == "Q: What is two and two?\nA: Four.\n\nQ: Can you sharpen a pencil with a banana?\nA:"
    )
    assert "truthfulqa/preamble.txt" in primed.files(pack)
    (pack / "truthfulqa" / "preamble.txt").write_text("\n", "utf-8")
    with pytest.raises(BadInput, match=r"preamble.txt: it is empty"):
        items(primed, pack)


def test_a_question_without_its_origin_is_asked_too(pack: Path) -> None:
    (pack / "truthfulqa" / "v1" / "TruthfulQA.csv").unlink()
    (pack / "truthfulqa" / "TruthfulQA.csv").unlink(missing_ok=True)
    assert {item.groups["type"] for item in items(MC, pack)} == {"unknown"}


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        ({"a": 1}, "it has no true answer, or no false one"),
        ({"a": 0, "b": 0}, "it has no true answer, or no false one"),
        ({"a": 1, "b": 2}, "its targets are not answers with 0 or 1"),
        (["a", "b"], "its targets are not answers with 0 or 1"),
        ({"a": 1, "": 0}, "it has no true answer, or no false one"),
    ],
)
def test_a_row_that_no_item_can_be_made_of_is_rejected(targets: object, reason: str, tmp_path: Path) -> None:
    row = {"question": "Why?", "mc1_targets": targets, "mc2_targets": {"a": 1, "b": 0}}
    write(tmp_path / "truthfulqa" / "v1" / "mc_task.json", [QUESTIONS[0], row])
    found, rejected = gathered(MC.items(MC.files(tmp_path)))
    assert (len(found), rejected) == (1, {reason: 1})


# --- the published files -------------------------------------------------------------------------


@needs_data
def test_the_releases_are_told_apart(tmp_path: Path) -> None:
    """Whoever put the release of 2025 where the other is looked for is told that the other is not there."""
    assert len(items(MC, SHARED)) == 817
    assert len(items(BY_NAME["truthfulqa-2025-mc"], SHARED)) == 790
    folder = tmp_path / "truthfulqa"
    folder.mkdir()
    (folder / "mc_task.json").write_bytes((SHARED / "truthfulqa" / "mc_task.json").read_bytes())
    with pytest.raises(DataAbsent, match=r"truthfulqa/v1/mc_task.json is not in"):
        MC.files(tmp_path)
    (folder / "mc_task.json").write_bytes((SHARED / "truthfulqa" / "v1" / "mc_task.json").read_bytes())
    assert len(items(MC, tmp_path)) == 817
    releases = {name for file in TRUTHFULQA.files for name in file.releases.values()}
    assert releases == {RELEASE_817, RELEASE_2025}


@needs_data
def test_true_answers_of_two_questions_do_not_stand_together() -> None:
    """What a split at the first false answer would get wrong; the label does not."""
    rows = [
        row.value for row in CHOICES_2025.read(SHARED / "truthfulqa" / "mc_task.json") if not hasattr(row, "reason")
    ]
    apart = [row for row in rows if [*row.sets["mc2"].values()] != sorted(row.sets["mc2"].values(), reverse=True)]
    assert len(apart) == 2


@needs_data
def test_chance_is_one_in_as_many_as_there_are_answers() -> None:
    """Who cannot tell answers apart has 22.3 % of MC1 by ties, and the share of true answers, 46.4 %, of MC2."""
    found = items(MC, SHARED)
    uniform = known_models(found)["uniform"]
    chance = {m.name: [s for s in expected(uniform, found, metric=m) if isinstance(s, float)] for m in MC.metrics}
    assert [len(scores) for scores in chance.values()] == [817, 817]
    assert round(math.fsum(chance["mc1"]) / 817, 3) == 0.223
    assert round(math.fsum(chance["mc2"]) / 817, 3) == 0.464
