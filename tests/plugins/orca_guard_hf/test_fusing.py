"""Layers that something else computes: only where that is the same."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from orca_guard_hf import fusing
from orca_guard_hf.fusing import fused, fusible
from tests.plugins.orca_guard_hf.conftest import open_model
from tests.plugins.orca_guard_hf.interpreting import kernels

__all__ = ["kernels"]


class RMSNorm(nn.Module):
    """As Llama's, or as those of other families, by a change."""

    def __init__(self, change: str = "") -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 2, 24))
        self.variance_epsilon: Any = "none" if change == "epsilon" else 1e-6
        self.change = change

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        scale = 1 + self.weight if self.change == "one more" else self.weight
        centred = states - states.mean(-1, keepdim=True) if self.change == "centred" else states
        rounded = centred.float() * (centred.float().pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt()
        return scale * rounded.to(states.dtype)


class Model(nn.Module):
    def __init__(self, norm: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.norm, self.head = norm, head

    def get_output_embeddings(self) -> nn.Module:
        return self.head


def layers_of(model: nn.Module) -> list[nn.Module]:
    return [module for module, _ in fusible(model)]


@pytest.mark.parametrize("change", ["one more", "centred", "epsilon"])
def test_a_norm_that_is_another_function_is_left_alone(kernels: ModuleType, change: str) -> None:
    norm = RMSNorm(change)
    assert layers_of(Model(norm, nn.Linear(24, 16, bias=False))) == []
    assert layers_of(Model(RMSNorm(), nn.Linear(24, 16, bias=False))) != []


def test_a_norm_whose_weights_are_of_another_precision_rounds_as_ever(kernels: ModuleType) -> None:
    """Some families keep norms in single precision in a model that is in half."""
    norm = RMSNorm()
    states = torch.randn(3, 24).bfloat16()
    wanted = norm(states)
    with torch.inference_mode(), fused(fusible(Model(norm, nn.Linear(24, 16, bias=False)))):
        found = norm(states)
    assert (found.dtype, torch.equal(found, wanted)) == (wanted.dtype, True)


def test_a_model_of_fused_layers_says_the_same(kernels: ModuleType, tiny: Path) -> None:
    model = open_model(tiny).network.model
    layers = fusible(model)
    assert len(layers) >= 9
    ids = torch.tensor([[5, 9, 30, 7]])
    with torch.inference_mode():
        wanted = model(ids).logits
        with fused(layers):
            found = model(ids).logits
        again = model(ids).logits
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert torch.equal(again, wanted)


@pytest.mark.parametrize(("tokens", "filled"), [(13, True), (16, False), (1, True)])
def test_an_output_layer_is_filled_up_and_says_no_more_than_it_did(tokens: int, *, filled: bool) -> None:
    head = nn.Linear(24, tokens, bias=False)
    layers = fusible(Model(nn.Identity(), head))
    assert [module for module, _ in layers] == [head] * filled
    states = torch.randn(2, 5, 24)
    wanted = head(states)
    with torch.no_grad(), fused(layers):
        assert head(states).shape == (2, 5, tokens)
        torch.testing.assert_close(head(states), wanted)
    assert "forward" not in vars(head)


@pytest.mark.parametrize("head", [nn.Linear(24, 13), nn.Identity(), None])
def test_other_output_layers_are_left_alone(head: Any) -> None:
    assert layers_of(Model(nn.Identity(), head or nn.Identity())) == []


def test_layers_are_put_back_whatever_happens() -> None:
    head = nn.Linear(24, 13, bias=False)
    with pytest.raises(KeyError), fused(fusible(Model(nn.Identity(), head))):
        raise KeyError
    assert "forward" not in vars(head)
    assert not fusing._same(nn.Linear(4, 4, bias=False, device="meta"), lambda states: states)
