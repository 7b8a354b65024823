"""Products of rows and weights on a CPU, by the library and in the order that are fastest there, and norms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from orca_guard_hf.fusing import Fused, norms, tried

_WIDE = {"AVX512"}
"""Instruction sets, as torch names them, with which oneDNN is faster than what torch takes by itself."""
COPIES = 384 << 20
"""Bytes that copies of weights may take: with what a forward computes still less than 1 GiB."""
_USUAL = 64
"""Rows that a copy is made for; it serves any number."""


def served() -> bool:
    """Whether oneDNN is here and faster: known from what the machine is, so that no digit is left to chance."""
    there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return there and torch.backends.cpu.get_cpu_capability() in _WIDE


def linear(states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Rows times a weight on a CPU, or a part of one, as `functional.linear` has it to the last digits."""
    if weight.dtype != torch.float32 or not served():
        return functional.linear(states, weight, bias)
    return torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")  # type: ignore[no-any-return]  # noqa: SLF001


def quicker(model: Any, *, room: int = COPIES) -> Fused:
    """The layers of a model on a CPU that another way is faster; each is tried on numbers of chance.

    As many as there is room for have a copy of their weights in the order in which they are multiplied.

    Args:
        model: whose.
        room: bytes that copies may take.
    """
    if not served():
        return ()
    products = [_Product(module) for module in model.modules() if _multiplies(module)]
    for product in products:
        if product.nbytes <= room:
            room -= product.nbytes
            product.pack()
    wanted = [product for product in products if product.is_quicker]
    return tried([*((product.module, product) for product in wanted), *norms(model, _normed)])


def _normed(states: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    return functional.rms_norm(states, weight.shape, weight, epsilon)


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
