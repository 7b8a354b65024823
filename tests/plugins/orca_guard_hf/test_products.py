from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

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
