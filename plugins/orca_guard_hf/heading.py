"""The output layer by itself, where logits are what it makes of the last states and nothing else is done to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from orca_guard_hf.products import linear
from orca_guard_hf.sampling import LOG2E
from orca_guard_hf.tree import Ints

_WIDTH = 2048
"""Of the vocabulary that is looked at together: its logits stay in a processor's cache."""
_FAR = 1000.0
"""A logit so large that an architecture that does anything to logits changes it."""


@dataclass(frozen=True, slots=True)
class Head:
    """An output layer on a CPU.

    Attributes:
        layer: the model's.
    """

    layer: torch.nn.Linear

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Let the model hand out the last states in place of logits. Nobody else may use it meanwhile."""
        with _instead(self.layer, _unchanged):
            yield

    @torch.inference_mode()
    def judged(self, states: Tensor, rows: Ints, tokens: Ints) -> Tensor:
        """What the states make of tokens, looked at one part of the vocabulary after the other.


        Args:
            states: the last ones, (states, width).
            rows: of the state before each token, (tokens,).
            tokens: which.

        Returns:
            Natural log-probability of each token, and whether it is the likeliest, the first of equals; (tokens, 2).
        """
        states, before = states.to(self.layer.weight.dtype), torch.from_numpy(rows)
        best = torch.full((len(states),), torch.finfo(torch.float32).min)
        total = torch.zeros(len(states))
        found, hits = torch.zeros(len(tokens)), torch.zeros(len(tokens), dtype=torch.bool)
        for start, here in self._parts(tokens):
            logits = self._logits(states, start)
            own, wanted = before[here], torch.from_numpy(tokens)[here] - start
            top, found[here] = logits.amax(-1), logits[own, wanted]
            better = top > best
            hits &= ~better[before]
            first = better[own] & (found[here] == top[own])
            own, wanted = own[first], wanted[first]  # seldom any
            hits[here[first]] = logits[own].argmax(-1) == wanted
            highest = torch.maximum(best, top)
            powers = torch.add(highest[:, None] * -LOG2E, logits, alpha=LOG2E, out=logits).exp2_()
            total = total.mul_((best - highest).exp_()).add_(powers.sum(-1))
            best = highest
        return torch.stack([(found - (total.log_() + best)[before]).double(), hits.double()], -1)

    def _parts(self, tokens: Ints) -> Iterator[tuple[int, Tensor]]:
        """Where each part of the vocabulary starts, and the numbers of the tokens that belong to it."""
        starts = np.arange(0, self.layer.out_features, _WIDTH)
        order = np.argsort(tokens, kind="stable")
        limits = np.searchsorted(tokens[order], starts[1:])
        for start, here in zip(starts.tolist(), np.split(order, limits), strict=True):
            yield start, torch.from_numpy(here)

    def _logits(self, states: Tensor, start: int) -> Tensor:
        """Of a part of the vocabulary, in single precision, (states, part)."""
        weight, bias = self.layer.weight, self.layer.bias
        part = slice(start, start + _WIDTH)
        return linear(states, weight[part], None if bias is None else bias[part]).float()


def head_of(model: Any) -> Head | None:
    """The output layer, if it lies on a CPU and nothing is done to what comes out of it; that is tried."""
    layer = getattr(model, "get_output_embeddings", lambda: None)()
    if type(layer) is not torch.nn.Linear or "forward" in vars(layer) or layer.weight.device.type != "cpu":
        return None
    if layer.weight.dtype not in {torch.float32, torch.bfloat16, torch.float16}:
        return None
    far = torch.linspace(-_FAR, _FAR, layer.out_features).to(layer.weight.dtype)[None, None]
    states = _said(model, layer, _unchanged)
    same = torch.equal(_said(model, layer, lambda _: far).to(far.dtype), far)
    return Head(layer) if same and states.shape == (1, 1, layer.in_features) else None


def _said(model: Any, layer: torch.nn.Linear, forward: Callable[[Tensor], Tensor]) -> Tensor:
    """What a model makes of one token, with something else in place of its output layer."""
    with torch.inference_mode(), _instead(layer, forward):
        return model(input_ids=torch.zeros(1, 1, dtype=torch.long)).logits  # type: ignore[no-any-return]


def _unchanged(states: Tensor) -> Tensor:
    return states


@contextmanager
def _instead(layer: torch.nn.Linear, forward: Callable[[Tensor], Tensor]) -> Iterator[None]:
    layer.__dict__["forward"] = forward
    try:
        yield
    finally:
        del layer.__dict__["forward"]
