from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orca_guard_hf import heading
from orca_guard_hf.heading import Head, head_of
from orca_guard_hf.model import HFModel
from tests.plugins.orca_guard_hf.architectures import FITTING, write
from tests.plugins.orca_guard_hf.conftest import ask, open_model
from tests.plugins.orca_guard_hf.test_packing import HEADER, close, plain, requests_of


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_parts_of_a_vocabulary_say_what_the_whole_says(data: st.DataObject) -> None:
    seed, vocabulary, width = (data.draw(st.integers(0, most)) for most in (1000, 60, 7))
    torch.manual_seed(seed)
    layer = torch.nn.Linear(4, vocabulary + 1, bias=bool(seed % 2))
    with torch.no_grad():
        layer.weight.mul_(40 if seed % 3 else 1).round_()  # many are equal
    states = torch.randn(6, 4).round()
    tokens = data.draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, vocabulary)), min_size=1, max_size=20))
    rows, wanted = (np.asarray(one, dtype=np.int64) for one in zip(*tokens, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heading, "_WIDTH", width + 1)
        found = Head(layer).judged(states, rows, wanted)
    with torch.no_grad():
        logits = layer(states)
    told = logits.double().log_softmax(-1)[rows, wanted]
    assert found[:, 0].numpy() == pytest.approx(told.numpy(), abs=1e-4)
    assert (found[:, 1].numpy() == (logits.argmax(-1)[rows].numpy() == wanted)).all()


def test_what_is_no_number_stays_none() -> None:
    layer = torch.nn.Linear(2, 5)
    states = torch.tensor([[1.0, 2.0], [float("nan"), 0.0]])
    found = Head(layer).judged(states, np.asarray([0, 1]), np.asarray([3, 3]))
    assert found[:, 0].isnan().tolist() == [False, True]


@pytest.mark.parametrize("name", FITTING)
def test_an_output_layer_that_is_last_is_applied_apart(tmp_path: Path, name: str) -> None:
    model = open_model(write(tmp_path, name))
    assert model.network.head is not None
    assert "forward" not in vars(model.network.head.layer)


def _capped(folder: Path) -> HFModel:
    """Gemma 2 without its windows: it bends its logits."""
    return open_model(write(folder, "Gemma2", layer_types=["full_attention"] * 3, attn_logit_softcapping=None))


def test_logits_that_are_bent_afterwards_are_judged_as_they_come_out(tmp_path: Path) -> None:
    model = _capped(tmp_path)
    assert model.network.model.config.final_logit_softcapping
    assert model.network.head is None
    requests = requests_of(header=HEADER)
    for request, found in zip(requests, ask(model, *requests), strict=True):
        close(found, plain(model, request))


def test_an_output_layer_of_another_kind_is_left_in_its_place(tmp_path: Path) -> None:
    network = open_model(write(tmp_path, "Llama")).network.model
    network.set_output_embeddings(torch.nn.Sequential(network.get_output_embeddings()))
    assert head_of(network) is None


def test_nobody_else_meets_a_model_without_its_output_layer(tmp_path: Path) -> None:
    model = open_model(write(tmp_path, "Llama"))
    layer, held = model.network.model.get_output_embeddings(), []
    layer.register_forward_pre_hook(
        lambda module, _: held.append(("forward" in vars(module), model.network.lock.locked()))
    )
    ask(model, *requests_of(header=HEADER))
    apart = [locked for without, locked in held if without]
    assert apart
    assert all(apart)
