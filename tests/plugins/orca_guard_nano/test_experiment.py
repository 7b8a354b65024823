"""The experiment: its replies, its pairing, its rule of choice, its arithmetic, and all of it in miniature."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from orca_guard_nano.experiment import analysis, data, rich
from orca_guard_nano.experiment.plan import (
    ANSWERS,
    ARMS,
    CATEGORIES,
    ERASED,
    KEPT,
    KNOWN,
    RANDOM,
    SINGLE,
    SPLITS,
    UNSEEN,
    Plan,
    settle,
    small,
)
from orca_guard_nano.recipe import evaluate, mixture
from orca_guard_nano.recipe.messages import CAUTIOUS, DIRECT, EXPLICIT, RECALL, STEPS, SYSTEM

ROOT = Path(__file__).parents[3]
BEST = dict.fromkeys(CATEGORIES, STEPS)
BLIND = dict.fromkeys(CATEGORIES, RECALL)


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("strategy", EXPLICIT)
def test_replies_have_their_form_and_the_right_answer(category: str, strategy: str) -> None:
    rng = Random(1)
    for _ in range(60):
        item = mixture.fresh(rng, category=category)
        text = rich.reply(item, strategy=strategy)
        assert rich.form_of(text) == strategy
        assert evaluate.right(item, text)


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_strategy_but_the_direct_one_writes_all_that_is_needed(category: str) -> None:
    rng = Random(2)
    for _ in range(60):
        item = mixture.fresh(rng, category=category)
        for strategy in EXPLICIT:
            if strategy != DIRECT:
                text = rich.reply(item, strategy=strategy)
                assert all(part in text for part in (*item.recall, *item.quote, *item.steps))


def _parts(document: mixture.Document) -> tuple[str, str]:
    whole = "".join(text for text, _ in document)
    message = next((name for name, text in SYSTEM.items() if f"system\n{text}<" in whole), "")
    return message, "".join(text for text, learn in document if learn)


def test_erased_and_kept_differ_in_the_message_alone() -> None:
    rng = Random(3)
    seen = set()
    for _ in range(300):
        row = data.arm_documents(rng, best=BEST, blind=BLIND, single=DIRECT, share=0.5)
        parts = dict(zip(ARMS, map(_parts, row), strict=True))
        assert len({document[1] for document in row}) == 1  # one question for all
        assert parts[ERASED][1] == parts[KEPT][1]
        assert (parts[ERASED][0] == CAUTIOUS) != (parts[KEPT][0] == CAUTIOUS)
        assert parts[ANSWERS][0] == CAUTIOUS
        assert rich.form_of(parts[ANSWERS][1].removesuffix("<|im_end|>")) == DIRECT
        if parts[ERASED][0] == CAUTIOUS:
            forms = {arm: rich.form_of(parts[arm][1].removesuffix("<|im_end|>")) for arm in (ERASED, RANDOM, SINGLE)}
            assert forms == {ERASED: STEPS, RANDOM: RECALL, SINGLE: DIRECT}
            assert parts[KEPT][0] == STEPS
        else:
            assert parts[ERASED] == parts[RANDOM] == parts[SINGLE]
        seen.add(parts[ERASED][0])
    assert seen == {CAUTIOUS, *EXPLICIT}


def test_the_base_never_sees_the_cautious_message() -> None:
    rng = Random(4)
    documents = ["".join(t for t, _ in data.base_document(rng, drills=0.3)) for _ in range(400)]
    assert not any(SYSTEM[CAUTIOUS] in text for text in documents)


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_three_splits_are_apart(category: str) -> None:
    keys = {
        split: {item.key or item.question for item, _ in data.sample(1, split=split, category=category, count=40)}
        for split in (data.SELECTION, KNOWN, UNSEEN)
    }
    assert not keys[data.SELECTION] & keys[KNOWN]
    assert all(item.unseen for item, _ in data.sample(1, split=UNSEEN, category=category, count=40))


def test_a_folder_keeps_to_its_plan(tmp_path: Path) -> None:
    settle(Plan(), tmp_path)
    settle(Plan(), tmp_path)
    assert (tmp_path / "plan.sha256").read_text().split()[0] == Plan().digest
    with pytest.raises(SystemExit, match="another plan"):
        settle(small(Plan()), tmp_path)


def test_the_cheapest_of_the_nearly_best_is_chosen() -> None:
    pytest.importorskip("torch")
    from orca_guard_nano.experiment.cells import chosen

    scores = {DIRECT: (50, 1), STEPS: (90, 30), RECALL: (91, 20), "recall-reason-generate": (91, 40)}
    table = {s: {c: [100, *scores.get(s, (10, 5)), 100] for c in CATEGORIES} for s in EXPLICIT}
    choice = chosen(table, plan=Plan(), seed=1)
    assert set(choice.best.values()) == {RECALL}
    assert choice.single == RECALL
    assert choice.blind == Plan().random_assignment(1)


def _result(seed: int, *, gain: int) -> dict[str, object]:
    def rows() -> list[list[object]]:
        right = [5, 5, 5 + gain, 5, 5]
        return [[c, f"t{t}", 10, right, [20] * 5, [10] * 5, [1] * 5] for c in CATEGORIES for t in range(4)]

    return {"seed": seed, **{split: rows() for split in SPLITS}}


def test_contrasts_find_what_was_put_in() -> None:
    plan = small(Plan())
    found = analysis.contrasts([_result(seed, gain=2 + seed % 2) for seed in range(5)], plan)
    assert len(found) == 16
    for row in found:
        if row["measure"] == "right":
            assert row["mean"] == pytest.approx(0.24)
            assert row["low"] <= row["mean"] <= row["high"]
            assert row["p"] < 0.01
            assert row["holm"] == pytest.approx(min(1.0, 8 * row["p"]))
        else:
            assert (row["mean"], row["p"]) == (0, 1)


def test_the_page_follows_from_the_results() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import nano_figures  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    found = json.loads(nano_figures.RESULTS.read_text("utf-8"))
    for path, text in nano_figures.outputs(found).items():
        assert path.read_text("utf-8") == text, f"run python docs/nano_figures.py: {path.name} is out of date"


def test_the_summary_follows_from_the_cells() -> None:
    found = json.loads((ROOT / "docs/nano/results.json").read_text("utf-8"))
    assert Plan().digest == found["plan_sha256"]
    again = analysis.summary(found["results"], Plan())
    assert _close(again, found["summary"])


def _close(one: object, two: object) -> bool:
    if isinstance(one, dict) and isinstance(two, dict):
        return set(one) == set(two) and all(_close(one[k], two[k]) for k in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(_close(a, b) for a, b in zip(one, two, strict=True))
    if isinstance(one, float) or isinstance(two, float):
        return one == pytest.approx(two, abs=1e-9)
    return one == two


@pytest.mark.slow
def test_all_of_it_in_miniature_and_again_from_where_it_stood(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    command = [sys.executable, "-m", "orca_guard_nano.experiment", "--out", str(tmp_path), "--small", "--device", "cpu"]
    subprocess.run([*command, "--together", "2", "--threads", "1"], check=True, capture_output=True)
    first = (tmp_path / "results.json").read_text()
    (tmp_path / "seed-102" / "result.json").unlink()
    subprocess.run([*command, "--together", "2", "--threads", "1"], check=True, capture_output=True)
    assert json.loads((tmp_path / "results.json").read_text())["results"] == json.loads(first)["results"]
    assert len(json.loads(first)["results"]) == 2
