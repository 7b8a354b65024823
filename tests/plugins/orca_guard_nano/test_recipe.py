"""The generators tell the truth, the split holds, and the training stream is what it says."""

import re
import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from orca_guard_nano.recipe import (
    arithmetic,
    batches,
    card,
    choose,
    evaluate,
    forms,
    mixture,
    reading,
    tokenizer,
    world,
)
from orca_guard_nano.recipe.items import (
    ARITHMETIC,
    CATEGORIES,
    CHAT,
    CHOICE,
    FACTS,
    LETTERS,
    NOT_STATED,
    READING,
    UNKNOWN,
    held_out,
    lowered,
)
from orca_guard_nano.recipe.messages import CAUTIOUS, DIRECT, EXPLICIT, EXTRACT, RECALL, SYSTEM
from orca_guard_nano.recipe.train import STAGES

MANY = 400


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("unseen", [False, True])
def test_items_are_deterministic_and_keep_to_their_templates(category: str, *, unseen: bool) -> None:
    def draw() -> list[object]:
        rng = Random(7)
        return [mixture.fresh(rng, category=category, unseen=unseen) for _ in range(50)]

    items = draw()
    assert items == draw()
    assert all(item.unseen == unseen for item in items)  # type: ignore[attr-defined]


def test_written_sums_are_right() -> None:
    rng = Random(1)
    for _ in range(MANY):
        sign = rng.choice("+-*/")
        a, b = arithmetic.operands(rng, sign=sign)
        text = arithmetic.work(a, b, sign=sign)
        value = arithmetic.result(a, b, sign=sign)
        assert text.endswith((f"so {value}", f"={value}"))
        for clause in re.split(r"[,;:] ?", text):
            sides = [side for side in clause.split("=") if re.fullmatch(r"[\d+*-]+", side)]
            assert len({eval(side) for side in sides}) <= 1, text


@pytest.mark.parametrize("sign", ["+", "-", "*"])
def test_columns_agree_with_python_everywhere(sign: str) -> None:
    for a in range(0, 1000, 37):
        for b in range(0, 1000 if sign != "*" else 100, 13):
            value = {"+": a + b, "-": a - b, "*": a * b}[sign]
            assert arithmetic.work(a, b, sign=sign).endswith(str(value))


def test_bracketed_sums_are_right() -> None:
    rng = Random(2)
    for _ in range(MANY):
        item = arithmetic.chain(rng, unseen=False)
        assert eval(item.key) == int(item.answer)


def test_quotes_are_in_the_passage_and_answers_in_the_quotes() -> None:
    rng = Random(3)
    for _ in range(MANY):
        item = mixture.fresh(rng, category=READING)
        for one in (item, lowered(item)):
            assert all(line in one.text for line in one.quote)
            assert one.answer == NOT_STATED if not one.quote else one.answer in one.quote[0]


def test_the_gold_option_is_the_answer_and_stands_once() -> None:
    rng = Random(4)
    for _ in range(MANY):
        item = mixture.fresh(rng, category=CHOICE)
        assert item.options[LETTERS.index(item.gold)] == item.answer
        assert len(set(item.options)) == len(item.options)


def test_training_never_shows_a_held_out_item() -> None:
    rng = Random(5)
    for category in CATEGORIES:
        trained = [mixture.fresh(rng, category=category) for _ in range(MANY)]
        assert not any(held_out(item) or item.unseen for item in trained)
        if category not in (CHAT, UNKNOWN):
            tested = [mixture.fresh(rng, category=category, test=True) for _ in range(40)]
            assert all(held_out(item) for item in tested)


def test_a_sum_is_held_out_either_way_round() -> None:
    assert arithmetic.key_of(57, 81, sign="+") == arithmetic.key_of(81, 57, sign="+")


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("strategy", [s for s in EXPLICIT if s != EXTRACT])
def test_replies_have_the_form_of_their_strategy_and_the_right_answer(category: str, strategy: str) -> None:
    rng = Random(6)
    for _ in range(60):
        item = mixture.fresh(rng, category=category)
        text = forms.reply(item, strategy=strategy)
        assert evaluate.formed(text, strategy=strategy), text
        assert evaluate.right(item, text), text


def test_the_second_pass_answers_from_the_extract_alone() -> None:
    item = mixture.fresh(Random(8), category=READING)
    first, second = forms.extract_passes(item, whole=forms.laid_out(item), question=forms.bare(item))
    assert first.reply.startswith("Extract: ")
    assert item.text not in second.user or item.text in second.user.split("\n\n")[0]


def test_facts_name_a_capital_and_a_symbol_once() -> None:
    capitals = [c.capital for c in world.COUNTRIES]
    assert len(set(capitals)) == len(capitals)
    numbers = [number for _, _, number in world.ELEMENTS]
    assert len(set(numbers)) == len(numbers)
    assert numbers == sorted(numbers)


@pytest.fixture(scope="module")
def small_tokenizer() -> Tokenizer:
    return tokenizer.build(vocabulary=1024, count=300)


