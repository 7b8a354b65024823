"""What of a process's memory counts, and that it is read of a real audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from benchmarks.engine.memory import GIB, MARKS, MIB, PAGE, RESULTS, audits, beyond, markdown, weights_of, within
from benchmarks.engine.memory import _watched as watched
from benchmarks.engine.sides import reported
from tests.plugins.orca_guard_hf.conftest import byte_level, llama

ONE = {"audit": "a", "model": "15M", "dtype": "float32", "before": 400 * MIB, "weights": 60 * MIB, "cache": 100 * MIB}


def held(peak: int) -> dict[str, Any]:
    return ONE | {"peak": peak}


def test_what_is_beyond_weights_must_fit_into_the_cache_and_a_gib() -> None:
    most = 400 * MIB + 60 * MIB + 100 * MIB + GIB
    assert beyond(held(most)) == 100 * MIB + GIB
    assert within(held(most))
    assert not within(held(most + 1))


def test_a_breach_is_shown() -> None:
    where = {"date": "2026-01-02", "processor": "A", "memory": GIB, "packages": {"torch": "2"}}
    table = markdown({"conditions": where, "audits": [held(0), held(9 * GIB)]})
    assert table.splitlines()[-2].endswith("| yes |")
    assert table.splitlines()[-1].endswith("| **no** |")


def test_weights_are_counted_from_the_files(tmp_path: Path) -> None:
    llama(tmp_path, vocabulary=300)
    loader: Any = transformers.AutoModelForCausalLM
    numbers = sum(weight.numel() for weight in loader.from_pretrained(tmp_path).parameters())
    assert weights_of(tmp_path, "float32") == 4 * numbers
    assert weights_of(tmp_path, "bfloat16") == 2 * numbers


def test_both_models_score_and_write_in_both_precisions_and_are_judged(tmp_path: Path) -> None:
    found = {(audit.name.split(",")[0], audit.model, audit.dtype) for audit in audits(tmp_path)}
    for model in ("15M", "110M"):
        for dtype in ("float32", "bfloat16"):
            assert {("likelihoods", model, dtype), ("answers", model, dtype)} <= found
        assert ("answers and a classifier", model, "float32") in found


@pytest.mark.timeout(120)
def test_an_audit_is_watched_in_its_own_process(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    llama(folder, vocabulary=len(byte_level(folder)))
    words = ["audit", "--suite", "basics-choices", "--limit", "1", "--model", str(folder), "--no-doctor"]
    found = reported(watched(*words, "--out", str(tmp_path / "runs"), "--run", "one"))
    assert found["code"] == 3
    assert (tmp_path / "runs/one/seal.json").exists()
    assert 100 * MIB < found["peak"] < 4 * GIB


def test_the_page_shows_what_is_written_down() -> None:
    told = json.loads(RESULTS.read_text("utf-8"))["memory"]
    assert PAGE.read_text("utf-8").split(MARKS[0])[1].split(MARKS[1])[0] == markdown(told) + "\n"
    assert all(within(one) for one in told["audits"])
