"""Layers that one kernel computes instead of several, or a better one, where that is the same function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

Fused: TypeAlias = Sequence[tuple[torch.nn.Module, Callable[[Tensor], Tensor]]]

_NORM = "RMSNorm"
"""What the classes of such norms end in, whatever the architecture; what one does is tried all the same."""
_TOLERANCES = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
"""By how much of a number two right ways may differ."""
_ALIGNED = 8
"""Products whose rows are no multiple of this are left to a slow kernel."""
_WIDE = {"AVX512"}
"""Instruction sets, as torch names them, with which oneDNN is faster than what torch takes by itself."""
_COPIES = 384 << 20
"""Bytes that copies of weights may take: with what a forward computes still less than 1 GiB."""
_USUAL = 64
"""Rows that a copy is made for; it serves any number."""
_WIDEST = 16_384
"""Numbers in a row that one block of a kernel can hold."""


def fusible(model: Any) -> Fused:
    """The layers of a model, on one CUDA device, that may be computed otherwise; each is tried on numbers of chance."""
    found = [_norm(module) for module in model.modules() if type(module).__name__.endswith(_NORM)]
    found.append(_head(model.get_output_embeddings()))
    return _tried(found)


def quicker(model: Any) -> Fused:
    """The layers of a model on a CPU whose products another way is faster; each is tried on numbers of chance.

    As many as there is room for have a copy of their weights in the order in which they are multiplied.
    """
    if not torch.backends.mkldnn.is_available() or torch.backends.cpu.get_cpu_capability() not in _WIDE:
        return ()
    products = [_Product(module) for module in model.modules() if _multiplies(module)]
    room = _COPIES
    for product in products:
        if product.nbytes <= room:
            room -= product.nbytes
            product.pack()
    wanted = [product for product in products if product.is_quicker]
    return _tried([(product.module, product) for product in wanted])


def _tried(found: Sequence[_Layer | None]) -> Fused:
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


_Layer: TypeAlias = tuple[Any, Callable[[Tensor], Tensor]]


def _norm(module: Any) -> _Layer | None:
    """A norm over rows, in one kernel instead of eight."""
    from orca_guard_hf.kernels import norm_rows  # noqa: PLC0415  # needs Triton

    weight = getattr(module, "weight", None)
    epsilon = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    if not isinstance(weight, Tensor) or not isinstance(epsilon, float) or "forward" in vars(module):
        return None
    if weight.ndim != 1 or len(weight) > _WIDEST:
        return None
    return module, lambda states: norm_rows(states, weight, epsilon)


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


def _multiplies(module: Any) -> bool:
    """Whether it does nothing but multiply by a weight in memory here, in a precision that oneDNN knows."""
    if type(module) is not torch.nn.Linear or "forward" in vars(module):
        return False
    return module.weight.device.type == "cpu" and module.weight.dtype in {torch.float32, torch.bfloat16}


class _Product:
    """Rows times a weight by oneDNN: in single precision MKL does not use the widest registers of every maker's.

    Args:
        module: whose weight; read anew where that has been written to since it was packed.
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self._packed: Tensor | None = None
        self._weight, self._version = module.weight, -1

    @property
    def nbytes(self) -> int:
        """Of the weight, and of a copy."""
        return int(self.module.weight.nbytes)

    @property
    def is_quicker(self) -> bool:
        """Half precision is oneDNN's anyhow, so only the order of the weight is to be gained there."""
        return self._packed is not None or self.module.weight.dtype == torch.float32

    def pack(self) -> None:
        """Keep a copy in the order in which it is multiplied."""
        with torch.no_grad():
            self._packed = torch.ops.mkldnn._reorder_linear_weight(self.module.weight.detach(), _USUAL)  # noqa: SLF001
        self._weight, self._version = self.module.weight, self.module.weight._version  # noqa: SLF001

    def __call__(self, states: Tensor) -> Tensor:
        """As the module's own forward."""
        weight, bias = self.module.weight, self.module.bias
        if self._packed is not None and weight is self._weight and weight._version == self._version:  # noqa: SLF001
            weight = self._packed
        return torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")  # type: ignore[no-any-return]  # noqa: SLF001


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
