"""Kernels in Triton for forwards of few tokens: attention over slots, and what would otherwise be many small kernels.

Triton comes with torch where there is a CUDA device; elsewhere only tests import this, under Triton's interpreter.
Kernels are launched on the device of what they are given, which need not be the current one.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_COLUMNS = 128
"""Columns that are looked at together."""


def attend_each(query: Tensor, key: Tensor, value: Tensor, *, slots: Tensor, positions: Tensor, scale: float) -> Tensor:
    """Softmax attention of each token over its slot, up to its own position; in single precision within.

    Args:
        query: (1, heads, tokens, width).
        key: (slots, key heads, columns, width); groups of heads may share one.
        value: (slots, key heads, columns, value width).
        slots: of each token, (tokens,).
        positions: of each token, (tokens,).
        scale: of the scores.

    Returns:
        (1, heads, tokens, value width), laid out by token.
    """
    _, heads, tokens, width = query.shape
    out = torch.empty(1, tokens, heads, value.shape[-1], dtype=value.dtype, device=query.device)
    if query.stride(-1) != 1:
        query = query.contiguous()
    kernel: Any = _attend
    with torch.cuda.device_of(query):
        kernel[(tokens, heads)](
            query,
            key,
            value,
            out,
            slots,
            positions,
            scale,
            query.stride(1),
            query.stride(2),
            *key.stride()[:3],
            *value.stride()[:3],
            out.stride(2),
            out.stride(1),
            GROUP=heads // key.shape[1],
            WIDTH=width,
            VALUES=value.shape[-1],
            PADDED=triton.next_power_of_2(width),
            PADDED_VALUES=triton.next_power_of_2(value.shape[-1]),
            COLUMNS=_COLUMNS,
            num_warps=8,
        )
    return out.transpose(1, 2)


def put_each(tables: tuple[Tensor, Tensor], states: tuple[Tensor, Tensor], *, slots: Tensor, positions: Tensor) -> None:
    """Write new keys and values, (1, key heads, tokens, width), into tables, (slots, key heads, columns, width)."""
    (key_table, value_table), (keys, values) = tables, states
    keys = keys if keys.stride(-1) == 1 else keys.contiguous()
    values = values if values.stride(-1) == 1 else values.contiguous()
    kernel: Any = _put
    with torch.cuda.device_of(keys):
        kernel[(keys.shape[2], keys.shape[1])](
            key_table,
            value_table,
            keys,
            values,
            slots,
            positions,
            *key_table.stride()[:3],
            *value_table.stride()[:3],
            *keys.stride()[1:3],
            *values.stride()[1:3],
            WIDTH=keys.shape[-1],
            VALUES=values.shape[-1],
            PADDED=triton.next_power_of_2(keys.shape[-1]),
            PADDED_VALUES=triton.next_power_of_2(values.shape[-1]),
            num_warps=1,
        )


def norm_rows(states: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root-mean-square norm over the last dimension, rounded where transformers rounds."""
    states = states.contiguous()
    out = torch.empty_like(states)
    width = states.shape[-1]
    kernel: Any = _norm
    with torch.cuda.device_of(states):
        kernel[(states.numel() // width,)](
            states, weight, out, epsilon, WIDTH=width, PADDED=triton.next_power_of_2(width), num_warps=8
        )
    return out


@triton.jit
def _norm(states, weight, out, epsilon, WIDTH: tl.constexpr, PADDED: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * WIDTH
    across = tl.arange(0, PADDED)
    inside = across < WIDTH
    state = tl.load(states + row + across, mask=inside, other=0.0)
    scale = tl.load(weight + across, mask=inside, other=0.0)
    exact = state.to(tl.float32)
    exact = exact * tl.rsqrt(tl.sum(exact * exact, 0) / WIDTH + epsilon)
    rounded = exact.to(state.dtype).to(tl.float32) * scale.to(tl.float32)
    tl.store(out + row + across, rounded.to(state.dtype), mask=inside)


@triton.jit
def _put(
    key_table,
    value_table,
    keys,
    values,
    slots,
    positions,
    key_slot,
    key_head,
    key_column,
    value_slot,
    value_head,
    value_column,
    from_key_head,
    from_key_token,
    from_value_head,
    from_value_token,
    WIDTH: tl.constexpr,
    VALUES: tl.constexpr,
    PADDED: tl.constexpr,
    PADDED_VALUES: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1).to(tl.int64)
    slot, column = tl.load(slots + token).to(tl.int64), tl.load(positions + token).to(tl.int64)
    across, along = tl.arange(0, PADDED), tl.arange(0, PADDED_VALUES)
    key = tl.load(keys + head * from_key_head + token * from_key_token + across, mask=across < WIDTH)
    value = tl.load(values + head * from_value_head + token * from_value_token + along, mask=along < VALUES)
    key_at = key_table + slot * key_slot + head * key_head + column * key_column
    value_at = value_table + slot * value_slot + head * value_head + column * value_column
    tl.store(key_at + across, key, mask=across < WIDTH)
    tl.store(value_at + along, value, mask=along < VALUES)


@triton.jit
def _attend(
    query,
    key,
    value,
    out,
    slots,
    positions,
    scale,
    query_head,
    query_token,
    key_slot,
    key_head,
    key_column,
    value_slot,
    value_head,
    value_column,
    out_head,
    out_token,
    GROUP: tl.constexpr,
    WIDTH: tl.constexpr,
    VALUES: tl.constexpr,
    PADDED: tl.constexpr,
    PADDED_VALUES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1).to(tl.int64)
    slot = tl.load(slots + token).to(tl.int64)
    end = tl.load(positions + token) + 1
    across, along = tl.arange(0, PADDED), tl.arange(0, PADDED_VALUES)
    asked = tl.load(query + head * query_head + token * query_token + across, mask=across < WIDTH, other=0.0)
    asked = asked.to(tl.float32) * scale
    keys = key + slot * key_slot + (head // GROUP) * key_head
    values = value + slot * value_slot + (head // GROUP) * value_head
    best = tl.full((), float("-inf"), tl.float32)
    total = tl.full((), 0.0, tl.float32)
    mixed = tl.zeros((PADDED_VALUES,), tl.float32)
    for first in range(0, end, COLUMNS):
        column = first + tl.arange(0, COLUMNS)
        there = column < end
        known = tl.load(
            keys + column[:, None] * key_column + across[None, :],
            mask=there[:, None] & (across < WIDTH)[None, :],
            other=0.0,
        )
        told = tl.load(  # before anything waits for the keys
            values + column[:, None] * value_column + along[None, :],
            mask=there[:, None] & (along < VALUES)[None, :],
            other=0.0,
        )
        score = tl.where(there, tl.sum(known.to(tl.float32) * asked[None, :], 1), float("-inf"))
        top = tl.maximum(best, tl.max(score, 0))
        weight = tl.exp(score - top)
        shrunk = tl.exp(best - top)
        total = total * shrunk + tl.sum(weight, 0)
        mixed = mixed * shrunk + tl.sum(told.to(tl.float32) * weight[:, None], 0)
        best = top
    found = (mixed / total).to(out.dtype.element_ty)
    tl.store(out + head * out_head + token * out_token + along, found, mask=along < VALUES)
