"""Muon for the matrices, AdamW for the rest."""

import math
from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

# Five quintic steps that bring all singular values near one (Jordan et al., "Muon", 2024).
_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonal(matrices: Tensor, *, steps: int = 5) -> Tensor:
    """The nearest half-orthogonal matrices, roughly; a batch at once."""
    wide = matrices.shape[-1] >= matrices.shape[-2]
    x: Tensor = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x if wide else x.mT


class Muon:
    """Momentum whose matrices are orthogonalised; equal shapes go through together."""

    def __init__(self, parameters: Iterable[nn.Parameter], *, momentum: float = 0.95, decay: float = 0.01) -> None:
        shapes: dict[tuple[int, ...], list[nn.Parameter]] = defaultdict(list)
        for parameter in parameters:
            shapes[tuple(parameter.shape)].append(parameter)
        self.groups = list(shapes.values())
        self.buffers = [torch.zeros_like(torch.stack(list(group))) for group in self.groups]
        self.momentum, self.decay = momentum, decay

    @torch.no_grad()
    def step(self, *, rate: float) -> None:
        """One update of every matrix."""
        for group, buffer in zip(self.groups, self.buffers, strict=True):
            gradient = torch.stack([p.grad if p.grad is not None else torch.zeros_like(p) for p in group])
            buffer.lerp_(gradient, 1 - self.momentum)
            update = orthogonal(gradient.lerp(buffer, self.momentum))
            scale = rate * math.sqrt(max(1.0, update.shape[-2] / update.shape[-1]))
            for parameter, change in zip(group, update, strict=True):
                parameter.mul_(1 - rate * self.decay).add_(change, alpha=-scale)
