"""Attention for packed forwards: many texts in one row, each looking at its own tokens and no others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface

from orca_guard_hf.transfer import sent
from orca_guard_hf.tree import Ints

_NAME = "orca_guard_packed"
_BLOCK_CPU, _BLOCK_HALF, _BLOCK_GPU = 64, 32, 256
"""Tokens that look at the same columns: fewer look at less that is not theirs, more multiply faster."""
_SCORES = 1 << 19
"""Attention scores that a CPU works on together: few enough to stay in its cache."""
_ALIGNED = 16
"""Numbers from one row of a bias to the next are a multiple of this on a GPU, whose kernels would copy it otherwise."""
_UNKNOWN = ("softcap", "s_aux", "position_bias")
"""What an architecture may want of attention that is not done here."""


class Layout(Protocol):
    """Which tokens of a packed row look where."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:
        """Attention of every new token, (1, heads, new, width)."""


_layout: ContextVar[Layout | None] = ContextVar("layout", default=None)


def _attention(  # noqa: PLR0917  # as transformers calls it
    module: torch.nn.Module,  # noqa: ARG001
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001
    scaling: float | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    layout = _layout.get()
    if layout is None or any(more.get(name) is not None for name in _UNKNOWN):
        raise NotImplementedError("this attention is not done packed")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return layout.attend(query, key, value, scale=scale).transpose(1, 2).contiguous(), None


AttentionInterface.register(_NAME, _attention)


@contextmanager
def packed(configs: Sequence[Any], layout: Layout) -> Iterator[None]:
    """Let a network with these configurations attend as the layout says. Nobody else may use it meanwhile."""
    before = [config._attn_implementation for config in configs]  # noqa: SLF001  # there is no other switch
    token = _layout.set(layout)
    try:
        for config in configs:
            config._attn_implementation = _NAME  # noqa: SLF001
        yield
    finally:
        for config, name in zip(configs, before, strict=True):
            config._attn_implementation = name  # noqa: SLF001
        _layout.reset(token)


def configs_of(model: torch.nn.Module) -> list[Any]:
    """The configurations that a network's layers read."""
    found = {id(config): config for module in model.modules() if (config := getattr(module, "config", None))}
    return [config for config in found.values() if hasattr(config, "_attn_implementation")]


@dataclass(frozen=True, slots=True)
class Block:
    """New tokens `[start, end)`, the columns they look at, and what keeps each from those that are not its own.

    Attributes:
        start: of the tokens.
        end: of the tokens.
        columns: a range, or their numbers.
        bias: 0 or the least number, (tokens, columns); None where every token sees every column.
    """

    start: int
    end: int
    columns: slice | Tensor
    bias: Tensor | None


@dataclass(frozen=True, slots=True)
class Blocks:
    """A packed row in blocks from left to right."""

    blocks: tuple[Block, ...]

    def attend(self, query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:
        """Block by block."""
        return torch.cat([_attend_block(block, query, key, value, scale) for block in self.blocks], 2)


@dataclass(frozen=True, slots=True)
class EvenBlocks:
    """A packed row in blocks of one size, each over as many columns, so that many are multiplied together.

    Attributes:
        new: tokens; the last block may have more places.
        columns: what each block looks at, filled up with any column's number, (blocks, columns).
        bias: 0 or the least number, (blocks, tokens, columns).
    """

    new: int
    columns: Tensor
    bias: Tensor

    def attend(self, query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:
        """As many blocks together as stay in the processor's cache; scores are weighed in single precision."""
        blocks, size, columns = self.bias.shape
        heads, width = query.shape[1], query.shape[-1]
        padded = functional.pad(query[0].transpose(0, 1), (0, 0, 0, 0, 0, blocks * size - self.new))
        rows = padded.view(blocks, size, key.shape[1], -1, width).permute(2, 0, 3, 1, 4)
        together = max(_SCORES // (heads * size * columns), 1)
        parts = [
            self._attended(slice(start, start + together), rows[:, start : start + together], key, value, scale)
            for start in range(0, blocks, together)
        ]
        out = torch.cat(parts, 1).permute(1, 3, 0, 2, 4).reshape(blocks * size, heads, -1)
        return out[: self.new].transpose(0, 1)[None]

    def _attended(self, some: slice, rows: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Rows are (key heads, blocks, groups, tokens, width), and so is what comes out."""
        columns, bias = self.columns[some].to(key.device), self.bias[some].to(key.device)
        heads, blocks, groups, size, width = rows.shape
        keys, values = (
            table[0].index_select(1, columns.flatten()).view(heads * blocks, columns.shape[1], -1)
            for table in (key, value)
        )
        queries = rows.reshape(heads * blocks, groups * size, width)
        scores = torch.bmm(queries, keys.transpose(-1, -2)).float().mul_(scale)
        scores.view(heads, blocks, groups, size, -1).add_(bias[:, None])
        weights = torch.softmax(scores, -1).to(values.dtype)
        return torch.bmm(weights, values).view(heads, blocks, groups, size, -1)


def tree_layout(nodes: Ints, columns: Ints, ends: Ints, *, device: torch.device, dtype: torch.dtype) -> Layout:
    """The layout of nodes of a tree in depth-first order, each of which looks at itself and its ancestors.

    Args:
        nodes: what is read, one after the other, (new,).
        columns: what there is to look at, `nodes` last, in ascending order, (columns,).
        ends: one past the last descendant of each of `columns`, (columns,).
        device: where the first layer lies.
        dtype: of keys and values.
    """
    if device.type == "cpu":
        return _even_blocks(nodes, columns, ends, most=_BLOCK_CPU if dtype == torch.float32 else _BLOCK_HALF)
    return _blocks(nodes, columns, ends, device=device, dtype=dtype)


def _even_blocks(nodes: Ints, columns: Ints, ends: Ints, *, most: int) -> EvenBlocks:
    size = -(-len(nodes) // -(-len(nodes) // most))
    pieces = [nodes[start : start + size] for start in range(0, len(nodes), size)]
    seen = [_looked_at(piece, columns, ends) for piece in pieces]
    width = -(-max(map(len, seen)) // _ALIGNED) * _ALIGNED
    where = np.zeros((len(pieces), width), dtype=np.int64)
    looks = np.zeros((len(pieces), size, width), dtype=bool)
    for number, (piece, own) in enumerate(zip(pieces, seen, strict=True)):
        node, column, stop = piece[:, None], columns[own], ends[own]
        where[number, : len(own)] = own
        looks[number, : len(piece), : len(own)] = (column <= node) & (node < stop)
    return EvenBlocks(len(nodes), torch.from_numpy(where), bias_of(torch.from_numpy(looks)))


def _blocks(nodes: Ints, columns: Ints, ends: Ints, *, device: torch.device, dtype: torch.dtype) -> Blocks:
    starts = range(0, len(nodes), _BLOCK_GPU)
    pieces = [nodes[start : start + _BLOCK_GPU] for start in starts]
    seen = [_looked_at(piece, columns, ends) for piece in pieces]
    limits = np.cumsum([0, *map(len, seen)])
    where = np.concatenate(seen)
    table = sent(torch.from_numpy(np.stack([where, columns[where], ends[where]])), device)
    lines = sent(torch.from_numpy(nodes), device)
    blocks = []
    for start, piece, own, first, last in zip(starts, pieces, seen, limits, limits[1:], strict=False):
        end = start + len(piece)
        at, column, stop = table[:, first:last]
        node = lines[start:end, None]
        bias = bias_of((column <= node) & (node < stop), dtype) if len(piece) > 1 else None
        whole = int(own[-1]) - int(own[0]) + 1 == len(own)
        blocks.append(Block(start, end, slice(int(own[0]), int(own[0]) + len(own)) if whole else at, bias))
    return Blocks(tuple(blocks))


def _looked_at(piece: Ints, columns: Ints, ends: Ints) -> Ints:
    """Which columns a run of nodes looks at."""
    return np.flatnonzero((columns <= piece[-1]) & (ends > piece[0]))


def segments_of(lengths: Sequence[int]) -> Blocks:
    """The layout of texts side by side, all of whose tokens see each other."""
    ends = np.cumsum(lengths).tolist()
    pairs = zip([0, *ends], ends, strict=False)
    return Blocks(tuple(Block(start, end, slice(start, end), None) for start, end in pairs))


def attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, *, scale: float) -> Tensor:
    """Softmax attention in which groups of heads may share keys and values.

    Args:
        query: (batch, heads, new, width).
        key: (batch, key heads, columns, width).
        value: likewise.
        bias: added to the scores, (batch or 1, 1, new, columns).
        scale: of the scores.
    """
    if query.device.type == "cpu" and (query.dtype != torch.float32 or query.shape[2] < _BLOCK_CPU):
        return _by_hand(query, key, value, bias, scale)
    if bias is not None:
        bias = bias.to(query.dtype)
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=scale)


def _by_hand(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """Two products and a softmax in single precision: on CPUs faster than one kernel for few tokens, or in half."""
    batch, heads, new, width = query.shape
    grouped = query.reshape(batch, key.shape[1], -1, width)
    scores = torch.matmul(grouped, key.transpose(-1, -2)).float().mul_(scale).view(batch, heads, new, -1)
    if bias is not None:
        scores += bias
    weights = torch.softmax(scores, -1).to(value.dtype)
    return torch.matmul(weights.view(batch, key.shape[1], -1, weights.shape[-1]), value).view(batch, heads, new, -1)


def _attend_block(block: Block, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    columns, bias = block.columns, block.bias
    if isinstance(columns, slice):
        key, value = key[:, :, columns], value[:, :, columns]
    else:
        columns = columns.to(key.device)
        key, value = key.index_select(2, columns), value.index_select(2, columns)
    bias = None if bias is None else bias.to(query.device)
    return attention(query[:, :, block.start : block.end], key, value, bias, scale=scale)


def bias_of(seen: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """0 where a token looks, and so little elsewhere that nothing is left of it; of the shape of `seen`."""
    rows = -(-seen.shape[-1] // _ALIGNED) * _ALIGNED if seen.device.type == "cuda" else seen.shape[-1]
    bias = torch.zeros(*seen.shape[:-1], rows, dtype=dtype, device=seen.device)[..., : seen.shape[-1]]
    return bias.masked_fill_(~seen, torch.finfo(torch.float16).min)
