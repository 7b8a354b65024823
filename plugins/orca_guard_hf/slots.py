"""A preallocated cache with a place for each text under way, and forwards that move all of them on at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Cache

from orca_guard_hf.attention import attention, bias_of
from orca_guard_hf.network import Network


@dataclass(frozen=True, slots=True)
class Run:
    """New tokens of one text: they go to this slot, from this position on."""

    slot: int
    start: int
    tokens: tuple[int, ...]

    @property
    def end(self) -> int:
        """One past the last position."""
        return self.start + len(self.tokens)


class Slots(Cache):
    """Keys and values of several texts, each in a slot of its own: the cache that transformers writes into.

    Args:
        network: whose.
        count: texts at once.
        length: tokens of each.
    """

    def __init__(self, network: Network, *, count: int, length: int) -> None:
        super().__init__(layers=[])
        self.count = count
        self.length = length
        self._network = network
        self._layers = [(_blank(keys, count, length), _blank(values, count, length)) for keys, values in network.sample]
        self._where = torch.empty(2, 0, dtype=torch.long)

    def read(self, runs: Sequence[Run]) -> Tensor:
        """Read the tokens of every run, one run a slot; logits after the last of each, (runs, vocabulary).

        What failed half-way may be read again: nothing is written before `start` of a slot.
        """
        counts = [len(run.tokens) for run in runs]
        positions = np.concatenate([np.arange(run.start, run.end) for run in runs])
        self._where = torch.from_numpy(np.stack([np.repeat([run.slot for run in runs], counts), positions]))
        return self._network.packed_into(
            self,
            torch.tensor([token for run in runs for token in run.tokens]),
            positions=torch.from_numpy(positions),
            layout=_layout_of(runs),
            keep=torch.from_numpy(np.cumsum(counts) - 1),
        )

    def copy(self, source: int, target: int, *, tokens: int) -> None:
        """Let one slot begin as another does."""
        if source != target and tokens:
            for table in self._tables():
                table[target, :, :tokens] = table[source, :, :tokens]

    def clear(self, slot: int) -> None:
        """Leave nothing in a slot."""
        for table in self._tables():
            table[slot] = 0

    def grow(self, length: int) -> None:
        """Make room for longer texts; what is there stays."""
        for number, pair in enumerate(self._layers):
            longer = [_blank(table, self.count, length) for table in pair]
            for new, old in zip(longer, pair, strict=True):
                new[:, :, : self.length] = old
            self._layers[number] = (longer[0], longer[1])
        self.length = length

    def _tables(self) -> Iterator[Tensor]:
        return chain.from_iterable(self._layers)

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any) -> Any:
        """Write a layer's new keys and values, (1, heads, new, width), where they belong; all there is, by slot."""
        keys, values = self._layers[layer_idx]
        slots, positions = self._where.to(keys.device)
        keys[slots, :, positions] = key_states[0].transpose(0, 1)
        values[slots, :, positions] = value_states[0].transpose(0, 1)
        return keys, values

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002  # as transformers calls it
        """Positions are given with every forward, so nothing may be derived from a length."""
        return 0


def _blank(like: Tensor, count: int, length: int) -> Tensor:
    """Zeros, because what is masked still gets multiplied."""
    return torch.zeros(count, like.shape[1], length, like.shape[3], dtype=like.dtype, device=like.device)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Single tokens attend together, each to its own slot; longer runs one by one, each causally.

    Attributes:
        single: places in the packed row, and the slots, of single tokens.
        bias: of those, (slots, 1, 1, columns).
        longer: place in the packed row, run, and bias of the others.
    """

    single: tuple[Tensor, Tensor]
    bias: Tensor
    longer: tuple[tuple[int, Run, Tensor], ...]

    def attend(self, query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:
        out = query.new_empty(*query.shape[:-1], value.shape[-1])
        places, slots = (part.to(query.device) for part in self.single)
        if len(slots):
            top, _, _, columns = self.bias.shape
            asked = query.new_zeros(top, *query.shape[1:2], 1, query.shape[3])
            asked[slots, :, 0] = query[0, :, places].transpose(0, 1)
            seen, told = key[:top, :, :columns], value[:top, :, :columns]
            given = attention(asked, seen, told, self.bias.to(query.device), scale=scale)
            out[0, :, places] = given[slots, :, 0].transpose(0, 1)
        for place, run, bias in self.longer:
            mine = slice(run.slot, run.slot + 1)
            new = slice(place, place + len(run.tokens))
            seen, told = key[mine, :, : run.end], value[mine, :, : run.end]
            out[:, :, new] = attention(query[:, :, new], seen, told, bias.to(query.device), scale=scale)
        return out


def _layout_of(runs: Sequence[Run]) -> _Layout:
    places = np.cumsum([0, *(len(run.tokens) for run in runs)]).tolist()
    placed = list(zip(places, runs, strict=False))
    single = [(place, run) for place, run in placed if len(run.tokens) == 1]
    slots = torch.tensor([run.slot for _, run in single], dtype=torch.long)
    lengths = torch.zeros(max((run.slot + 1 for _, run in single), default=0), dtype=torch.long)
    lengths[slots] = torch.tensor([run.end for _, run in single], dtype=torch.long)
    columns = torch.arange(int(lengths.max()) if len(single) else 0)
    seen = columns[None, :] < lengths.clamp(min=1)[:, None]
    longer = ((place, run, _causal(run)) for place, run in placed if len(run.tokens) > 1)
    return _Layout(
        single=(torch.tensor([place for place, _ in single], dtype=torch.long), slots),
        bias=bias_of(seen)[:, None, None],
        longer=tuple(longer),
    )


def _causal(run: Run) -> Tensor:
    """(1, 1, new, columns)."""
    new, columns = torch.arange(run.start, run.end)[:, None], torch.arange(run.end)[None]
    return bias_of(columns <= new)[None, None]
