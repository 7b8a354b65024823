"""A start for the weights in which copying is already wired: look back, match, repeat."""

import math
from typing import Any, Final

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

# The first coordinate of every embedding is the same, so that a head can attend by place alone.
STEADY: Final = 4.0
SPREAD: Final = 0.05
PLACE: Final = 6.0
MATCH: Final = 2.0
WRITE: Final = 0.15
REPEAT: Final = 0.6


def _rows(count: int, width: int) -> Tensor:
    """Orthonormal rows that do not touch the steady coordinate."""
    rows = torch.linalg.qr(torch.randn(width - 1, count)).Q.T
    return torch.cat((torch.zeros(count, 1), rows), dim=1)


def _place(size: int, *, offset: int, base: float) -> tuple[Tensor, Tensor]:
    """Query and key whose product peaks where the key stands `offset` places before the query."""
    half = size // 2
    speed = base ** (-torch.arange(half) / half)
    weight = (speed > 0.05).float()
    query = torch.cat((weight * torch.cos(-offset * speed), weight * torch.sin(-offset * speed)))
    return query, torch.cat((weight, torch.zeros(half)))


def _slow(size: int, *, base: float) -> list[int]:
    """The coordinates of a head that hardly turn within a short text: there content can be compared."""
    half = size // 2
    slow = [i for i in range(half) if base ** (-i / half) < 0.02]
    return slow + [i + half for i in slow]


@torch.no_grad()
def wire(model: LlamaForCausalLM) -> None:
    """Wire layer 0 to look one and two places back and layer 1 to find and repeat what followed."""
    config: Any = model.config
    width, size = config.hidden_size, config.hidden_size // config.num_attention_heads
    groups, base = config.num_key_value_heads, config.rope_parameters["rope_theta"]
    embedding: Any = model.model.embed_tokens.weight
    embedding.normal_(0, SPREAD)
    embedding[:, 0] = STEADY * SPREAD
    looks: Any = model.model.layers[0].self_attn
    finds: Any = model.model.layers[1].self_attn
    scale = math.sqrt(PLACE * math.sqrt(size)) / STEADY
    slow = _slow(size, base=base)
    for group in range(groups):
        kept = _rows(size, width)
        mine = slice(group * size, (group + 1) * size)
        looks.v_proj.weight[mine] = kept
        written = []
        for head, offset in ((2 * group, 1), (2 * group + 1, 2)):
            query, key = _place(size, offset=offset, base=base)
            rows = slice(head * size, (head + 1) * size)
            looks.q_proj.weight[rows] = 0
            looks.q_proj.weight[rows, 0] = scale * query
            looks.k_proj.weight[mine] = 0
            looks.k_proj.weight[mine, 0] = scale * key
            written.append(_rows(size, width))
            looks.o_proj.weight[:, rows] = WRITE * written[-1].T
        rows = slice(2 * group * size, (2 * group + 1) * size)
        mixed = torch.zeros(size, size)
        mixed[slow] = torch.linalg.qr(torch.randn(size, len(slow))).Q.T
        finds.q_proj.weight[rows] = MATCH * mixed @ kept
        finds.k_proj.weight[mine] = MATCH * mixed @ written[0]
        said = _rows(size, width)
        finds.v_proj.weight[mine] = said
        finds.o_proj.weight[:, rows] = REPEAT * said.T
