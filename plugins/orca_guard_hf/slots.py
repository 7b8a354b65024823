"""A preallocated cache with a place for each text under way, and forwards that move all of them on at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers import Cache

from orca_guard_hf.attention import Layout, attention, bias_of
from orca_guard_hf.network import Network
from orca_guard_hf.transfer import sent

if TYPE_CHECKING:
    from orca_guard_hf.replaying import Each, Replays

_ROUND, _ROUND_GPU, _SLACK = 32, 256, 96
"""Columns that slots grow by, and columns too many that they put up with."""
_LONG = 512
"""Columns from which on a run of tokens is not read token by token."""


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
        by_kernel: whether each token looks at just what its slot holds, whichever slot that is.
    """

    def __init__(self, network: Network, *, count: int) -> None:
        super().__init__(layers=[])
        self.count = count
        self.length = 0
        self._network = network
        self.by_kernel = bool(count) and kernels_serve(network)
        self._tables_of = count + self.by_kernel  # one more for tokens of no text
        self._layers = [(self._blank(keys, 0), self._blank(values, 0)) for keys, values in network.sample]
        self._where = torch.empty(2, 0, dtype=torch.long)
        self._replays: Replays | None = None

    @property
    def lasting(self) -> bool:
        """Whether forwards over these tables have been captured, so that they are worth keeping."""
        return self._replays is not None

    def read(self, runs: Sequence[Run]) -> Tensor:
        """Read the tokens of every run, one run a slot; logits after the last of each, (runs, vocabulary).

        What failed half-way may be read again: nothing is written before `start` of a slot.
        """
        if self._replays is not None and (logits := self._replays.read(runs)) is not None:
            return logits
        counts = [len(run.tokens) for run in runs]
        positions = np.concatenate([np.arange(run.start, run.end) for run in runs])
        where = np.stack([np.repeat([run.slot for run in runs], counts), positions])
        device = self._network.device
        there = sent(torch.from_numpy(where), device)
        return self.forward(
            torch.tensor([token for run in runs for token in run.tokens]),
            where=there,
            layout=_by_token(runs, there) if self.by_kernel else _layout_of(runs, columns=self.length, device=device),
            keep=torch.from_numpy(np.cumsum(counts) - 1),
        )

    def forward(self, ids: Tensor, *, where: Tensor, layout: Layout, keep: Tensor, counted: bool = True) -> Tensor:
        """One forward of tokens that go to these slots and positions, (2, tokens); logits of those to keep."""
        self._where = where
        return self._network.packed_into(self, ids, positions=where[1], layout=layout, keep=keep, counted=counted)

    def follow(self, runs: Sequence[Run], ids: Tensor) -> Tensor | None:
        """Read a single token of each run that nobody here knows yet, because the device has just chosen it.

        Args:
            runs: whose own tokens mean nothing.
            ids: the tokens, (runs,).

        Returns:
            As `read`; None where forwards are not captured.
        """
        return self._replays.read(runs, ids) if self._replays is not None else None

    def copy(self, source: int, target: int, *, tokens: int) -> None:
        """Let one slot begin as another does."""
        if source != target and tokens:
            for table in self._tables():
                table[target, :, :tokens] = table[source, :, :tokens]

    def clear(self, slot: int) -> None:
        """Leave nothing in a slot."""
        for table in self._tables():
            table[slot] = 0

    def fit(self, length: int, *, longest: int = 0) -> None:
        """Be as long as the longest text, or not much longer: products are fast over tables that they use up whole.

        A kernel looks at no more of a table than there is in it; for it they are made once, for the `longest` to come.
        """
        if self.by_kernel:
            self._grow(max(length, longest))
        elif not self.length - _SLACK <= length <= self.length:
            self._resize(-(-length // _ROUND) * _ROUND)

    def _grow(self, length: int) -> None:
        if length > self.length:
            self._replays = None
            self._resize(-(-length // _ROUND_GPU) * _ROUND_GPU)
            self._replays = replays_of(self._network, self)

    def _resize(self, wanted: int) -> None:
        if wanted != self.length:
            common = min(wanted, self.length)
            for number, pair in enumerate(self._layers):
                fitted = [self._blank(table, wanted) for table in pair]
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
        if self.by_kernel:
            from orca_guard_hf.kernels import put_each  # noqa: PLC0415  # needs Triton

            put_each((keys, values), (key_states, value_states), slots=slots, positions=positions)
            return keys, values
        keys[slots, :, positions] = key_states[0].transpose(0, 1)
        values[slots, :, positions] = value_states[0].transpose(0, 1)
        return keys, values

    def _blank(self, like: Tensor, length: int) -> Tensor:
        """Zeros, because what is masked still gets multiplied."""
        return torch.zeros(self._tables_of, like.shape[1], length, like.shape[3], dtype=like.dtype, device=like.device)

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002  # as transformers calls it
        """Positions are given with every forward, so nothing may be derived from a length."""
        return 0


class Shelf:
    """Slots between two runs: kept where forwards over them have been captured, and otherwise made anew."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._kept: Slots | None = None
        self._lock = threading.Lock()

    def take(self, count: int) -> Slots:
        """So many slots, that nobody else has. What the last run kept goes if it had another number."""
        with self._lock:
            kept, self._kept = self._kept, self._kept if not count else None
        return kept if kept is not None and kept.count == count else Slots(self._network, count=count)

    def give(self, slots: Slots) -> None:
        """For the next run."""
        if slots.lasting:
            with self._lock:
                self._kept = slots


def kernels_serve(network: Network) -> bool:
    """Whether there is a kernel for attention over slots: on one GPU, where torch has brought Triton along."""
    return network.on_one_gpu and find_spec("triton") is not None


def replays_of(network: Network, slots: Slots) -> Replays:
    """The CUDA graphs over these slots, none of them made yet."""
    from orca_guard_hf.replaying import Replays  # noqa: PLC0415  # needs Triton

    return Replays(network, slots)


def _by_token(runs: Sequence[Run], where: Tensor) -> Layout:
    """One by one; but long texts have tensor cores multiply, for whom it is worth while."""
    from orca_guard_hf.replaying import Each  # noqa: PLC0415  # needs Triton

    if all(run.end <= _LONG or len(run.tokens) == 1 for run in runs):
        return Each(where[0], where[1])
    return _Mixed(Each(where[0], where[1]), tuple(_long(runs, where.device)))


def _long(runs: Sequence[Run], device: torch.device) -> Iterator[tuple[int, Run, Tensor]]:
    places = np.cumsum([0, *(len(run.tokens) for run in runs)]).tolist()
    for place, run in zip(places, runs, strict=False):
        if run.end > _LONG and len(run.tokens) > 1:
            yield place, run, sent(_causal(run), device)


@dataclass(frozen=True, slots=True)
class _Mixed:
    """Tokens of short texts one by one, and long runs each causally.

    Attributes:
        each: of all.
        longer: place in the packed row, run, and bias.
    """

    each: Each
    longer: tuple[tuple[int, Run, Tensor], ...]

    def attend(self, query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:
        """Every new token over its own slot, (1, heads, new, width)."""
        positions = self.each.positions.clone()
        for place, run, _ in self.longer:
            positions[place : place + len(run.tokens)] = 0  # looked at below
        out = replace(self.each, positions=positions).attend(query, key, value, scale=scale)
        _attend_runs(self.longer, query, key, value, out, scale)
        return out


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
        _attend_runs(self.longer, query, key, value, out, scale)
        return out


def _attend_runs(  # noqa: PLR0917  # three tensors, and where they go
    runs: Sequence[tuple[int, Run, Tensor]], query: Tensor, key: Tensor, value: Tensor, out: Tensor, scale: float
) -> None:
    for place, run, bias in runs:
        mine = slice(run.slot, run.slot + 1)
        new = slice(place, place + len(run.tokens))
        seen, told = key[mine, :, : run.end], value[mine, :, : run.end]
        out[:, :, new] = attention(query[:, :, new], seen, told, bias.to(query.device), scale=scale)


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
