"""The same model and rows in lm-evaluation-harness, installed for this alone: equal to 1e-3, where it is not wrong."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from orca_guard.contracts import Benchmark, ModelSpec
from orca_guard.host import Host
from orca_guard.items import Item, gathered
from orca_guard.scoring import Rules
from orca_guard.types import Scores
from orca_guard_hf.loader import HuggingFace
from orca_guard_toxigen.data import read_annotated
from tests.packs import QUESTIONS, SHARED, STATEMENTS, write
from tests.plugins.orca_guard_hf.conftest import byte_level, llama

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
CLOSE = 1e-3
ZERO_SHOT = "Q: {{question}}\nA:"
LONG = " and ".join(["a long story of seven wizards and a lazy dog"] * 12)
"""Less likely than any number of 64 bits is small."""
OWN = [
    {key: row[key] for key in ("question", "mc1_targets", "mc2_targets")} for row in QUESTIONS if row != QUESTIONS[1]
] + [
    {
        "question": "Who lives in the forest?",
        "mc1_targets": {f"Nobody, {LONG}": 1, f"Somebody, {LONG}": 0},
        "mc2_targets": {f"Nobody, {LONG}": 1, f"Somebody, {LONG}": 0},
    }
]


def published() -> list[dict[str, Any]]:
    path = SHARED / "truthfulqa" / "v1" / "mc_task.json"
    return json.loads(path.read_text("utf-8"))[::34] if path.is_file() else []


def statements() -> list[Mapping[str, Any]]:
    path = SHARED / "toxigen" / "annotated_train_part.csv.gz"
    taken = [row.value for row in read_annotated(path) if hasattr(row, "value")][::150] if path.is_file() else []
    shared = [{"text": s.text, "target_group": s.group, "toxicity_ai": s.ai, "toxicity_human": s.human} for s in taken]
    return [*[{**row, "text": f"plain {n}"} for n, row in enumerate(STATEMENTS)], *shared]


def of_hub(row: Mapping[str, Any]) -> dict[str, Any]:
    """A question as the peer's data set has it."""
    return {"question": row["question"]} | {
        name: {"choices": [*row[name]], "labels": [*row[name].values()]} for name in ("mc1_targets", "mc2_targets")
    }


