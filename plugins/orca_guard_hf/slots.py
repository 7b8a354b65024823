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

_ROUND, _SLACK = 32, 96
"""Columns that slots grow by, and columns too many that they put up with."""


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

    Attributes:
        length: tokens that every slot has room for.
    """

    def __init__(self, network: Network, *, count: int) -> None:
        super().__init__(layers=[])
        self.count = count
        self.length = 0
        self._network = network
        self._layers = [(_blank(keys, count, 0), _blank(values, count, 0)) for keys, values in network.sample]
        self._where = torch.empty(2, 0, dtype=torch.long)

    def read(self, runs: Sequence[Run]) -> Tensor:
        """Read the tokens of every run, one run a slot; logits after the last of each, (runs, vocabulary).

        What failed half-way may be read again: nothing is written before `start` of a slot.
        """
        counts = [len(run.tokens) for run in runs]
        positions = np.concatenate([np.arange(run.start, run.end) for run in runs])
        where = np.stack([np.repeat([run.slot for run in runs], counts), positions])
        self._where = torch.from_numpy(where).to(self._network.device)
        return self._network.packed_into(
            self,
            torch.tensor([token for run in runs for token in run.tokens]),
            positions=torch.from_numpy(positions),
            layout=_layout_of(runs, columns=self.length, device=self._network.device),
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

    def fit(self, length: int) -> None:
        """Be as long as the longest text, or not much longer: products are fast over tables that they use up whole."""
        wanted = -(-length // _ROUND) * _ROUND
        if not self.length - _SLACK <= length <= self.length:
            common = min(wanted, self.length)
            for number, pair in enumerate(self._layers):
                fitted = [_blank(table, self.count, wanted) for table in pair]
                for new, old in zip(fitted, pair, strict=True):
                    new[:, :, :common] = old[:, :, :common]
                self._layers[number] = (fitted[0], fitted[1])
            self.length = wanted

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
        """Every new token over its own slot, (1, heads, new, width)."""
        out = query.new_empty(*query.shape[:-1], value.shape[-1])
        if top := len(self.bias):
            places, slots = (part.to(query.device) for part in self.single)
            asked = query[0, :, places].transpose(0, 1)[:, :, None]
            if len(slots) < top:
                asked = query.new_zeros(top, *asked.shape[1:]).index_copy_(0, slots, asked)
            given = attention(asked, key[:top], value[:top], self.bias.to(query.device), scale=scale)
            out[0, :, places] = given[slots, :, 0].transpose(0, 1)
        for place, run, bias in self.longer:
            mine = slice(run.slot, run.slot + 1)
            new = slice(place, place + len(run.tokens))
            seen, told = key[mine, :, : run.end], value[mine, :, : run.end]
            out[:, :, new] = attention(query[:, :, new], seen, told, bias.to(query.device), scale=scale)
        return out


def _layout_of(runs: Sequence[Run], *, columns: int, device: torch.device) -> _Layout:
    """Made where the first layer lies; layers elsewhere fetch it."""
    places = np.cumsum([0, *(len(run.tokens) for run in runs)]).tolist()
    placed = list(zip(places, runs, strict=False))
    single = sorted(((run.slot, place, run.end) for place, run in placed if len(run.tokens) == 1))
    slots, at, ends = torch.tensor(single, dtype=torch.long).view(-1, 3).unbind(1)
    lengths = torch.ones(int(slots.max()) + 1 if single else 0, dtype=torch.long).index_copy_(0, slots, ends)
    longer = ((place, run, _causal(run).to(device)) for place, run in placed if len(run.tokens) > 1)
    return _Layout(
        single=(at.to(device), slots.to(device)),
        bias=bias_of(torch.arange(columns)[None] < lengths[:, None])[:, None, None].to(device),
        longer=tuple(longer),
    )


def _causal(run: Run) -> Tensor:
    """(1, 1, new, columns)."""
    new, columns = torch.arange(run.start, run.end)[:, None], torch.arange(run.end)[None]
    return bias_of(columns <= new)[None, None]
