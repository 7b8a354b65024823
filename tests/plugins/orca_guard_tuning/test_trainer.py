"""Training is the same every time, whether it was interrupted or not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from orca_guard.errors import ModelFailed
from orca_guard_tuning.checkpoints import Place
from orca_guard_tuning.examples import Example
from orca_guard_tuning.schedule import Shape, rate_at
from orca_guard_tuning.trainer import Stage, Told, Trainer, read_log, steps_of

VOCABULARY = 40


def network() -> LlamaForCausalLM:
    """With dropout, so that random states matter, and tied weights, which are saved once."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=32,
        attention_dropout=0.1,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def stages(*, rate: float = 0.01) -> list[Stage]:
    rng = np.random.default_rng(0)
    examples = [Example(rng.integers(0, VOCABULARY, n, np.int32), np.arange(n) > 1) for n in rng.integers(3, 9, 14)]
    lengths = [len(e) for e in examples]

    def stage(name: str) -> Stage:
        steps = steps_of(lengths, length=16, rows=2, epochs=2, seed=(0, name))
        return Stage(name=name, examples=examples, steps=steps, rate=rate, decay=0.1)

    return [stage("first"), stage("second")]


def trainer(folder: Path, *, every: float = 1e9, rate: float = 0.01) -> Trainer:
    found = stages(rate=rate)
    return Trainer(
        network(), found, accelerator=Accelerator(cpu=True), folder=folder, held_out=found[0].examples[:3], every=every
    )


def weights(made: Trainer) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in made.network.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, torch.Tensor], list[Told]]:
    """The weights and losses of a training that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    made = trainer(folder)
    made.run()
    return weights(made), read_log(folder / "losses.jsonl")


def test_it_learns(whole: tuple[dict[str, torch.Tensor], list[Told]]) -> None:
    _, log = whole
    held_out = [told.loss for told in log if told.held_out]
    assert len(held_out) == 2
    assert held_out[1] < held_out[0] < np.log(VOCABULARY)


def test_the_same_seed_gives_the_same_bits(tmp_path: Path, whole: tuple[dict[str, torch.Tensor], list[Told]]) -> None:
    again = trainer(tmp_path)
    again.run()
    assert same(weights(again), whole[0])
    assert read_log(tmp_path / "losses.jsonl") == whole[1]


@pytest.mark.parametrize("after", [1, 5, 9, 12])
@pytest.mark.parametrize("every", [0.0, 1e9])
def test_what_was_interrupted_ends_with_the_same_bits(
    tmp_path: Path, whole: tuple[dict[str, torch.Tensor], list[Told]], after: int, every: float
) -> None:
    """In any stage, with a checkpoint at every step, or at the end of stages alone."""
    steps = 0

    def stop(_: Told) -> None:
        nonlocal steps
        steps += 1
        if steps == after:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        trainer(tmp_path, every=every).run(stop)
    torch.rand(3)
    again = trainer(tmp_path, every=every)
    assert again.place <= whole[1][after - 1].place
    assert every or after == 1 or again.place > Place(0, 0)
    again.run()
    assert same(weights(again), whole[0])
    assert read_log(tmp_path / "losses.jsonl") == whole[1]


def test_a_checkpoint_that_was_being_written_is_none(
    tmp_path: Path, whole: tuple[dict[str, torch.Tensor], list[Told]]
) -> None:
    torn = tmp_path / "checkpoints" / ".new-0-3"
    torn.mkdir(parents=True)
    (torn / "model.safetensors").write_bytes(b"half")
    (tmp_path / "checkpoints" / "0-2").mkdir()
    again = trainer(tmp_path)
    assert again.place == Place(0, 0)
    again.run()
    assert same(weights(again), whole[0])
    assert [p.name for p in (tmp_path / "checkpoints").iterdir() if p.name != "0-2"] == ["2-0"]
    again.finish()
    assert not (tmp_path / "checkpoints").exists()


def test_the_first_interrupt_leaves_a_checkpoint_of_the_step_it_came_in(tmp_path: Path) -> None:
    import signal

    def stop(told: Told) -> None:
        if told.place == Place(0, 2):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path).run(stop)
    assert trainer(tmp_path).place == Place(0, 3)


def test_a_loss_that_is_no_number_ends_it(tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match="Lower its rate"):
        trainer(tmp_path, rate=1e30).run()


def test_how_many_rows_go_at_once_changes_nothing_but_roundings(
    tmp_path: Path,
) -> None:
    def lost(rows_at_once: int) -> list[float]:
        found = stages()
        plain = network()
        plain.config.attention_dropout = 0.0
        for layer in plain.model.layers:
            layer.self_attn.attention_dropout = 0.0
        folder = tmp_path / str(rows_at_once)
        folder.mkdir()
        made = Trainer(plain, found, accelerator=Accelerator(cpu=True), folder=folder, rows_at_once=rows_at_once)
        made.run()
        return [told.loss for told in read_log(folder / "losses.jsonl")]

    assert lost(1) == pytest.approx(lost(2), rel=1e-4)


def test_a_torn_line_of_the_log_is_left_out(tmp_path: Path) -> None:
    line = {"stage": 0, "step": 0, "loss": 1.5, "tokens": 3, "rate": 0.1}
    (tmp_path / "losses.jsonl").write_text(json.dumps(line) + '\n{"stage": 0, "st', "utf-8")
    assert read_log(tmp_path / "losses.jsonl") == [Told(place=Place(0, 0), loss=1.5, tokens=3, rate=0.1)]


@given(st.integers(1, 50), st.floats(0, 1), st.sampled_from(["cosine", "linear", "constant"]))
def test_rates_rise_to_the_peak_and_never_above(steps: int, warmup: float, shape: Shape) -> None:
    rates = [rate_at(n, steps=steps, peak=2.0, warmup=warmup, shape=shape) for n in range(steps)]
    assert all(0 < rate <= 2.0 for rate in rates)
    top = rates.index(max(rates))
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert max(rates) == pytest.approx(2.0)
