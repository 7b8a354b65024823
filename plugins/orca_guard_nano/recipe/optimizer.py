"""Muon for the matrices, AdamW's update for the rest, of several models side by side."""

import math
from collections import defaultdict
from typing import Final

import torch
from torch import Tensor

# Five quintic steps that bring all singular values near one (Jordan et al., "Muon", 2024).
_A, _B, _C = 3.4445, -4.7750, 2.0315
BETAS: Final = (0.9, 0.98)
TINY: Final = 1e-8

Named = dict[str, Tensor]


def orthogonal(matrices: Tensor, *, steps: int = 5) -> Tensor:
    """The nearest half-orthogonal matrices, roughly; a batch at once."""
    wide = matrices.shape[-1] >= matrices.shape[-2]
    x: Tensor = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    x = x.bfloat16()
    for _ in range(steps):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return (x if wide else x.mT).float()


class Muon:
    """Momentum whose matrices are orthogonalised; equal shapes go through together."""

    def __init__(self, parameters: Named, *, momentum: float = 0.95, decay: float = 0.01) -> None:
        self.parameters, self.momentum, self.decay = parameters, momentum, decay
        self.groups: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for name, parameter in parameters.items():
            self.groups[tuple(parameter.shape)].append(name)
        self.buffers = [
            torch.zeros_like(torch.cat([parameters[name].detach() for name in names])) for names in self.groups.values()
        ]

    @torch.no_grad()
    def step(self, gradients: Named, *, rate: Tensor) -> None:
        """One update of every matrix; a rate for each model [E]."""
        for names, buffer in zip(self.groups.values(), self.buffers, strict=True):
            gradient = torch.cat([gradients[name] for name in names])
            buffer.lerp_(gradient, 1 - self.momentum)
            update = orthogonal(gradient.lerp(buffer, self.momentum))
            stretch = math.sqrt(max(1.0, update.shape[-2] / update.shape[-1]))
            for name, change in zip(names, update.chunk(len(names)), strict=True):
                parameter = self.parameters[name]
                parameter.sub_(rate.view(-1, 1, 1) * (self.decay * parameter + stretch * change))


class Adam:
    """Adam over all that is no matrix, each model's gradient clipped by its own length."""

    def __init__(self, parameters: Named, *, longest: float = 1.0) -> None:
        self.parameters, self.longest = parameters, longest
        self.first = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self.second = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self.count = torch.zeros((), device=next(iter(parameters.values())).device)

    @torch.no_grad()
    def step(self, gradients: Named, *, rate: Tensor) -> None:
        """One update; a rate for each model [E]."""
        self.count += 1
        one, two = (1 - beta**self.count for beta in BETAS)
        length = sum((gradients[name].flatten(1).square().sum(1) for name in self.parameters), torch.zeros(())).sqrt()
        short = (self.longest / (length + 1e-6)).clamp(max=1)
        for name, parameter in self.parameters.items():
            gradient = gradients[name] * short.view(-1, *[1] * (parameter.ndim - 1))
            first, second = self.first[name], self.second[name]
            first.lerp_(gradient, 1 - BETAS[0])
            second.lerp_(gradient.square(), 1 - BETAS[1])
            wide = rate.view(-1, *[1] * (parameter.ndim - 1))
            parameter.sub_(wide * (first / one) / ((second / two).sqrt() + TINY))
