"""Rows of real benchmarks, as requests: chosen under a seed, so that every run asks the same."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

SEED = 20_261


def truthfulqa(data: Path, header: str, count: int) -> list[Any]:
    """Context and continuations of MC1 and MC2 of so many questions, in the peer's wording."""
    rows = json.loads((data / "truthfulqa/mc_task.json").read_text("utf-8"))
    chosen = random.Random(SEED).sample(rows, count) if count < len(rows) else rows  # noqa: S311
    return [
        [f"{header}Q: {row['question']}\nA:", [f" {choice}" for choice in row[kind]]]
        for row in chosen
        for kind in ("mc1_targets", "mc2_targets")
    ]


def hellaswag(data: Path) -> list[Any]:
    """Contexts with their activity, and four endings of each."""
    rows = lines(data / "hellaswag/hellaswag_val_sample.jsonl")
    return [[f"{row['activity_label']}: {row['ctx']}", [f" {ending}" for ending in row["endings"]]] for row in rows]


def arc(data: Path) -> list[Any]:
    """Questions of ARC-Challenge's test set, and their options by text."""
    questions = [row["question"] for row in lines(data / "arc/ARC-Challenge-Test.jsonl")]
    return [[f"Question: {q['stem']}\nAnswer:", [f" {choice['text']}" for choice in q["choices"]]] for q in questions]


def mmlu(data: Path) -> list[Any]:
    """Questions of every third subject in a mixed order, 400 of them, and their options by text."""
    import csv  # noqa: PLC0415  # only here

    found: list[Any] = []
    for path in sorted((data / "mmlu/test").glob("*.csv"))[::3]:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))[:40]
        found += ([f"{r['question'].strip()}\nAnswer:", [f" {r[f'choice{n}']}" for n in range(4)]] for r in rows)
    random.Random(SEED).shuffle(found)  # noqa: S311
    return found


def gsm8k(data: Path, count: int = 64) -> list[Any]:
    """Prompts, and how long each answer gets: log-normal with median 52 and at most 128 tokens."""
    chance = random.Random(SEED)  # noqa: S311
    questions = [row["question"] for row in lines(data / "gsm8k/test.jsonl")[:count]]
    return [[q, max(min(round(chance.lognormvariate(math.log(52), 0.6)), 128), 1)] for q in questions]


def comments(data: Path, count: int) -> list[Any]:
    """Texts of log-normal length made of words of real comments."""
    import csv  # noqa: PLC0415
    import gzip  # noqa: PLC0415

    with gzip.open(data / "davidson_hate_offensive/labeled_data.csv.gz", "rt", encoding="utf-8") as file:
        words = " ".join(row["tweet"] for row in list(csv.DictReader(file))[:2000]).split()
    chance = random.Random(SEED)  # noqa: S311
    lengths = [max(min(round(chance.lognormvariate(math.log(24), 0.85)), 130), 3) for _ in range(count)]
    return [" ".join(chance.sample(words, length)) for length in lengths]


def lines(path: Path) -> list[Any]:
    """Of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
