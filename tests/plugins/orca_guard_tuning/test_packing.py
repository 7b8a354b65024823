"""Packed rows say what their examples say one at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from orca_guard_tuning.examples import Example
from orca_guard_tuning.network import loss_sum, narrows, why_not_packed
from orca_guard_tuning.packing import IGNORED, batch, batches, epoch, packed

VOCABULARY = 50
PAD = 0


def llama() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
    )
    return LlamaForCausalLM(config).train(mode=False)


@st.composite
def examples(draw: st.DrawFn) -> list[Example]:
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=8))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    return [Example(rng.integers(0, VOCABULARY, n, np.int32), rng.random(n) < 0.5) for n in sizes]


# --- which examples share a row ----------------------------------------------------------------


@given(st.lists(st.integers(1, 20), max_size=60))
def test_every_example_has_one_place_and_no_row_is_too_full(lengths: list[int]) -> None:
    rows = packed(lengths, capacity=20)
    assert sorted(n for row in rows for n in row) == list(range(len(lengths)))
    assert all(row and sum(lengths[n] for n in row) <= 20 for row in rows)


@given(st.lists(st.integers(1, 20), max_size=60))
def test_no_row_is_begun_while_another_has_room(lengths: list[int]) -> None:
    """So at most one row in two is less than half full, and best fit needs at most twice the fewest rows."""
    rows = packed(lengths, capacity=20)
    for later, row in enumerate(rows):
        first = row[0]
        for earlier in rows[:later]:
            assert sum(lengths[n] for n in earlier if n < first) + lengths[first] > 20


@pytest.mark.parametrize("length", [0, 21])
def test_an_example_that_fits_no_row_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="example 1 has"):
        packed([3, length], capacity=20)


def test_epochs_have_orders_of_their_own_and_the_same_every_time() -> None:
    lengths = [1 + n % 7 for n in range(100)]
    first = epoch(lengths, capacity=16, seed=(0, "a", 0))
    assert first == epoch(lengths, capacity=16, seed=(0, "a", 0))
    assert first != epoch(lengths, capacity=16, seed=(0, "a", 1))
    assert sorted(n for row in epoch(lengths, capacity=16, seed=(0,), alone=True) for n in row) == list(range(100))


# --- what a row says ---------------------------------------------------------------------------


@given(examples())
def test_targets_are_the_next_tokens_that_are_learned_and_stay_inside_their_example(rows: list[Example]) -> None:
    made = batch([rows], pad=PAD)
    at = 0
    for example in rows:
        end = at + len(example)
        wanted = [int(i) if learn else IGNORED for i, learn in zip(example.ids[1:], example.learned[1:], strict=True)]
        assert made.ids[0, at:end].tolist() == example.ids.tolist()
        assert made.positions[0, at:end].tolist() == list(range(len(example)))
        assert made.targets[0, at:end].tolist() == [*wanted, IGNORED]
        at = end
    assert (made.targets[0, at:] == IGNORED).all()
    assert made.answer_tokens == sum(example.answer_tokens for example in rows)


@settings(max_examples=40)
@given(examples(), st.integers(12, 40))
def test_packed_loss_and_gradients_equal_one_example_at_a_time(found: list[Example], capacity: int) -> None:
    network = llama()

    def summed(rows: list[list[Example]], size: int) -> tuple[float, list[torch.Tensor]]:
        network.zero_grad()
        total = 0.0
        for rows_at_once in batches(rows, size=size, pad=PAD):
            loss = loss_sum(network, rows_at_once, narrow=True)
            torch.autograd.backward(loss)
            total += float(loss.detach())
        return total, [p.grad.clone() for p in network.parameters() if p.grad is not None]

    rows = [[found[n] for n in row] for row in packed([len(e) for e in found], capacity=capacity)]
    together, gradients = summed(rows, size=3)
    alone, wanted = summed([[example] for example in found], size=1)
    assert together == pytest.approx(alone, rel=1e-5, abs=1e-5)
    for a, b in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@settings(max_examples=30)
@given(examples(), st.data())
def test_what_an_example_says_changes_nothing_in_the_others(found: list[Example], data: st.DataObject) -> None:
    """Not by a rounding: the numbers are the same bits."""
    network = llama()
    changed = data.draw(st.integers(0, len(found) - 1))
    others = [*found]
    others[changed] = Example((found[changed].ids + 1) % VOCABULARY, found[changed].learned)

    def logits(examples: list[Example]) -> torch.Tensor:
        made = batch([examples], pad=PAD)
        with torch.no_grad():
            out: torch.Tensor = network(input_ids=made.ids, position_ids=made.positions, use_cache=False).logits
        return out[0]

    start = sum(len(e) for e in found[:changed])
    kept = torch.ones(len(logits(found)), dtype=torch.bool)
    kept[start : start + len(found[changed])] = False
    assert torch.equal(logits(found)[kept], logits(others)[kept])


@settings(max_examples=20)
@given(examples())
def test_prompt_tokens_have_no_loss(found: list[Example]) -> None:
    """Other prompts' targets change nothing: only what is learned is asked for."""
    network = llama()
    silent = [Example(e.ids, np.zeros_like(e.learned)) for e in found]
    with torch.no_grad():
        assert float(loss_sum(network, batch([silent], pad=PAD), narrow=True)) == 0
        whole = float(loss_sum(network, batch([found], pad=PAD), narrow=False))
        assert float(loss_sum(network, batch([found], pad=PAD), narrow=True)) == pytest.approx(
            whole, rel=1e-5, abs=1e-6
        )


# --- whether a network can ---------------------------------------------------------------------


def test_networks_that_read_positions_are_packed() -> None:
    assert why_not_packed(llama(), vocabulary=VOCABULARY, pad=PAD) == ""
    assert narrows(llama())
    size: dict[str, Any] = {"vocab_size": VOCABULARY, "num_attention_heads": 2, "hidden_size": 16}
    mistral = MistralConfig(**size, intermediate_size=16, num_hidden_layers=1, num_key_value_heads=1, sliding_window=4)
    assert why_not_packed(MistralForCausalLM(mistral), vocabulary=VOCABULARY, pad=PAD) == ""
    gpt = GPT2Config(vocab_size=VOCABULARY, n_embd=16, n_layer=1, n_head=2, n_positions=32)
    assert why_not_packed(GPT2LMHeadModel(gpt), vocabulary=VOCABULARY, pad=PAD) == ""


def test_a_network_that_lets_examples_see_each_other_is_found_out() -> None:
    network = llama()
    forward = network.forward

    def masked(**given: torch.Tensor) -> object:
        return forward(**{**given, "attention_mask": torch.ones_like(given["input_ids"])})

    network.forward = masked
    network.train()
    assert "change each other" in why_not_packed(network, vocabulary=VOCABULARY, pad=PAD)
    assert network.training
