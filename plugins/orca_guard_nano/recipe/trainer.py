"""The steps of a fleet: losses, updates and the running mean that is kept, on a GPU as one graph a batch shape."""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor
from transformers import LlamaConfig

from .batches import Batch
from .fleet import Fleet, Weights, is_matrix
from .optimizer import Adam, Muon

WARM_STEPS: Final = 3
Shape = tuple[int, ...]


def device_of(name: str) -> torch.device:
    """The device asked for, or the best one there is."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def schedule(progress: float, *, warmup: float, cooldown: float) -> float:
    """Trapezoid: up, level, down to nothing."""
    up = progress / warmup if warmup else 1.0
    return max(0.0, min(1.0, up, (1 - progress) / cooldown))


class Trainer:
    """Weights of several models of one shape, and how they move."""

    def __init__(self, config: LlamaConfig, weights: Weights, *, device: torch.device, matrix_rate: Sequence[float] | float,
                 other_rate: float, average: float) -> None:  # fmt: skip
        self.device, self.keep = device, average
        self.fleet = Fleet(config, {name: weight.to(device) for name, weight in weights.items()})
        named: dict[str, Any] = self.fleet.weights
        self.muon = Muon({name: p for name, p in named.items() if is_matrix(name)})
        self.adam = Adam({name: p for name, p in named.items() if not is_matrix(name)})
        self.average = {name: p.detach().clone() for name, p in named.items()}
        count = self.fleet.count
        given = [matrix_rate] * count if isinstance(matrix_rate, float) else list(matrix_rate)
        self.matrix_rate = torch.tensor(given, device=device)
        self.other_rate = torch.full((count,), other_rate, device=device)
        self.steps = 0
        self.scale, self.mixed = torch.zeros((), device=device), torch.zeros((), device=device)
        self.total = torch.zeros(self.fleet.count, device=device)
        self.graphs: dict[Shape, tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}
        self.memory: Any = None

    def _move(self, ids: Tensor, learned: Tensor) -> None:
        losses = self.fleet.losses(ids, learned, device=self.device)
        found = torch.autograd.grad(losses.sum(), list(self.fleet.weights.values()))
        gradients = dict(zip(self.fleet.weights, found, strict=True))
        self.muon.step(gradients, rate=self.scale * self.matrix_rate)
        self.adam.step(gradients, rate=self.scale * self.other_rate)
        with torch.no_grad():
            self.total.copy_(losses)
            for name, weight in self.fleet.weights.items():
                self.average[name].lerp_(weight, self.mixed)

    def step(self, batch: Batch, *, scale: float) -> None:
        """One update of every model on its part of a batch."""
        self.scale.fill_(scale)
        self.mixed.fill_(1 - min(self.keep, (self.steps + 1) / (self.steps + 10)))
        self.steps += 1
        ids, learned = torch.from_numpy(batch.ids), torch.from_numpy(batch.learned)
        if self.device.type == "cuda" and self.steps > WARM_STEPS:
            self._replay(ids, learned)
        else:
            self._move(ids.to(self.device).long(), learned.to(self.device))

    def _replay(self, ids: Tensor, learned: Tensor) -> None:
        """The whole step as one graph: a tiny model would spend its time on launching a thousand kernels."""
        shape = tuple(ids.shape)
        if shape not in self.graphs:
            held = torch.zeros(shape, dtype=torch.long, device=self.device), learned.to(self.device)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self.memory):
                self._move(*held)
            self.memory = self.memory or graph.pool()
            self.graphs[shape] = (graph, *held)
        graph, *held = self.graphs[shape]
        held[0].copy_(ids, non_blocking=True)
        held[1].copy_(learned, non_blocking=True)
        graph.replay()

    def losses(self) -> list[float]:
        """The last loss of each model."""
        return [float(loss) for loss in self.total]

    def state(self) -> dict[str, Any]:
        """Everything needed to go on."""
        return {
            "weights": {name: weight.detach() for name, weight in self.fleet.weights.items()},
            "average": self.average, "muon": self.muon.buffers, "first": self.adam.first, "second": self.adam.second,
            "count": self.adam.count, "steps": self.steps,
        }  # fmt: skip

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a kept state; in place, because graphs hold on to the places."""
        mine = self.state()
        self.steps = state["steps"]
        self.adam.count.copy_(state["count"])
        for part in ("weights", "average", "first", "second"):
            for name, tensor in mine[part].items():
                tensor.copy_(state[part][name])
        for buffer, kept in zip(self.muon.buffers, state["muon"], strict=True):
            buffer.copy_(kept)
