from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from orca_guard_hf import products
from orca_guard_hf.fusing import fused
from orca_guard_hf.products import quicker, served

pytestmark = pytest.mark.skipif(not served(), reason="layers of a CPU without AVX-512 are left as they are")


def layers(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(24, 40), nn.Linear(40, 16, bias=False)).to(dtype)


@torch.no_grad()
def through(model: nn.Module, states: torch.Tensor, found: Any) -> torch.Tensor:
    with fused(found):
        given: torch.Tensor = model(states)
    return given


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("rows", [1, 7, 64])
def test_products_that_stand_in_are_the_layers_own(dtype: torch.dtype, tolerance: float, rows: int) -> None:
    model = layers(dtype)
    states = torch.randn(1, rows, 24).to(dtype)
    found = quicker(model)
    assert len(found) == 2
    with torch.no_grad():
        assert torch.allclose(through(model, states, found), model(states), atol=tolerance)
    assert not any("forward" in vars(module) for module in model)


def test_copies_take_no_more_than_they_may() -> None:
    half = quicker(layers(torch.bfloat16), room=40 * 24 * 2)
    assert [module.in_features for module, _ in half] == [24]  # without a copy there is nothing to gain
    assert len(quicker(layers(), room=0)) == 2  # but in single precision there is


def test_a_weight_written_to_is_read_anew() -> None:
    model = layers()
    found = quicker(model)
    first, second = model[0], model[1]
    with torch.no_grad():
        second.get_parameter("weight").mul_(3)
        first.weight = nn.Parameter(first.get_parameter("weight").flip(0))
    states = torch.randn(3, 24)
    with torch.no_grad():
        assert torch.allclose(through(model, states, found), model(states), atol=1e-5)


def test_layers_of_another_kind_or_with_hooks_of_their_own_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(nn.Linear):
        pass

    hooked = nn.Linear(8, 8)
    monkeypatch.setitem(vars(hooked), "forward", hooked.forward)
    assert not quicker(nn.Sequential(Other(8, 8), hooked, nn.Linear(8, 8).double()))


def test_what_gives_other_numbers_does_not_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products._Product, "__call__", lambda self, states: self.module(states) * 1.01)
    assert not quicker(layers())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1.6e-2)])
def test_norms_are_computed_at_once_and_say_the_same(dtype: torch.dtype, tolerance: float) -> None:
    norm = LlamaRMSNorm(24, eps=1e-5).to(dtype)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
    assert len(found := quicker(nn.Sequential(norm))) == 1
    states = torch.randn(2, 5, 24).to(dtype)
    with torch.no_grad():
        assert torch.allclose(through(norm, states, found), norm(states), rtol=tolerance, atol=tolerance)


def test_a_norm_that_adds_one_to_its_weight_stays_as_it_is() -> None:
    norm = GemmaRMSNorm(24)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
    assert not quicker(nn.Sequential(norm))