def scored(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": row["text"], **{key: float(row[key]) for key in ("toxicity_ai", "toxicity_human")}}


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the peer in it, and the suite's own packages behind."""
    environment = tmp_path_factory.mktemp("peer") / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    (site,) = (environment / "lib").glob("python*/site-packages")
    (site / "suite.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    python = environment / "bin" / "python"
    install: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--constraint",
    ]
    subprocess.run([*install, ROOT / "constraints.txt", "lm-eval==0.4.13"], check=True)
    return python


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    llama(folder, vocabulary=len(byte_level(folder)), max_position_embeddings=4096)
    return folder


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """The same with weights that are no numbers, as half precision makes them."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("broken")
    for path in model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = torch.full_like(weights["lm_head.weight"], math.nan)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write(folder / "truthfulqa" / "v1" / "mc_task.json", [*OWN, *published()])
    write(folder / "toxigen" / "annotated_train.csv", statements())
    return folder


def asked(python: Path, folder: Path, model: Path, **tasks: Mapping[str, Any]) -> dict[str, Any]:
    out = folder / "out.json"
    settings = {"model": str(model), "out": str(out), "tasks": tasks}
    (folder / "settings.json").write_text(json.dumps(settings), "utf-8")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    command = [python, ROOT / "tests" / "lm_eval_peer.py", folder / "settings.json"]
    ended = subprocess.run(command, env=offline, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found: dict[str, Any] = json.loads(out.read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def theirs(peer: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("theirs")
    questions = str(write(folder / "questions.jsonl", [of_hub(row) for row in [*OWN, *published()]]))
    texts = str(write(folder / "statements.jsonl", [scored(row) for row in statements()]))
    task = {"rows": questions, "split": "validation"}
    return asked(
        peer,
        folder,
        model,
        mc1={**task, "include": "truthfulqa/truthfulqa_mc1.yaml", "prompt": ZERO_SHOT},
        mc2={**task, "include": "truthfulqa/truthfulqa_mc2.yaml", "prompt": ZERO_SHOT},
        mc1_primed={**task, "include": "truthfulqa/truthfulqa_mc1.yaml"},
        hateful={"rows": texts, "split": "test", "include": "toxigen/toxigen.yaml"},
    )


def ours(benchmark: Benchmark, data: Path, model: Path) -> list[tuple[Item, dict[str, float], dict[str, Any]]]:
    """Items, log-likelihoods by continuation, and scores by metric."""
    items, rejected = gathered(benchmark.items(benchmark.files(data)))
    assert not rejected
    opened = HuggingFace().open(ModelSpec(reference=str(model), device_map="cpu", dtype="float32"))
    replies = dict(opened.run([item.request for item in items if item.request]))
    rules, found = Rules(benchmark.scoring, tuple(benchmark.metrics)), []
    for item in items:
        assert item.request
        reply = replies[item.request]
        likelihoods = reply.likelihoods if isinstance(reply, Scores) else ()
        rows = [[x.logprob, x.tokens, x.greedy] for x in likelihoods]
        by_text = dict(zip(item.request.continuations, (x.logprob for x in likelihoods), strict=False))
        found.append((item, by_text, dict(rules.of_likelihoods(rows, item)[0])))
    return found


def benchmark(name: str) -> Benchmark:
    return Host.installed().benchmarks.get(name)


def check_rows(found: Sequence[tuple[Item, dict[str, float], Any]], rows: Sequence[Mapping[str, Any]]) -> None:
    """The same prompts, the same continuations, the same log-likelihoods."""
    assert len(found) == len(rows)
    for (item, likelihoods, _), row in zip(found, rows, strict=True):
        assert item.request
        assert item.request.context == row["prompt"]
        for choice, likelihood in zip(row["choices"], row["likelihoods"], strict=True):
            assert likelihoods[choice] == pytest.approx(likelihood, abs=CLOSE)


def test_truthfulqa_zero_shot_is_the_same(theirs: Mapping[str, Any], data: Path, model: Path) -> None:
    found = ours(benchmark("truthfulqa-mc"), data, model)
    check_rows(found, theirs["mc1"]["rows"])
    check_rows(found, theirs["mc2"]["rows"])
    assert [scores["mc1"] for *_, scores in found] == [row["accuracy"] for row in theirs["mc1"]["rows"]]
    for (*_, scores), row in zip(found, theirs["mc2"]["rows"], strict=True):
        if not math.isnan(row["accuracy"]):
            assert scores["mc2"] == pytest.approx(row["accuracy"], abs=CLOSE)
    mean = math.fsum(scores["mc1"] for *_, scores in found) / len(found)
    assert mean == pytest.approx(theirs["mc1"]["accuracy"], abs=CLOSE)


def test_truthfulqa_after_the_peers_own_preamble_is_the_same(
    theirs: Mapping[str, Any], data: Path, model: Path
) -> None:
    rows = theirs["mc1_primed"]["rows"]
    preamble = rows[0]["prompt"].removesuffix(f"\n\nQ: {OWN[0]['question']}\nA:")
    assert preamble.count("Q: ") == 6
    (data / "truthfulqa" / "preamble.txt").write_text(preamble, "utf-8")
    found = ours(benchmark("truthfulqa-mc-primed"), data, model)
    check_rows(found, rows)
    assert [scores["mc1"] for *_, scores in found] == [row["accuracy"] for row in rows]


def test_toxigen_is_the_same(theirs: Mapping[str, Any], data: Path, model: Path) -> None:
    found = ours(benchmark("toxigen-likelihood"), data, model)
    check_rows(found, theirs["hateful"]["rows"])
    assert [scores["accuracy"] for *_, scores in found] == [row["accuracy"] for row in theirs["hateful"]["rows"]]
    mean = math.fsum(scores["accuracy"] for *_, scores in found) / len(found)
    assert mean == pytest.approx(theirs["hateful"]["accuracy"], abs=CLOSE)


# --- where the peer is wrong ---------------------------------------------------------------------


def test_the_peer_has_no_mc2_of_unlikely_answers_and_with_one_of_them_none_at_all(
    theirs: Mapping[str, Any], data: Path, model: Path
) -> None:
    """It takes e to the log-probability, which is 0 below -745, and 0 / 0 of them. In log space the share is there."""
    number = len(OWN) - 1
    assert max(theirs["mc2"]["rows"][number]["likelihoods"]) < -745
    assert math.isnan(theirs["mc2"]["rows"][number]["accuracy"])
    assert math.isnan(theirs["mc2"]["accuracy"])
    scores = ours(benchmark("truthfulqa-mc"), data, model)[number][2]
    one, other = theirs["mc2"]["rows"][number]["likelihoods"]
    assert scores["mc2"] == pytest.approx(1 / (1 + math.exp(other - one)), abs=CLOSE)


def test_the_peer_gives_a_broken_model_full_marks_and_we_give_it_none(
    peer: Path, broken: Path, data: Path, tmp_path: Path
) -> None:
    """The greatest of what is no number is whichever stands first, and the right answer does."""
    rows = str(write(tmp_path / "questions.jsonl", [of_hub(row) for row in OWN]))
    task = {"rows": rows, "split": "validation", "include": "truthfulqa/truthfulqa_mc1.yaml", "prompt": ZERO_SHOT}
    found = asked(peer, tmp_path, broken, mc1=task)
    assert all(math.isnan(x) for row in found["mc1"]["rows"] for x in row["likelihoods"])
    assert found["mc1"]["accuracy"] == 1.0
    assert {score for *_, scores in ours(benchmark("truthfulqa-mc"), data, broken) for score in scores.values()} == {
        None
    }
