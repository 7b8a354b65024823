"""How the next token is chosen: greedily, or by a generator of the row's own, so that company changes nothing."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from orca_guard.errors import BadInput
from orca_guard.types import Decoding

LOG2E = math.log2(math.e)
"""Powers of two are several times as fast as exponentials on a CPU, and as exact."""
_SEEDS = 2**64


class Sampler:
    """Draws tokens for one row. It works on the CPU in double precision, so a seed means the same on every device."""

    def __init__(self, decoding: Decoding, *, seed: int) -> None:
        self._decoding = decoding
        self._generator = torch.Generator().manual_seed(seed % _SEEDS)

    def draw(self, logits: Tensor) -> int:
        """A token of `logits`, (vocabulary,)."""
        precise = logits.to("cpu", torch.float64)
        scaled = (precise - precise.max()) / self._decoding.temperature
        chances, tokens = torch.softmax(scaled, -1).sort(descending=True, stable=True)
        chances = self._keep(chances)
        point = torch.rand((), generator=self._generator, dtype=torch.float64) * chances.sum()
        index = int(torch.searchsorted(chances.cumsum(-1), point, right=True))
        return int(tokens[min(index, int(chances.count_nonzero()) - 1)])

    def _keep(self, chances: Tensor) -> Tensor:
        """The most likely tokens by number and by mass; the first always stays."""
        if self._decoding.top_k > 0:
            chances = chances[: self._decoding.top_k]
        before = chances.cumsum(-1) - chances
        kept = before < self._decoding.top_p * chances.sum()
        kept[0] = True
        return chances * kept


def check_decoding(decoding: Decoding) -> None:
    """Raise `BadInput` for settings that choose nothing."""
    if not (0 <= decoding.temperature < math.inf and 0 < decoding.top_p <= 1 and decoding.top_k >= 0):
        raise BadInput(
            f"temperature {decoding.temperature}, top_p {decoding.top_p}, top_k {decoding.top_k}: a temperature is 0 "
            "or more, top_p above 0 and at most 1, top_k 0 or more."
        )


def sampler_for(decoding: Decoding, *, seed: int) -> Sampler | None:
    """A sampler, or None where the most likely token is taken."""
    return Sampler(decoding, seed=seed) if decoding.temperature > 0 else None


def first_of_likeliest(logits: Tensor) -> Tensor:
    """The likeliest token of each row, the first of equals, (rows,)."""
    if logits.device.type == "cpu":
        return torch.from_numpy(logits.numpy().argmax(-1))  # much faster than torch's
    return logits.argmax(-1)
