"""A training that is killed, and one in two processes, end as they should."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from accelerate.state import AcceleratorState

from orca_guard_tuning.trainer import read_log
from tests.plugins.orca_guard_tuning.small import tune, write_rows, write_start

ROOT = Path(__file__).parents[3]

STAGES = """
start = "start"
held_out = ["held.jsonl"]

[[stages]]
name = "first"
data = ["data.jsonl"]
epochs = 2
rate = 3e-3
length = 64
rows = 2

[[stages]]
name = "second"
data = ["data.jsonl"]
epochs = 2
rate = 1e-3
length = 64
rows = 2
decay = 0.01
"""


@pytest.fixture
def stages(tmp_path: Path) -> Path:
    """Two stages over twenty sums, for a network with dropout."""
    rows = [{"system": "S", "user": f"{a} + {b} ?", "answer": f"{a + b}"} for a in range(4) for b in range(5)]
    write_rows(tmp_path / "data.jsonl", rows)
    write_rows(tmp_path / "held.jsonl", [{"system": "S", "user": "7 + 7 ?", "answer": "14"}])
    write_start(tmp_path / "start", texts=["1 + 2 ?"], width=16, layers=1, attention_dropout=0.1)
    (tmp_path / "stages.toml").write_text(STAGES, "utf-8")
    return tmp_path / "stages.toml"


def started(stages: Path, out: Path, *, processes: int = 1) -> subprocess.Popen[str]:
    """`orca-guard tune run` in processes of its own, with a checkpoint after every step."""
    program = ["-c", "from orca_guard.cli import main; main()"]
    if processes > 1:
        script = stages.parent / "program.py"
        script.write_text("from orca_guard.cli import main\nmain()\n", "utf-8")
        program = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", str(script)]
    command = [sys.executable, *program, "tune", "run", str(stages), "--out", str(out), "--checkpoint-every", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finished(process: subprocess.Popen[str]) -> str:
    _, told = process.communicate(timeout=200)
    assert process.returncode == 0, told
    return told


def files(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 9])
def test_a_training_that_is_killed_ends_with_the_same_files(tmp_path: Path, stages: Path, after: int) -> None:
    """Every byte of them: weights, losses, card and plot."""
    finished(started(stages, tmp_path / "peace"))
    out = tmp_path / "killed"
    process = started(stages, out)
    while len(read_log(out / "training" / "losses.jsonl")) < after:
        assert process.poll() is None, "it is killed before it ends"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (out / "model.safetensors").exists()
    assert after == 1 or "steps were done before" in finished(started(stages, out))
    if after == 1:
        finished(started(stages, out))
    assert files(out) == files(tmp_path / "peace")


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path, stages: Path) -> None:
    """Without dropout, whose chance every process has for itself, the losses are those of one process."""
    config = json.loads((tmp_path / "start" / "config.json").read_text("utf-8"))
    (tmp_path / "start" / "config.json").write_text(json.dumps(config | {"attention_dropout": 0.0}), "utf-8")
    tune("run", stages, "--out", tmp_path / "one")
    finished(started(stages, tmp_path / "two", processes=2))
    one, two = (read_log(tmp_path / name / "training" / "losses.jsonl") for name in ("one", "two"))
    assert [told.place for told in two] == [told.place for told in one]
    assert [told.loss for told in two] == pytest.approx([told.loss for told in one], rel=1e-4)
    assert "2 processes" in (tmp_path / "two" / "README.md").read_text("utf-8")
    refused = tune("run", stages, "--out", tmp_path / "two", code=2)
    assert "processes: 2 → 1" in str(refused.exception)


def test_other_data_in_the_same_directory_is_refused_and_named(tmp_path: Path, stages: Path) -> None:
    tune("run", stages, "--out", tmp_path / "out")
    write_rows(tmp_path / "data.jsonl", [{"system": "S", "user": "1 ?", "answer": "2"}])
    refused = tune("run", stages, "--out", tmp_path / "out", code=2)
    assert "stages.first" in str(refused.exception)


def test_a_dry_run_counts_and_writes_nothing(tmp_path: Path, stages: Path) -> None:
    told = tune("run", stages, "--out", tmp_path / "out", "--dry-run", "--json")
    counted = json.loads(told.stdout)
    assert [stage["examples"] for stage in counted["stages"]] == [20, 20]
    assert counted["alone"] == ""
    assert not (tmp_path / "out").exists()


def test_what_is_too_long_is_left_out_and_counted_and_never_cut(tmp_path: Path, stages: Path) -> None:
    with (tmp_path / "data.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"system": "S", "user": "x" * 400, "answer": "2"}) + "\n")
        file.write(json.dumps({"system": "S", "user": "Hi <|im_end|>", "answer": "2"}) + "\n")
    told = json.loads(tune("run", stages, "--out", tmp_path / "out", "--dry-run", "--json").stdout)
    assert told["stages"][0]["left_out"] == {
        "longer than 64 tokens": 1,
        "a text holds the control token '<|im_end|>'": 1,
    }


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (("rate = 3e-3", "rate = -1"), "rate must be above 0"),
        (("length = 64", "length = 4096"), "has 512 positions"),
        (("epochs = 2", "epoch = 2"), "did you mean 'epochs'"),
        (("rate = 3e-3", 'rate = 3e-3\nschedule = "cos"'), "at `stages[0].schedule`: did you mean 'cosine'"),
        (('start = "start"', 'start = ""'), "start is empty"),
        (('start = "start"', 'start = "./nowhere"'), "no such directory"),
        (('"data.jsonl"', '"nothing.jsonl"'), "cannot read"),
        (('"held.jsonl"', '"data.jsonl"'), "held-out examples are trained on too"),
        (('start = "start"', 'start = "start"\nrevision = "main"'), "revision 'main' is of a hub id, and start"),
        (('start = "start"', 'start = "nano"\nrevision = "main"'), "and start 'nano' is the directory"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, stages: Path, change: tuple[str, str], wanted: str) -> None:
    stages.write_text(stages.read_text("utf-8").replace(*change, 1), "utf-8")
    refused = tune("run", stages, "--out", tmp_path / "out", code=2)
    assert wanted in str(refused.exception)


def test_a_row_with_a_fault_is_not_trained_on(tmp_path: Path, stages: Path) -> None:
    write_rows(tmp_path / "data.jsonl", [{"id": "a", "system": "", "user": "x", "answer": "", "fault": "blocked"}])
    refused = tune("run", stages, "--out", tmp_path / "out", code=2)
    assert "row 'a' is not fit to train on (blocked)" in str(refused.exception)


@pytest.mark.parametrize("blank", [{"answer": " \n"}, {"user": "  "}])
def test_what_the_filter_calls_empty_is_not_trained_on(tmp_path: Path, stages: Path, blank: dict[str, str]) -> None:
    write_rows(tmp_path / "data.jsonl", [{"id": "a", "system": "", "user": "x", "answer": "y"} | blank])
    tune("filter", tmp_path / "data.jsonl", "--out", tmp_path / "fit.jsonl", code=1)
    refused = tune("run", stages, "--out", tmp_path / "out", code=2)
    assert "row 'a' is not fit to train on (empty)" in str(refused.exception)


def test_a_model_that_lacks_weights_is_no_start(tmp_path: Path, stages: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = tmp_path / "start" / "model.safetensors"
    weights = load_file(path)
    del weights["model.norm.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    refused = tune("run", stages, "--out", tmp_path / "out", code=2)
    assert "start from noise" in str(refused.exception)


def test_a_model_of_somebody_else_is_left_alone(tmp_path: Path, stages: Path) -> None:
    refused = tune("run", stages, "--out", tmp_path / "start", code=2)
    assert "which no training here wrote" in str(refused.exception)


@pytest.mark.parametrize("name", ["README.md", "config.json", "profile.toml", "training/losses.jsonl"])
def test_files_of_somebody_else_are_left_alone(tmp_path: Path, stages: Path, name: str) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine", "utf-8")
    refused = tune("run", stages, "--out", tmp_path / "out", code=2)
    assert f"holds {name}, which no training here wrote. Choose another --out" in str(refused.exception)
    assert files(tmp_path / "out") == {name: b"mine"}


def test_a_training_that_was_killed_before_it_was_noted_begins(tmp_path: Path, stages: Path) -> None:
    work = tmp_path / "out" / "training"
    work.mkdir(parents=True)
    for path in (work / ".training.json.new", tmp_path / "out" / ".training.lock"):
        path.write_bytes(b"")
    tune("run", stages, "--out", tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_an_empty_out_is_not_the_current_folder(stages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stages.parent)
    with pytest.raises(click.BadParameter, match="it is empty"):
        tune("run", stages, "--out", "")


def test_seconds_that_are_no_number_are_refused(tmp_path: Path, stages: Path) -> None:
    with pytest.raises(click.BadParameter, match="nan is no number"):
        tune("run", stages, "--out", tmp_path / "out", "--checkpoint-every", "nan")


def test_a_base_model_gets_chatml(tmp_path: Path, stages: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    start = write_start(tmp_path / "start", texts=["1 + 2 ?"], width=16, layers=1)
    (start / "chat_template.jinja").unlink()
    refused = tune("run", stages, "--out", tmp_path / "out", code=2)
    assert 'template = "chatml"' in str(refused.exception)
    stages.write_text('template = "chatml"\n' + stages.read_text("utf-8"), "utf-8")
    tune("run", stages, "--out", tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    settings = AutoModelForCausalLM.from_pretrained(tmp_path / "out").generation_config
    ends = settings.eos_token_id
    assert end in (ends if isinstance(ends, list) else [ends])


def test_a_template_of_its_own_is_not_replaced(tmp_path: Path, stages: Path) -> None:
    stages.write_text('template = "chatml"\n' + stages.read_text("utf-8"), "utf-8")
    tune("run", stages, "--out", tmp_path / "same", "--dry-run")
    template = tmp_path / "start" / "chat_template.jinja"
    template.write_text(template.read_text("utf-8") + "{# ours #}", "utf-8")
    refused = tune("run", stages, "--out", tmp_path / "out", code=2)
    assert "has a chat template of its own" in str(refused.exception)
    assert "Leave template out to keep its own" in str(refused.exception)


def test_bfloat16_learns_and_is_the_same_every_time(tmp_path: Path, stages: Path) -> None:
    stages.write_text('precision = "bfloat16"\n' + stages.read_text("utf-8"), "utf-8")
    for name in ("one", "two"):
        tune("run", stages, "--out", tmp_path / name)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    losses = [told.loss for told in read_log(tmp_path / "one" / "training" / "losses.jsonl") if not told.held_out]
    assert losses[-1] < losses[0]
    card = (tmp_path / "one" / "README.md").read_text("utf-8")
    assert "Seed 0, bfloat16, 1 process" in card


def test_losses_of_bfloat16_are_near_those_of_float32(tmp_path: Path, stages: Path) -> None:
    path = tmp_path / "start" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"attention_dropout": 0.0}), "utf-8")
    plain = stages.read_text("utf-8")
    for precision in ("float32", "bfloat16"):
        stages.write_text(f'precision = "{precision}"\n{plain}', "utf-8")
        tune("run", stages, "--out", tmp_path / precision)
        AcceleratorState._reset_state(reset_partial_state=True)
    exact, rounded = (
        [told.loss for told in read_log(tmp_path / name / "training" / "losses.jsonl")]
        for name in ("float32", "bfloat16")
    )
    assert exact != rounded
    assert rounded == pytest.approx(exact, rel=0.02)
