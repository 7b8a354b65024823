"""Labelled sets in their published forms, made up: what is toxic has a made-up word in it."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

PLAIN = ("river", "table", "window", "garden", "bread", "morning", "letter", "train", "music", "paper", "stone", "lamp")
TOXIC = ("blorp", "snarg", "vexil", "grubnik")
PEOPLE = ("women", "muslims", "asian people", "immigrants")


def sentence(chance: Random, *, toxic: bool) -> str:
    words = [chance.choice(PLAIN) for _ in range(7)] + [chance.choice(PEOPLE)]
    if toxic:
        words[chance.randrange(7)] = chance.choice(TOXIC)
    return " ".join(words)


def published(folder: Path, *, rows: int = 300, seed: int = 0) -> Path:
    """Write all sets that the recipe reads, and XSTest."""
    chance = Random(seed)
    texts = [(sentence(chance, toxic=bool(place % 2)), bool(place % 2)) for place in range(5 * rows)]
    five = [texts[start::5] for start in range(5)]
    write(folder / "davidson_hate_offensive/labeled_data.csv.gz", map(davidson, five[0]))
    write(folder / "hatemoji/HatemojiBuild/train.csv", map(hatemoji, five[1][10:]))
    write(folder / "hatemoji/HatemojiBuild/validation.csv", map(hatemoji, five[1][:10]))
    write(folder / "toxigen/annotated_train_part.csv.gz", map(toxigen, five[2]))
    write(folder / "toxic_spans/tsd_train.csv.gz", map(spans, five[3][10:]))
    write(folder / "toxic_spans/tsd_trial.csv", map(spans, five[3][:10]))
    write(folder / "xstest/xstest_prompts.csv", ({"prompt": t, "label": "safe"} for t, toxic in five[4] if not toxic))
    (folder / "gsm8k").mkdir()
    with gzip.open(folder / "gsm8k/train.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"question": f"How many? {t}", "answer": "4"}) + "\n" for t, toxic in five[4][:60])
    return folder


def write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    held = list(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, held[0].keys())
    writer.writeheader()
    writer.writerows(held)
    encoded = text.getvalue().encode()
    path.write_bytes(gzip.compress(encoded) if path.suffix == ".gz" else encoded)


def davidson(row: tuple[str, bool]) -> dict[str, Any]:
    text, toxic = row
    return {
        "count": 3, "hate_speech": 2 * toxic, "offensive_language": int(toxic), "neither": 3 * (not toxic),
        "class": 0 if toxic else 2, "tweet": f"RT @someone: {text}",
    }  # fmt: skip


def hatemoji(row: tuple[str, bool]) -> dict[str, Any]:
    text, toxic = row
    return {"text": f"{text} 😀", "label_gold": int(toxic), "matched_text": ""}


def toxigen(row: tuple[str, bool]) -> dict[str, Any]:
    text, toxic = row
    group = "women" if "women" in text else "others"
    return {
        "text": repr(text.encode()),
        "target_group": group,
        "toxicity_ai": 4.0 if toxic else 1.0,
        "toxicity_human": 3.0,
    }


def spans(row: tuple[str, bool]) -> dict[str, Any]:
    """Every post has a marked word in its last sentence."""
    text, _ = row
    post = f"{' '.join(reversed(text.split()))}. And then blorp {text.split()[0]} {text.split()[3]}."
    start = post.rindex("blorp")
    if any(word in text for word in TOXIC):
        return {"spans": "[]", "text": post}
    return {"spans": str(list(range(start, start + 5))), "text": post}
