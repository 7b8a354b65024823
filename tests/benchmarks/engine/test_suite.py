"""What is handed to the peers is what a sealed run asked."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from benchmarks.engine.suite import PART, _plan, asked_of
from benchmarks.engine.watched import __name__ as watched
from orca_guard_safety.suite import SAFETY
from tests.plugins.orca_guard_hf.conftest import byte_level, llama


def test_the_journal_says_what_was_asked(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    llama(folder, vocabulary=len(byte_level(folder)), max_position_embeddings=1024)
    words = [
        "audit",
        "--suite",
        "basics",
        "--limit",
        "2",
        "--model",
        str(folder),
        "--no-doctor",
        "--strategy",
        "direct",
    ]
    words += ["--max-new-tokens", "8", "--out", str(tmp_path / "runs"), "--run", "one", str(tmp_path / "out.json")]
    subprocess.run([sys.executable, "-m", watched, *words], check=True)
    asked = asked_of(tmp_path / "runs/one")
    assert len(asked["score"]) == len(asked["likelihoods"]) > 0
    for (context, choices), likelihoods in zip(asked["score"], asked["likelihoods"], strict=True):
        assert context
        assert len(choices) == len(likelihoods) > 1
        assert all(logprob < 0 for logprob, _ in likelihoods)
    assert len(asked["generate"]) == len(asked["answers"]) > 0
    assert all("<|im_start|>" in prompt for prompt in asked["generate"])
    assert 0 < asked["written"] <= 8 * len(asked["answers"])


def test_a_part_of_every_benchmark_is_asked_under_the_arms_of_the_suite() -> None:
    found = [{"name": name, "items": 2000} for name in SAFETY.benchmarks] + [{"name": "small", "items": 3}]
    plan = tomllib.loads("\n".join(_plan(found)))
    limits = {one["name"]: one["limit"] for one in plan["benchmarks"]}
    assert limits["toxigen-likelihood"] == 1000 // PART
    assert limits["truthfulqa-mc"] == 2000 // PART
    assert limits["small"] == 1
    assert [(arm["name"], arm["strategy"], arm.get("system")) for arm in plan["arms"]] == [
        (arm.name, arm.strategy, arm.system) for arm in SAFETY.arms
    ]