def test_every_byte_survives_the_tokenizer(small_tokenizer: Tokenizer) -> None:
    text = "Naïve 東京 🙂 \t\x07 1234 <b> don't"
    assert small_tokenizer.decode(small_tokenizer.encode(text).ids) == text
    assert len(small_tokenizer.encode("1234").ids) == 4
    assert all(len(small_tokenizer.encode(message).ids) == 1 for message in SYSTEM.values())


def test_only_replies_are_learned(small_tokenizer: Tokenizer) -> None:
    document = mixture.render("", [forms.Turn("2+2?", "4")])
    ids, marks = batches.encode(document, tokenizer=small_tokenizer)
    learned = [token for token, mark in zip(ids, marks, strict=True) if mark]
    assert small_tokenizer.decode(learned, skip_special_tokens=False) == "4<|im_end|>"


def test_batches_shift_the_marks_to_the_position_before(small_tokenizer: Tokenizer) -> None:
    for batch in batches.pool(3, tokenizer=small_tokenizer, size=2048, drills=0.2, pad=0)[:20]:
        assert batch.ids.shape == batch.learned.shape
        assert batch.ids.shape[2] in batches.WIDTHS
        assert not batch.learned[:, :, -1].any()
        assert not (np.roll(batch.ids, -1, 2)[batch.learned] == 0).any()


@given(st.lists(st.tuples(st.integers(2, 512), st.integers(2, 512)), min_size=1, max_size=60), st.integers(64, 4096))
def test_cutting_keeps_every_row_once_and_side_by_side(lengths: list[tuple[int, int]], size: int) -> None:
    def encoded(number: int, length: int) -> batches.Encoded:
        return [number + 1] * length, [True] * length

    rows = [tuple(encoded(number, length) for length in pair) for number, pair in enumerate(lengths)]
    found = {}
    for batch in batches.cut(rows, size=size, pad=0, seed=1):
        for row in range(batch.ids.shape[1]):
            if batch.ids[0, row, 0]:
                kept = tuple(int((batch.ids[model, row] > 0).sum()) for model in (0, 1))
                assert batch.ids[0, row, 0] == batch.ids[1, row, 0]
                assert batch.learned[:, row].sum() == sum(kept) - 2
                found[int(batch.ids[0, row, 0]) - 1] = kept
    assert found == dict(enumerate(lengths))


def test_wilson_contains_the_share() -> None:
    low, high = evaluate.wilson(45, 50)
    assert low < 0.9 < high
    assert evaluate.wilson(0, 0) == (0.0, 1.0)


def test_categories_without_a_split_are_those_of_small_talk() -> None:
    assert {CHAT, UNKNOWN} <= set(CATEGORIES)
    assert ARITHMETIC in CATEGORIES


def test_a_passage_cut_into_texts_keeps_every_sentence_whole() -> None:
    rng = Random(9)
    for _ in range(MANY):
        item = mixture.fresh(rng, category=READING)
        shown = forms.laid_out(item, rng)
        assert all(line in shown for line in item.quote)


def test_the_card_states_digest_and_figures(tmp_path: Path) -> None:
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"x")
    rows = [
        {"part": part, "strategy": strategy, "unseen": unseen, "n": 10, "right": 9, "formed": 10, "tokens": 200}
        for part in CATEGORIES
        for strategy in evaluate.STRATEGIES
        for unseen in (False, True)
    ]
    stages = [
        {"recipe": asdict(recipe), "tokens": 1, "steps": 1, "minutes": 1.0, "device": "cpu"}
        for recipe in STAGES.values()
    ]
    stages[2]["blended"] = {"with": "first", "share": 0.7}
    stages[3]["blended"] = {"with": "blended", "share": 0.8}
    stages[-1]["chosen"] = {FACTS: "direct"}
    margin = {"unseen": False, "best": "recall-generate", "n": 50, "difference": 0.01, "interval": (-0.01, 0.03),
              "tokens": 20.0, "tokens_of_best": 30.0}  # fmt: skip
    measured = {"rows": rows, "margins": [margin], "tokens_per_second": 700.0, "seed": 1}
    text = card.card(tmp_path, training={"stages": stages}, measured=measured)
    assert "+1.0 points (-1.0 to +3.0, n = 50) from `recall-generate`" in text
    assert "20.0 tokens an answer against 30.0 (33 % fewer)" in text
    assert "facts: direct" in text
    assert "train --out DIR/third --stage third --start DIR/second\n" in text
    assert "blend DIR/first DIR/third --share 0.7 --out DIR/blended\n" in text
    assert "choose DIR/third --out DIR/chosen.json\n" in text
    assert "train --out DIR/fourth --stage fourth --start DIR/blended --chosen DIR/chosen.json\n" in text
    assert "blend DIR/blended DIR/fourth --share 0.8 --out DIR\n" in text
    assert card.digest(tmp_path / "model.safetensors") in text
    assert "90.0 %" in text
    assert tomllib.loads(card.profile())["system"]["cautious"] == SYSTEM["cautious"]


