"""Which items share thirteen words in a row with training data, and what follows from that."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.cli import invoke
from orca_guard.contamination import WORDS, grams, overlap, texts_of
from orca_guard.errors import BadInput, DataAbsent
from orca_guard.items import Item
from orca_guard.types import Message, Question, Score
from orca_guard.verify import verify
from orca_guard_basics.benchmark import QUESTIONS
from tests.auditing import arm, audited, request

LONG = "the quick brown fox jumps over the lazy dog while seven owls look on and say nothing at all"


def item(text: str, name: str = "1") -> Item:
    return Item(id=name, question=Question(messages=(Message("user", text),), id=name))


def tags(folder: Path, *items: Item) -> list[str]:
    found = overlap({"b": items}, folder)
    return [found.tags["b", one.id] for one in items]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", f"before\n{LONG}\nafter"),
        ("a.md", LONG.upper().replace(" ", ",  ")),
        ("a.txt", LONG.replace(" dog ", "\ndog\n")),
        ("a.jsonl", json.dumps({"turns": [{"text": LONG}]}) + "\n"),
        ("a.json", json.dumps([[LONG]])),
        ("a.csv", f"text,label\n{LONG},1\n"),
        ("deep/er/a.txt.gz", LONG),
    ],
)
def test_shared_words_are_found_however_they_are_kept(name: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    assert tags(tmp_path, item(f"Complete: {LONG}.")) == ["seen"]


def test_twelve_words_in_a_row_are_not_enough(tmp_path: Path) -> None:
    words = LONG.split()
    (tmp_path / "a.txt").write_text(" ".join([*words[:12], "but", *words[13:15]]))
    assert tags(tmp_path, item(LONG)) == ["new"]
    (tmp_path / "a.txt").write_text(" ".join(words[:13]))
    assert tags(tmp_path, item(LONG)) == ["seen"]


def test_two_texts_of_one_file_are_not_one(tmp_path: Path) -> None:
    words = LONG.split()
    rows = [" ".join(words[:10]), " ".join(words[10:])]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert tags(tmp_path, item(" ".join(words[2:18]))) == ["new"]


def test_of_few_words_nothing_can_be_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(LONG)
    assert tags(tmp_path, item("the quick brown fox")) == ["short"]


def test_choices_and_continuations_count(tmp_path: Path) -> None:
    words = LONG.split()
    before, after = " ".join(words[:10]), " ".join(words[10:])
    (tmp_path / "a.txt").write_text(LONG)
    asked = Item(id="1", request=Score(context=before, continuations=(f" {after}", " no")))
    chosen = Question(messages=(Message("user", before),), choices=("no", LONG), id="2")
    assert tags(tmp_path, asked, Item(id="2", question=chosen)) == ["seen", "seen"]


@given(st.lists(st.sampled_from("abcd"), max_size=40), st.lists(st.sampled_from("abcd"), max_size=40))
def test_it_is_what_the_definition_says(
    tmp_path_factory: pytest.TempPathFactory, one: list[str], other: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("training")
    (folder / "a.txt").write_text(" ".join(other) + "\n")
    runs = [other[at : at + WORDS] for at in range(len(other) - WORDS + 1)]
    shared = any(one[at : at + WORDS] in runs for at in range(len(one) - WORDS + 1))
    text = " ".join(one)
    wanted = "short" if len(one) < WORDS else "seen" if shared else "new"
    assert tags(folder, item(text)) == [wanted]
    assert len([*grams(one)]) == max(0, len(one) - WORDS + 1)


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no folder"):
        overlap({}, tmp_path / "none")
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(DataAbsent, match="can be read as training data"):
        overlap({}, tmp_path)
    (tmp_path / "a.jsonl").write_text("{")
    with pytest.raises(BadInput, match="it is no JSON"):
        overlap({"b": [item(LONG)]}, tmp_path)
    (tmp_path / "a.jsonl").write_text("")
    assert overlap({"b": [item(LONG)]}, tmp_path).passed_over == ("model.safetensors",)


# --- audits --------------------------------------------------------------------------------------


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """Has one question of the small benchmark that has enough words."""
    folder = tmp_path / "training"
    folder.mkdir()
    items = [one for one in QUESTIONS.items(QUESTIONS.files(None)) if isinstance(one, Item)]
    text = max((text for one in items for text in texts_of(one)), key=lambda text: len(text.split()))
    (folder / "web.txt").write_text(f"{text}\n")
    return folder


def told(seal: dict[str, Any], metric: str = "accuracy") -> dict[str, Any]:
    return {
        f["group"]: f["n"] for f in seal["figures"] if f["benchmark"] == "basics-questions" and f["metric"] == metric
    }


def test_scores_stand_with_and_without_what_was_seen(training: Path, tmp_path: Path) -> None:
    audit, seal = audited(request(training_data=str(training)), tmp_path / "runs")
    groups = told(seal)
    assert groups["training=seen"] >= 1
    assert groups[""] == sum(n for group, n in groups.items() if group.startswith("training="))
    assert audit.frozen.plan["training"]["files"].keys() == {"web.txt"}
    assert not verify(audit.bundle.root).faulty


def test_items_that_are_tagged_are_still_those_of_their_data(training: Path, tmp_path: Path) -> None:
    pack = tmp_path / "packs"
    pack.mkdir()
    for name, path in QUESTIONS.files(None).items():
        (pack / name).write_bytes(path.read_bytes())
    asked = request(training_data=str(training), benchmarks=_questions())
    audit, _ = audited(asked, tmp_path / "runs")
    report = verify(audit.bundle.root, data=pack)
    assert [check.status.value for check in report.checks if check.name == "data"] == ["proven"]
    [file] = pack.iterdir()
    file.write_text(file.read_text().replace("?", "!", 1))
    assert verify(audit.bundle.root, data=pack).faulty


def _questions() -> Any:
    from orca_guard.plan import BenchmarkTable

    return (BenchmarkTable(name="basics-questions"),)


def test_the_command_line_says_what_was_found(training: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["audit", "--suite", "basics-questions", "--training-data", str(training), "--dry-run", "--no-trial"]
    assert invoke(words) == 0
    assert "items share words with training data" in " ".join(capsys.readouterr().err.split())
    assert invoke([*words[:4], str(training / "none"), *words[5:]]) == 2


def test_an_arm_alone_has_no_tags(tmp_path: Path) -> None:
    _, seal = audited(request(arm()), tmp_path)
    assert not [group for group in told(seal) if group.startswith("training=")]
