"""Several models of one shape side by side: the same arithmetic as LlamaForCausalLM, once for all of them.

A tiny model leaves a large machine idle between its many small steps. Here every weight carries a leading axis with
one entry a model, so that one step trains them all; one model alone is a fleet of one. Shapes: E models, B rows,
T positions, D width.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

EMBEDDING: Final = "model.embed_tokens.weight"
SHORT: Final = 256  # up to here attention written out is faster than the fused one on a CPU
Weights = dict[str, Tensor]
Past = list[tuple[Tensor, Tensor]]


def weights_of(model: LlamaForCausalLM) -> Weights:
    """The weights of one model by name, the tied head left out."""
    return {name: p.detach().float() for name, p in model.named_parameters() if name != "lm_head.weight"}


def stacked(models: Sequence[Weights]) -> Weights:
    """One leading axis over the models."""
    return {name: torch.stack([weights[name] for weights in models]) for name in models[0]}


def member(weights: Weights, number: int) -> Weights:
    """One model's weights, on the CPU."""
    return {name: weight[number].detach().cpu() for name, weight in weights.items()}


def is_matrix(name: str) -> bool:
    """Whether a weight is one of the matrices inside the layers."""
    return name.endswith("proj.weight")


def _attended(q: Tensor, k: Tensor, v: Tensor, *, mask: Tensor | None) -> Tensor:
    """Attention of queries [N, heads, T, size] over keys and values [N, groups, S, size]; causal without a mask."""
    if mask is None and q.device.type == "cpu" and q.shape[2] <= SHORT:
        return _written_out(q, k, v)
    return functional.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=q.shape[1] != k.shape[1]
    )


