"""A preallocated cache with a place for each text under way, and forwards that move all of them on at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers import Cache

from orca_guard_hf.abreast import Abreast, Group, Run, abreast, causal
from orca_guard_hf.attention import Layout, attention
from orca_guard_hf.network import Network
from orca_guard_hf.transfer import sent
from orca_guard_hf.tree import Ints

if TYPE_CHECKING:
    from orca_guard_hf.replaying import Each, Replays

GROUP = 16
"""Slots in a group: more multiply faster, fewer have less that is no token's."""
_ROUND_GPU = 256
"""Columns that slots grow by where a kernel looks at what they hold only."""
_LONG = 512
"""Columns from which on a run of tokens is not read token by token."""


class Slots(Cache):
    """Keys and values of several texts, each in a slot of its own: the cache that transformers writes into.

    Args:
        network: whose.
        count: texts at once.

    Attributes:
        by_kernel: whether each token looks at just what its slot holds, whichever slot that is.
        groups: where the slots are; a single one for a kernel.
    """

    def __init__(self, network: Network, *, count: int) -> None:
        super().__init__(layers=[])
        self.count = count
        self._network = network
        self.by_kernel = bool(count) and kernels_serve(network)
        if self.by_kernel:  # one more for tokens of no text
            self.groups = [Group(network.sample, first=0, count=count + 1)]
        else:
            starts = range(0, count, GROUP)
            self.groups = [Group(network.sample, first=s, count=min(GROUP, count - s)) for s in starts]
        self._where = torch.empty(2, 0, dtype=torch.long)
        self._layout: Layout | None = None
        self._replays: Replays | None = None

    @property
    def lasting(self) -> bool:
        """Whether forwards over these tables have been captured, so that they are worth keeping."""
        return self._replays is not None

    def group(self, slot: int) -> Group:
        """Where a slot is."""
        return next(group for group in self.groups if slot in group.slots)

    def lengths(self) -> Ints:
        """Tokens that each slot has room for, (slots,)."""
        return np.asarray([self.group(slot).length for slot in range(self.count)], dtype=np.int64)

    def read(self, runs: Sequence[Run]) -> Tensor:
        """Read the tokens of every run, one run a slot; logits after the last of each, (runs, vocabulary).

        What failed half-way may be read again: nothing is written before `start` of a slot.
        """
        if self._replays is not None and (logits := self._replays.read(runs)) is not None:
            return logits
        order = sorted(range(len(runs)), key=lambda n: (len(runs[n].tokens) > 1, runs[n].slot))
        keep = np.empty(len(runs), dtype=np.int64)
        runs = [runs[n] for n in order]
        counts = [len(run.tokens) for run in runs]
        ends = np.cumsum(counts)
        keep[order] = ends - 1
        positions = np.concatenate([np.arange(run.start, run.end) for run in runs])
        where = np.stack([np.repeat([run.slot for run in runs], counts), positions])
        device = self._network.device
        there = sent(torch.from_numpy(where), device)
        places, groups = (ends - counts).tolist(), [self.group(run.slot) for run in runs]
        return self.forward(
            torch.tensor([token for run in runs for token in run.tokens]),
            where=there,
            layout=_by_token(runs, there) if self.by_kernel else abreast(runs, places, groups, device=device),
            keep=torch.from_numpy(keep),
        )

    def forward(self, ids: Tensor, *, where: Tensor, layout: Layout, keep: Tensor, counted: bool = True) -> Tensor:
        """One forward of tokens that go to these slots and positions, (2, tokens); logits of those to keep."""
        self._where, self._layout = where, layout
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
            for new, old in zip(self.group(target).tables(target), self.group(source).tables(source), strict=True):
                new[:, :tokens] = old[:, :tokens]

    def swap(self, one: int, other: int) -> None:
        """Let two slots of a group hold each what the other held."""
        for here, there in zip(self.group(one).tables(one), self.group(other).tables(other), strict=True):
            kept = here.clone()
            here.copy_(there)
            there.copy_(kept)

    def clear(self, slot: int) -> None:
        """Leave nothing in a slot."""
        for table in self.group(slot).tables(slot):
            table.zero_()

    def fit(self, lengths: Mapping[int, int], *, longest: int = 0) -> None:
        """Have room for texts of these lengths, by slot.

        A kernel looks at no more of a table than there is in it; for it they are made once, for the `longest` to come.
        Elsewhere memory is reserved for that.
        """
        if self.by_kernel:
            self._grow(max(*lengths.values(), longest))
            return
        for group in self.groups:
            if own := [length for slot, length in lengths.items() if slot in group.slots]:
                group.fit(max(own), longest=longest)

    def _grow(self, length: int) -> None:
        (group,) = self.groups
        if length > group.length:
            self._replays = None
            group.resize(-(-length // _ROUND_GPU) * _ROUND_GPU)
            self._replays = replays_of(self._network, self)

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any) -> Any:
        """Write a layer's new keys and values, (1, heads, new, width), where they belong; what attention is given."""
        if isinstance(self._layout, Abreast):
            self._layout.write(layer_idx, key_states, value_states)
            return key_states, value_states
        from orca_guard_hf.kernels import put_each  # noqa: PLC0415  # needs Triton

        keys, values = self.groups[0].layers[layer_idx]
        slots, positions = self._where.to(keys.device)
        put_each((keys, values), (key_states, value_states), slots=slots, positions=positions)
        return keys, values

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
            yield place, run, sent(causal(run), device)


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


def _attend_runs(  # noqa: PLR0917  # three tensors, and where they go
    runs: Sequence[tuple[int, Run, Tensor]], query: Tensor, key: Tensor, value: Tensor, out: Tensor, scale: float
) -> None:
    for place, run, bias in runs:
        mine = slice(run.slot, run.slot + 1)
        new = slice(place, place + len(run.tokens))
        seen, told = key[mine, :, : run.end], value[mine, :, : run.end]
        out[:, :, new] = attention(query[:, :, new], seen, told, bias.to(query.device), scale=scale)
