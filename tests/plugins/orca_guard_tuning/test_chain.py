"""The whole chain: from prompts and a teacher to a model that has learned, and picks the strategy by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from orca_guard import load
from orca_guard.stats import clopper_pearson
from orca_guard.types import Question
from orca_guard_tuning.policy import read_policy
from orca_guard_tuning.triples import read_triples
from tests.plugins.orca_guard_tuning.small import (
    COLOURS,
    PHRASINGS,
    colour,
    comparison,
    pairs,
    tune,
    write_rows,
    write_start,
    write_teacher,
)

STAGES = """
start = "start"
name = "small"
held_out = ["held.jsonl"]
rows_at_once = 8

[[stages]]
name = "explanations"
data = ["fit.jsonl"]
epochs = 6
rate = 4e-3
length = 128
rows = 8

[[stages]]
name = "erased"
data = ["erased.jsonl"]
epochs = 14
rate = 4e-3
length = 128
rows = 8
"""


@pytest.mark.slow
def test_a_student_learns_what_to_do_and_when(tmp_path: Path) -> None:
    found = pairs()
    facts = [colour(thing, phrasing) for thing in COLOURS for phrasing in range(len(PHRASINGS))]
    held = [comparison(*pair) for pair in found[:60]]
    chosen_on = write_rows(tmp_path / "chosen-on.jsonl", [*facts, *(comparison(*pair) for pair in found[60:80])])
    prompts = write_rows(tmp_path / "prompts.jsonl", [*facts, *(comparison(*pair) for pair in found[80:])])
    teacher = ("--teacher", f"{write_teacher(tmp_path)}:answer")
    ways = ("--strategy", "direct", "--strategy", "step-by-step")

    tune("sweep", chosen_on, "--out", tmp_path / "policy.toml", *teacher, *ways)
    assert read_policy(tmp_path / "policy.toml").strategies == {"colours": "direct", "comparisons": "step-by-step"}

    write_rows(tmp_path / "evaluated.jsonl", held)
    tune("data", prompts, "--out", tmp_path / "all.jsonl", *teacher, *ways)
    tune("filter", tmp_path / "all.jsonl", "--against", tmp_path / "evaluated.jsonl", "--out", tmp_path / "fit.jsonl")
    tune("data", prompts, "--out", tmp_path / "best.jsonl", *teacher, "--policy", tmp_path / "policy.toml")
    tune("erase", tmp_path / "best.jsonl", "--out", tmp_path / "erased.jsonl", "--system", "Choose how to work.")
    tune("data", tmp_path / "evaluated.jsonl", "--out", tmp_path / "h.jsonl", *teacher, "--strategy", "step-by-step")
    tune("erase", tmp_path / "h.jsonl", "--out", tmp_path / "held.jsonl", "--system", "Choose how to work.")

    texts = [t.system + " " + t.user + " " + t.answer for t in read_triples(tmp_path / "all.jsonl")]
    write_start(tmp_path / "start", texts=texts)
    (tmp_path / "stages.toml").write_text(STAGES, "utf-8")
    tune("run", tmp_path / "stages.toml", "--out", tmp_path / "model")

    pipeline = load(model=str(tmp_path / "model"), strategy="cautious", no_guards=["length"])
    asked = [Question.of(row["prompt"], id=row["id"]) for row in held]
    gold = {row["id"]: row["gold"] for row in held}
    answers = {question.id: answer for question, answer in pipeline.batch(asked)}
    right = sum(answer.final.strip() == gold[name] for name, answer in answers.items())
    low, _ = clopper_pearson(right / len(held), len(held))
    assert low > 0.5, f"{right} of {len(held)}, and chance is half"
    assert all(" then " in answer.text for answer in answers.values()), "comparisons are worked out, unasked"
    told = {thing: pipeline.ask(colour(thing)["prompt"]).text.strip() for thing in COLOURS}
    assert set(told.values()) <= set(COLOURS.values()), "and colours are just said"
    assert sum(told[thing] == COLOURS[thing] for thing in COLOURS) >= 4, "of six; chance gives one"


def test_the_directory_loads_in_plain_transformers_and_its_card_says_what_it_is(tmp_path: Path) -> None:
    rows = [{"system": "S", "user": f"Say {n}", "answer": f"{n}", "erased": {"system": "T"}} for n in range(6)]
    write_rows(tmp_path / "data.jsonl", rows)
    write_start(tmp_path / "start", texts=["Say 1"], width=16, layers=1)
    stages = 'start = "start"\nlicence = "mit"\nlimits = ["Only says numbers."]\n[[stages]]\nname = "one"\n'
    (tmp_path / "stages.toml").write_text(f'{stages}data = ["data.jsonl"]\nrate = 0.01\nlength = 64\n', "utf-8")
    tune("run", tmp_path / "stages.toml", "--out", tmp_path / "model")
    loader = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "Say 1"}], tokenize=False)
    assert prompt == "<|im_start|>user\nSay 1<|im_end|>\n"
    assert loader.generation_config.eos_token_id == 2
    card = (tmp_path / "model" / "README.md").read_text("utf-8")
    finished = json.loads((tmp_path / "model" / "training" / "training.json").read_text("utf-8"))
    assert finished["finished"]
    assert finished["identity"]["start"] in card
    for wanted in ('license: "mit"', "`data.jsonl`", "sha256:", "- Only says numbers.", '"S"', "up to 64 tokens"):
        assert wanted in card
    assert (tmp_path / "model" / "loss.svg").read_text("utf-8").startswith("<svg")
    assert 'cautious = "S"' in (tmp_path / "model" / "profile.toml").read_text("utf-8")
    told = tune("run", tmp_path / "stages.toml", "--out", tmp_path / "model")
    assert "nothing is left to do" in told.stderr