def test_the_cheapest_of_the_nearly_best_is_chosen() -> None:
    def row(strategy: str, right: int, tokens: int) -> dict[str, object]:
        return {"part": FACTS, "strategy": strategy, "n": 300, "right": right, "tokens": tokens}

    rows = [row("direct", 295, 900), row("recall-generate", 297, 4800), row("step-by-step", 290, 600)]
    assert choose.best(rows, category=FACTS) == "direct"  # within a point, and cheaper
    assert choose.best([row("direct", 290, 900), *rows[1:]], category=FACTS) == "recall-generate"


def test_what_is_erased_follows_the_measured_table() -> None:
    item = mixture.fresh(Random(3), category=FACTS)
    assert forms.left_to_choose(item, table={FACTS: DIRECT}) == item.answer
    assert forms.left_to_choose(item) == forms.reply(item, strategy=RECALL)
    options = mixture.fresh(Random(3), category=CHOICE)
    assert options.kind != CHOICE
    assert forms.left_to_choose(options, table={**forms.CHOSEN, CHOICE: RECALL}) == forms.reply(
        options, strategy=RECALL
    )


def test_a_diet_says_how_often_facts_are_asked_directly() -> None:
    only = replace(mixture.DIETS["second"], weights={**dict.fromkeys(CATEGORIES, 0), FACTS: 1}, cautious=0.0)

    def share(direct: float) -> float:
        rng, diet = Random(5), replace(only, direct_facts=direct)
        return sum(SYSTEM[DIRECT] in mixture.exchange(rng, diet=diet)[0][0] for _ in range(MANY)) / MANY

    assert share(0.0) < 0.3
    assert share(0.6) > 0.5


def test_the_same_items_are_put_the_same_way_under_every_strategy() -> None:
    asked: dict[str, list[str]] = {}

    def ask(requests: object) -> list[evaluate.Said]:
        asked[strategy] = [user for _, user in requests]  # type: ignore[attr-defined]
        return [evaluate.Said("x", 1)] * len(asked[strategy])

    items = evaluate.sample(4, category=READING, count=20, unseen=False)
    for strategy in (DIRECT, RECALL, CAUTIOUS):
        evaluate.run(ask, items, strategy=strategy, seed=9)
    assert asked[DIRECT] == asked[RECALL] == asked[CAUTIOUS]


def test_the_margin_is_taken_item_by_item() -> None:
    items = [i for c in CATEGORIES for i in evaluate.sample(2, category=c, count=30, unseen=False)]

    def outcomes(strategy: str, *, right: bool, tokens: int) -> list[evaluate.Outcome]:
        return [evaluate.Outcome(item, strategy, "", tokens, right=right, formed=True) for item in items]

    found = {s: outcomes(s, right=False, tokens=10) for s in evaluate.STRATEGIES}
    found[RECALL] = outcomes(RECALL, right=True, tokens=30)
    found[CAUTIOUS] = outcomes(CAUTIOUS, right=True, tokens=15)
    margin = evaluate.against_the_best(found, unseen=False)
    assert (margin["best"], margin["difference"], margin["n"]) == (RECALL, 0.0, 150)
    assert (margin["tokens"], margin["tokens_of_best"]) == (15.0, 30.0)
    assert margin["interval"][0] <= 0.0 <= margin["interval"][1]


def test_an_interview_is_about_one_passage_and_asks_what_it_does_not_say() -> None:
    rng, missing = Random(6), 0
    for _ in range(MANY):
        items = reading.interview(rng)
        assert len({item.text for item in items}) == 1
        assert any(item.quote for item in items)
        for item in items:
            assert (item.answer == NOT_STATED) != bool(item.quote)
            assert all(line in item.text and item.answer in line for line in item.quote)
        missing += sum(not item.quote for item in items)
    assert missing > MANY


def test_interviews_keep_to_the_split_and_show_the_passage_once() -> None:
    rng = Random(7)
    for _ in range(50):
        pieces = mixture.interviewing(rng)
        turns = [text for text, learned in pieces if not learned and "<|im_start|>user" in text]
        assert len(turns) >= 2
        assert all(len(later) < len(turns[0]) for later in turns[1:])


def test_a_quiz_asks_several_facts_of_the_training_side_in_one_form() -> None:
    rng, bare = Random(8), 0
    for _ in range(50):
        pieces = mixture.quizzing(rng)
        replies = [text.removesuffix("<|im_end|>") for text, learned in pieces if learned]
        assert 3 <= len(replies) <= 10
        assert len({"Answer:" in reply for reply in replies}) == 1
        bare += "Answer:" not in replies[0]
    assert bare > 25


def test_a_diet_changes_at_its_pool_and_erases_what_was_measured_throughout() -> None:
    diet = mixture.DIETS["second"].erasing({FACTS: DIRECT})
    early, late = diet.at(diet.turn - 1), diet.at(diet.turn)
    assert early is diet
    assert late is diet.then
    assert early.drills != late.drills
    assert early.chosen[FACTS] == late.chosen[FACTS] == DIRECT
    assert mixture.DIETS["first"].at(10**6) is mixture.DIETS["first"]
