"""Forwards of few tokens as CUDA graphs, because a GPU is done with a kernel before Python has asked for the next."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from orca_guard_hf.network import Network

if TYPE_CHECKING:
    from orca_guard_hf.abreast import Run
    from orca_guard_hf.slots import Slots

log = logging.getLogger("orca_guard")

_SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Tokens in a graph: a forward takes the next larger one, and fills it up with tokens of no text."""
_REHEARSALS = 2
_IN_FLIGHT = 3
"""Places for what goes in: one may not be written to while the device has yet to fetch what is there."""


@dataclass(frozen=True, slots=True)
class Each:
    """Every token attends to its own slot, up to its own position.

    Attributes:
        slots: of each token, (tokens,).
        positions: of each token, (tokens,).
    """

    slots: Tensor
    positions: Tensor

    def attend(self, query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:
        """Attention of every new token, (1, heads, new, width)."""
        from orca_guard_hf.kernels import attend_each  # noqa: PLC0415  # needs Triton

        return attend_each(query, key, value, slots=self.slots, positions=self.positions, scale=scale)


class Replays:
    """The graphs over one set of slots, each made when it is first needed.

    Args:
        network: it lies on one CUDA device in one piece.
        slots: the last is for what belongs to no text.
    """

    def __init__(self, network: Network, slots: Slots) -> None:
        self._network = network
        self._slots = slots
        self._graphs: dict[int, _Graph] = {}
        self._refused = False

    def read(self, runs: Sequence[Run], ids: Tensor | None = None) -> Tensor | None:
        """As `Slots.read` and `Slots.follow`; None for too many tokens, or where the network cannot be captured.

        The logits are overwritten by the next forward of this size.
        """
        tokens = sum(len(run.tokens) for run in runs)
        size = size_for(tokens)
        if self._refused or size is None:
            return None
        if size not in self._graphs:
            try:
                self._graphs[size] = _Graph(self._network, self._slots, size)
            except RuntimeError as error:  # whatever an architecture does that cannot be captured
                if isinstance(error, torch.OutOfMemoryError):
                    raise
                log.info("Forwards are not captured as CUDA graphs: %s", error)
                self._refused = True
                return None
        self._network.forwarded += tokens
        return self._graphs[size].replay(runs, ids)


def size_for(tokens: int) -> int | None:
    """How many tokens the graph has that reads so many; None where there is none."""
    return _SIZES[bisect_left(_SIZES, tokens)] if tokens <= _SIZES[-1] else None


def laid_out(runs: Sequence[Run], size: int, *, spare: int) -> NDArray[np.int64]:
    """What a graph is given.

    Args:
        runs: of no more tokens together than there is room for.
        size: of the graph.
        spare: the slot of what belongs to no text.

    Returns:
        (4, size): tokens, their slots, their positions, and after which of them runs end. Whatever is left is the first
        column of the spare slot, and the end of the first token.
    """
    given = np.zeros((4, size), dtype=np.int64)
    counts = [len(run.tokens) for run in runs]
    total = sum(counts)
    given[1, total:] = spare
    if runs:
        given[0, :total] = [token for run in runs for token in run.tokens]
        given[1, :total] = np.repeat([run.slot for run in runs], counts)
        given[2, :total] = np.concatenate([np.arange(run.start, run.end) for run in runs])
        given[3, : len(runs)] = np.cumsum(counts) - 1
    return given


class _Graph:
    """One forward of a fixed number of tokens: what goes in lies at a fixed place, and so does what comes out."""

    def __init__(self, network: Network, slots: Slots, size: int) -> None:
        self._spare = slots.count
        self._kept = min(size, slots.count)
        self._network = network
        self._given = [torch.zeros(4, size, dtype=torch.long, pin_memory=True) for _ in range(_IN_FLIGHT)]
        self._taken = torch.zeros(4, size, dtype=torch.long, device=network.device)
        self._fill([])
        with torch.cuda.device(network.device):  # a graph is captured on the current one
            self._capture(slots)

    def _capture(self, slots: Slots) -> None:
        device = self._network.device
        side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(_REHEARSALS):  # kernels are compiled and libraries wake up, which no graph may hold
                self._forward(slots)
        torch.cuda.current_stream(device).wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._logits = self._forward(slots)

    def replay(self, runs: Sequence[Run], ids: Tensor | None) -> Tensor:
        """Logits after the last token of each run, (runs, vocabulary)."""
        self._fill(runs)
        if ids is not None:
            self._taken[0, : len(ids)] = ids
        with self._network.lock:
            self._graph.replay()
        return self._logits[: len(runs)]

    def _forward(self, slots: Slots) -> Tensor:
        ids, where, keep = self._taken[0], self._taken[1:3], self._taken[3, : self._kept]
        layout = Each(where[0], where[1])
        return slots.forward(ids, where=where, layout=layout, keep=keep, counted=False)

    def _fill(self, runs: Sequence[Run]) -> None:
        """Tokens, their slots and positions, and where runs end; the rest goes to the spare slot."""
        self._given.append(self._given.pop(0))
        self._given[0].numpy()[:] = laid_out(runs, self._taken.shape[1], spare=self._spare)
        self._taken.copy_(self._given[0], non_blocking=True)