def _written_out(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention as two products: on a CPU the fused kernel goes backward many times slower over short texts."""
    rows, heads, length, size = q.shape
    groups = k.shape[1]
    future = torch.full((length, length), -torch.inf, dtype=q.dtype).triu(1)
    asked = q.reshape(rows * groups, -1, size) * size**-0.5
    scores = torch.bmm(asked, k.reshape(rows * groups, length, size).mT)
    shares = torch.softmax(scores.view(rows * groups, -1, length, length) + future, -1)
    found = torch.bmm(shares.view(rows * groups, -1, length).to(v.dtype), v.reshape(rows * groups, length, size))
    return found.view(rows, heads, length, size)


class Fleet:
    """The forward pass of E Llamas of one shape."""

    def __init__(self, config: LlamaConfig, weights: Weights) -> None:
        shape: Any = config
        self.weights = {name: nn.Parameter(weight.clone()) for name, weight in weights.items()}
        self.count = next(iter(weights.values())).shape[0]
        self.layers, self.heads, self.groups = (
            shape.num_hidden_layers, shape.num_attention_heads, shape.num_key_value_heads,
        )  # fmt: skip
        self.width, self.epsilon = shape.hidden_size, shape.rms_norm_eps
        self.size = self.width // self.heads
        device = self.weights[EMBEDDING].device
        speed = shape.rope_parameters["rope_theta"] ** (-torch.arange(0, self.size, 2, device=device) / self.size)
        angle = torch.arange(shape.max_position_embeddings, device=device)[:, None] * speed.repeat(2)
        self.turns = angle.cos(), angle.sin()

    def _norm(self, x: Tensor, name: str) -> Tensor:
        """Root-mean-square norm of [E, N, D]."""
        x = x.float()
        scale: Tensor = (x.square().mean(-1, keepdim=True) + self.epsilon).rsqrt()
        normed: Tensor = x * scale * self.weights[name][:, None]
        return normed

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return torch.bmm(x, self.weights[name].mT)

    def _turned(self, x: Tensor, place: Tensor) -> Tensor:
        """Rotary embedding of [E*B, heads, T, size] at places [T] or [E*B, T]."""
        cos, sin = (table[place] for table in self.turns)
        if place.ndim == 2:
            cos, sin = cos[:, None], sin[:, None]
        one, two = x.chunk(2, -1)
        turned: Tensor = x * cos + torch.cat((-two, one), -1) * sin
        return turned.to(x.dtype)

    def _attention(self, x: Tensor, layer: str, *, rows: int, place: Tensor, mask: Tensor | None,
                   past: tuple[Tensor, Tensor] | None, keep: Past | None) -> Tensor:  # fmt: skip
        def split(part: str, heads: int) -> Tensor:
            flat = self._linear(x, f"{layer}.self_attn.{part}_proj.weight")
            return flat.view(self.count * rows, -1, heads, self.size).transpose(1, 2)

        q, k = self._turned(split("q", self.heads), place), self._turned(split("k", self.groups), place)
        v = split("v", self.groups)
        if past is not None:
            k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
        if keep is not None:
            keep.append((k, v))
        mixed = _attended(q, k, v, mask=mask)
        flat = mixed.transpose(1, 2).reshape(self.count, -1, self.width)
        return self._linear(flat, f"{layer}.self_attn.o_proj.weight")

    def hidden(self, ids: Tensor, *, place: Tensor | None = None, mask: Tensor | None = None,
               past: Past | None = None, keep: Past | None = None) -> Tensor:  # fmt: skip
        """Last hidden states [E, B*T, D] of token ids [E, B, T]; causal where no mask is given."""
        _, rows, length = ids.shape
        place = torch.arange(length, device=ids.device) if place is None else place
        table = self.weights[EMBEDDING]
        shift = torch.arange(self.count, device=ids.device)[:, None, None] * table.shape[1]
        x = functional.embedding(ids + shift, table.flatten(0, 1)).flatten(1, 2)
        for number in range(self.layers):
            layer = f"model.layers.{number}"
            x = x + self._attention(
                self._norm(x, f"{layer}.input_layernorm.weight"), layer, rows=rows, place=place, mask=mask,
                past=past[number] if past else None, keep=keep,
            )  # fmt: skip
            y = self._norm(x, f"{layer}.post_attention_layernorm.weight")
            gate = functional.silu(self._linear(y, f"{layer}.mlp.gate_proj.weight"))
            y = gate * self._linear(y, f"{layer}.mlp.up_proj.weight")
            x = x + self._linear(y, f"{layer}.mlp.down_proj.weight")
        return self._norm(x, "model.norm.weight")

    def losses(self, ids: Tensor, learned: Tensor, *, device: torch.device) -> Tensor:
        """Mean loss of each model [E] over the positions marked as learned, both of shape [E, B, T]."""
        wanted = ids.roll(-1, 2).masked_fill(~learned, -100).flatten(1)
        with torch.autocast(device.type, torch.bfloat16):
            hidden = self.hidden(ids)
            if device.type == "cpu":  # on a GPU shapes that follow from the data would break the graph of a step
                some = learned.flatten(1).any(0)
                hidden, wanted = hidden[:, some], wanted[:, some]
            logits = torch.bmm(hidden, self.weights[EMBEDDING].mT)
        each = functional.cross_entropy(
            logits.float().flatten(0, 1), wanted.flatten(), ignore_index=-100, reduction="none"
        )
        return each.view(self.count, -1).sum(1) / learned.flatten(1).sum(1).clamp(min=1)

    @torch.inference_mode()
    def answers(self, prompts: Sequence[Sequence[Sequence[int]]], *, end: int, limit: int) -> list[list[list[int]]]:
        """Greedy continuations of as many prompts for every model, each up to its end token or the limit."""
        device = self.weights[EMBEDDING].device
        longest = max(len(ids) for one in prompts for ids in one)
        ids = torch.full((self.count, len(prompts[0]), longest), end, device=device)
        real = torch.zeros(ids.shape, dtype=torch.bool, device=device)
        for e, one in enumerate(prompts):
            for row, prompt in enumerate(one):
                ids[e, row, longest - len(prompt) :] = torch.tensor(prompt, device=device)
                real[e, row, longest - len(prompt) :] = True
        drawn = list(self._drawn(ids, real.flatten(0, 1), end=end, limit=limit))
        said = torch.stack(drawn, -1).tolist()
        return [[_until(end, tokens) for tokens in one] for one in said]

    def _drawn(self, ids: Tensor, real: Tensor, *, end: int, limit: int) -> Iterator[Tensor]:
        """The next token of every row [E, B], again and again."""
        count, rows, length = ids.shape
        place = (real.cumsum(1) - 1).clamp(min=0)
        causal = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        # A padded position sees itself, so that no row of the mask is empty.
        mask = (causal & real[:, None]) | torch.eye(length, dtype=torch.bool, device=ids.device)
        past: Past = []
        hidden = self.hidden(ids, place=place, mask=mask[:, None], keep=past)
        last, ended = place[:, -1], torch.zeros(count, rows, dtype=torch.bool, device=ids.device)
        for number in range(limit):
            final = hidden.view(count, rows, -1, self.width)[:, :, -1]
            token = torch.bmm(final, self.weights[EMBEDDING].mT).argmax(-1)
            token = token.masked_fill(ended, end)
            yield token
            ended |= token == end
            if number % 8 == 7 and bool(ended.all()):
                return
            last = last + 1
            real = torch.cat((real, real.new_ones(len(real), 1)), 1)
            kept: Past = []
            hidden = self.hidden(token[:, :, None], place=last[:, None], mask=real[:, None, None], past=past, keep=kept)
            past = kept


def _until(end: int, tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(end)] if end in tokens else tokens
