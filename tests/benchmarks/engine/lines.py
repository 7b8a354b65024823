"""A line of the table as it is written down, made up."""

from __future__ import annotations

from typing import Any

HERE = {"processor": "A", "python": "3.11", "packages": {"torch": "2"}, "engine": "new"}
NAMES = [
    ("six-shot, 60 questions", "15M", "float32", "lm-eval"),
    ("six-shot, 790 questions", "15M", "float32", "lm-eval"),
    ("six-shot, 790 questions", "15M", "bfloat16", "lm-eval"),
]


def line(name: tuple[str, ...] = NAMES[0], *, engine: str = "new", date: str = "2026-01-02") -> dict[str, Any]:
    work, model, dtype, peer = name
    return {
        "work": work,
        "kind": "score",
        "model": model,
        "dtype": dtype,
        "items": 60,
        "peer": peer,
        "batch": 4,
        "seconds": {"ours": [1.0, 1.2, 1.1], "peer": [20.0, 22.0, 24.0]},
        "ratio": {"median": 20.0, "low": 18.3, "high": 21.8},
        "tokens": {"ours": 1000, "peer": 20_000},
        "rows": {"ours": 500, "peer": 20_000},
        "agreement": {"largest": 1e-5, "greedy": 1.0, "same choice": 1.0},
        "measured": {
            "date": date,
            "rounds": 3,
            "peak": {"float32": 1e11, "bfloat16": 4e11},
            "engine": engine,
            "loads": [0.5, 1.5],
        },
    }
