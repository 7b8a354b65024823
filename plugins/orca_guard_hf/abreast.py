"""Texts that grow side by side: tables of keys and values for slots of about one length, and attention over them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby

import numpy as np
import torch
from torch import Tensor

from orca_guard_hf.attention import attention, bias_of
from orca_guard_hf.network import Memory

_ROUND, _SLACK = 32, 96
"""Columns that a group grows by, and columns too many that it puts up with."""
_MOVED = 1 << 20
"""Bytes that are moved at once: as many lie twice in memory meanwhile."""


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


class Group:
    """Keys and values of adjacent slots, as long as the longest text there: products are fast over whole tables.

    A table lies at the beginning of memory reserved for the longest text to come, and moves apart in it as texts grow:
    memory that has been used once is had at once, and what is only reserved is not there yet.

    Args:
        sample: keys and values of one token.
        first: number of the first slot.
        count: of slots.

    Attributes:
        slots: their numbers.
        length: tokens that each has room for.
        layers: keys and values, each (slots, heads, length, width).
    """

    def __init__(self, sample: Memory, *, first: int, count: int) -> None:
        self.slots = range(first, first + count)
        self.length = 0
        self._sample = sample
        self._reserved = [(keys.new_empty(0), values.new_empty(0)) for keys, values in sample]
        self._most = 0
        self.layers = self._at(0)

    def fit(self, length: int, *, longest: int = 0) -> None:
        """Be as long as the longest text, or not much longer; `longest` may come yet."""
        if not self.length - _SLACK <= length <= self.length:
            self.resize(_rounded(length), most=_rounded(longest))

    def resize(self, wanted: int, *, most: int = 0) -> None:
        """Have room for so many tokens a slot, and reserve memory for `most`; what fits stays."""
        before = self.layers
        if wanted > self._most:
            self._most = max(wanted, most)
            size = len(self.slots) * self._most
            self._reserved = [(_reserved(keys, size), _reserved(values, size)) for keys, values in self._sample]
        self.layers = self._at(wanted)
        for old, new in zip(chain.from_iterable(before), chain.from_iterable(self.layers), strict=True):
            _moved(old, new)
        self.length = wanted

    def tables(self, slot: int) -> Iterator[Tensor]:
        """Everything that a slot holds, (heads, length, width) each."""
        return (table[slot - self.slots.start] for table in chain.from_iterable(self.layers))

    def _at(self, length: int) -> list[tuple[Tensor, Tensor]]:
        return [
            (self._table(memory[0], pair[0], length), self._table(memory[1], pair[1], length))
            for memory, pair in zip(self._reserved, self._sample, strict=True)
        ]

    def _table(self, memory: Tensor, like: Tensor, length: int) -> Tensor:
        shape = (len(self.slots), like.shape[1], length, like.shape[3])
        return memory[: math.prod(shape)].view(shape)


def _moved(old: Tensor, new: Tensor) -> None:
    """What slots hold, from a table to another of more or fewer columns, that may begin at the same place in memory."""
    before, after = old.shape[2], new.shape[2]
    common, at_once = min(before, after), max(_MOVED // max(old[0].nbytes, 1), 1)
    starts = range(0, len(old), at_once)
    for start in starts if after < before else reversed(starts):
        some = slice(start, start + at_once)
        new[some, :, :common] = old[some, :, :common].clone()
        new[some, :, common:] = 0  # because what is masked still gets multiplied


def _reserved(token: Tensor, count: int) -> Tensor:
    return token.new_empty(token.numel() * count)


def _rounded(length: int) -> int:
    return -(-length // _ROUND) * _ROUND


@dataclass(slots=True)
class Abreast:
    """Single tokens attend together, group by group, each to its own slot; longer runs one by one, each causally.

    Attributes:
        together: the single tokens.
        longer: the others.
        layer: whose keys and values were written last.
    """

    together: Sequence[_Together]
    longer: Sequence[_Long]
    layer: int = 0

    def write(self, layer: int, key: Tensor, value: Tensor) -> None:
        """Put a layer's new keys and values, (1, heads, new, width), where they belong."""
        self.layer = layer
        for part in self._parts():
            part.write(part.group.layers[layer], key[0, :, part.new], value[0, :, part.new])

    def _parts(self) -> list[_Together | _Long]:
        return [*self.together, *self.longer]

    def attend(self, query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:  # noqa: ARG002  # in the tables
        """Every new token over its own slot, (1, heads, new, width)."""
        _, heads, new, _ = query.shape
        out = query.new_empty(1, new, heads, value.shape[-1]).transpose(1, 2)
        for part in self._parts():
            out[:, :, part.new] = part.attend(part.group.layers[self.layer], query[:, :, part.new], scale)
        return out


@dataclass(frozen=True, slots=True)
class _Together:
    """Single tokens of a group.

    Attributes:
        group: whose.
        new: places in the packed row.
        slots: of each, counted from the group's first.
        positions: of each.
        bias: of the first slots up to the last that is asked for, (slots, 1, columns).
    """

    group: Group
    new: slice
    slots: Tensor
    positions: Tensor
    bias: Tensor
    _lines: dict[int, Tensor] = field(default_factory=dict)

    def write(self, tables: tuple[Tensor, Tensor], key: Tensor, value: Tensor) -> None:
        heads = len(key)
        if heads not in self._lines:
            rows = self.slots[:, None] * heads + torch.arange(heads)
            self._lines[heads] = (rows * self.group.length + self.positions[:, None]).flatten()
        lines = self._lines[heads].to(key.device)
        for table, given in zip(tables, (key, value), strict=True):
            width = given.shape[-1]
            table.view(-1, width).index_copy_(0, lines, given.transpose(0, 1).reshape(-1, width))

    def attend(self, tables: tuple[Tensor, Tensor], query: Tensor, scale: float) -> Tensor:
        asked, top = query[0].transpose(0, 1), len(self.bias)
        gaps = len(asked) < top
        slots = self.slots.to(query.device) if gaps else self.slots
        if gaps:
            asked = query.new_zeros(top, *asked.shape[1:]).index_copy_(0, slots, asked)
        given = _each(asked, tables[0][:top], tables[1][:top], self.bias.to(query.device), scale)
        return (given.index_select(0, slots) if gaps else given).transpose(0, 1)[None]


@dataclass(frozen=True, slots=True)
class _Long:
    """Several tokens of one text.

    Attributes:
        group: whose.
        new: places in the packed row.
        run: what is read.
        bias: (1, 1, new, columns).
    """

    group: Group
    new: slice
    run: Run
    bias: Tensor

    @property
    def _own(self) -> slice:
        slot = self.run.slot - self.group.slots.start
        return slice(slot, slot + 1)

    def write(self, tables: tuple[Tensor, Tensor], key: Tensor, value: Tensor) -> None:
        for table, given in zip(tables, (key, value), strict=True):
            table[self._own, :, self.run.start : self.run.end] = given

    def attend(self, tables: tuple[Tensor, Tensor], query: Tensor, scale: float) -> Tensor:
        key, value = (table[self._own, :, : self.run.end] for table in tables)
        return attention(query, key, value, self.bias.to(query.device), scale=scale)


def _each(asked: Tensor, keys: Tensor, values: Tensor, bias: Tensor, scale: float) -> Tensor:
    """Attention of one token a slot, (slots, heads, width), over tables (slots, key heads, columns, width)."""
    count, heads, width = asked.shape
    keys, values = keys.flatten(0, 1), values.flatten(0, 1)
    asked = asked.reshape(len(keys), -1, width)
    alone = asked.shape[1] == 1  # multiplied fastest from the right
    scores = torch.bmm(keys, asked.transpose(1, 2)) if alone else torch.bmm(asked, keys.transpose(1, 2))
    weights = torch.add(bias, scores.view(count, heads, -1), alpha=scale).softmax(-1).to(values.dtype)
    return torch.bmm(weights.view(len(keys), -1, weights.shape[-1]), values).view(count, heads, -1)


def abreast(runs: Sequence[Run], places: Sequence[int], groups: Sequence[Group], *, device: torch.device) -> Abreast:
    """The layout of runs, those of single tokens first and by slot, each in its group, at its place in the packed row.

    Made where the first layer lies; layers elsewhere fetch it.
    """
    placed = list(zip(groups, places, runs, strict=True))
    single = [one for one in placed if len(one[2].tokens) == 1]
    together = [
        _together(group, [(place, run) for _, place, run in some], device)
        for group, some in groupby(single, key=lambda one: one[0])
    ]
    longer = [
        _Long(group, slice(place, place + len(run.tokens)), run, causal(run).to(device))
        for group, place, run in placed
        if len(run.tokens) > 1
    ]
    return Abreast(together, longer)


def _together(group: Group, placed: Sequence[tuple[int, Run]], device: torch.device) -> _Together:
    slots = np.asarray([run.slot for _, run in placed]) - group.slots.start
    ends = np.ones(int(slots.max()) + 1, dtype=np.int64)
    ends[slots] = [run.end for _, run in placed]
    seen = torch.from_numpy(np.arange(group.length) < ends[:, None])
    return _Together(
        group=group,
        new=slice(placed[0][0], placed[-1][0] + 1),
        slots=torch.from_numpy(slots),
        positions=torch.tensor([run.start for _, run in placed]),
        bias=bias_of(seen)[:, None].to(device),
    )


def causal(run: Run) -> Tensor:
    """What keeps each token of a run from those after it, (1, 1, new, columns)."""
    new, columns = torch.arange(run.start, run.end)[:, None], torch.arange(run.end)[None]
    return bias_of(columns <= new)[None, None]
