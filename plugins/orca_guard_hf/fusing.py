"""Layers that one kernel computes instead of several, or a better one, where that is the same function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

_Layer: TypeAlias = tuple[torch.nn.Module, Callable[[Tensor], Tensor]]
Fused: TypeAlias = Sequence[_Layer]
Rows: TypeAlias = Callable[[Tensor, Tensor, float], Tensor]
"""Of a norm: from rows, weight and epsilon."""

_NORM = "RMSNorm"
"""What the classes of such norms end in, whatever the architecture; what one does is tried all the same."""
_TOLERANCES = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
"""By how much of a number two right ways may differ."""
_ALIGNED = 8
"""Products whose rows are no multiple of this are left to a slow kernel."""
_WIDEST = 16_384
"""Numbers in a row that one block of a kernel can hold."""


def fusible(model: Any) -> Fused:
    """The layers of a model, on one CUDA device, that may be computed otherwise; each is tried on numbers of chance."""
    return tried([*norms(model, _by_kernel), _head(model.get_output_embeddings())])


def norms(model: Any, rows: Rows) -> list[_Layer]:
    """The norms of a model, computed at once instead of in eight steps; not tried yet."""
    found = [_norm(module, rows) for module in model.modules() if type(module).__name__.endswith(_NORM)]
    return [layer for layer in found if layer is not None]


def tried(found: Sequence[_Layer | None]) -> Fused:
    """Those that give a layer's own numbers."""
    return [(module, kernel) for module, kernel in filter(None, found) if _same(module, kernel)]


@contextmanager
def fused(layers: Fused) -> Iterator[None]:
    """Let these layers be computed so. Nobody else may use the model meanwhile."""
    try:
        for module, kernel in layers:
            module.__dict__["forward"] = kernel
        yield
    finally:
        for module, _ in layers:
            module.__dict__.pop("forward", None)


def _norm(module: Any, rows: Rows) -> _Layer | None:
    weight = getattr(module, "weight", None)
    epsilon = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    if not isinstance(weight, Tensor) or not isinstance(epsilon, float) or "forward" in vars(module):
        return None
    if weight.ndim != 1 or len(weight) > _WIDEST:
        return None
    plainly = module.forward
    return module, lambda s: rows(s, weight, epsilon) if s.dtype == weight.dtype else plainly(s)


def _by_kernel(states: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    from orca_guard_hf.kernels import norm_rows  # noqa: PLC0415  # needs Triton

    return norm_rows(states, weight, epsilon)


def _head(module: Any) -> _Layer | None:
    """An output layer over an odd number of tokens, filled up to one that matrix units can take in."""
    if type(module) is not torch.nn.Linear or module.bias is not None or "forward" in vars(module):
        return None
    tokens = module.weight.shape[0]
    if tokens % _ALIGNED == 0:
        return None
    with torch.no_grad():
        filled = functional.pad(module.weight, (0, 0, 0, -tokens % _ALIGNED))
    return module, lambda states: functional.linear(states, filled)[..., :tokens]


def _same(module: Any, kernel: Callable[[Tensor], Tensor]) -> bool:
    weight: Tensor = module.weight
    tolerance = _TOLERANCES.get(weight.dtype)
    if tolerance is None or weight.is_meta:
        return False
    width = weight.shape[-1]
    chance = torch.Generator().manual_seed(width)
    states = torch.randn(4, width, generator=chance).to(weight.device, weight.dtype)
    with torch.inference_mode():
        return torch.allclose(kernel(states), module(states), rtol=tolerance, atol=tolerance)
