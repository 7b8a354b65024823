"""Attention of single tokens over slots, each over just the columns it sees: one Triton kernel, with no fixed length in it.

Triton comes with torch where there is a CUDA device; nobody imports this elsewhere.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

_COLUMNS = 64
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
    )
    return out.transpose(1, 2)


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
        score = tl.where(there, tl.sum(known.to(tl.float32) * asked[None, :], 1), float("-inf"))
        top = tl.maximum(best, tl.max(score, 0))
        weight = tl.exp(score - top)
        told = tl.load(
            values + column[:, None] * value_column + along[None, :],
            mask=there[:, None] & (along < VALUES)[None, :],
            other=0.0,
        )
        shrunk = tl.exp(best - top)
        total = total * shrunk + tl.sum(weight, 0)
        mixed = mixed * shrunk + tl.sum(told.to(tl.float32) * weight[:, None], 0)
        best = top
    found = (mixed / total).to(out.dtype.element_ty)
    tl.store(out + head * out_head + token * out_token + along, found, mask=along < VALUES)
