"""The loaded network: one locked forward call, whatever the architecture takes."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import DynamicCache

from orca_guard_hf.attention import Layout, configs_of, packed
from orca_guard_hf.budget import keep_freed_memory
from orca_guard_hf.fusing import Fused, fused, fusible
from orca_guard_hf.heading import Head, head_of
from orca_guard_hf.products import quicker
from orca_guard_hf.transfer import sent

Memory: TypeAlias = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values of each layer, each (1, heads, positions, width); empty where nothing has been read."""


_KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""Of attention: all but cuDNN's, which makes a plan for every new shape, and trees are of a new shape each time."""


class Network:
    """A causal language model in memory.

    Args:
        model: as transformers loaded it.
        device: where its inputs go.
    """

    def __init__(self, model: Any, *, device: torch.device) -> None:
        self.model = model
        self.device = device
        self.lock = threading.Lock()
        keep_freed_memory()
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._takes = frozenset(inspect.signature(base.forward).parameters)
        self.remembers = "past_key_values" in self._takes
        """Whether it keeps keys and values between calls; if not, every step reads the whole text."""
        self._configs = configs_of(model) if isinstance(model, torch.nn.Module) else []
        self.sample: Memory = ()
        """Keys and values of one token, once anything was read packed: how large they are, and where they lie."""
        self._fused: Fused | None = None
        self._head: tuple[Head | None] | None = None
        self.forwarded = 0
        """Tokens that went through it so far, padding counted too."""

    @property
    def on_one_gpu(self) -> bool:
        """Whether all of it lies on one CUDA device, with nothing that moves weights meanwhile."""
        return self.device.type == "cuda" and not getattr(self.model, "hf_device_map", None)

    @property
    def head(self) -> Head | None:
        """The output layer, where it can be applied by itself; tried when this is asked for the first time."""
        if self._head is None:
            with self.lock:
                self._head = (head_of(self.model),)
        return self._head[0]

    @property
    def packs(self) -> bool:
        """Whether it takes what a packed forward has to say; whether it heeds it is another question."""
        return {"past_key_values", "position_ids", "logits_to_keep"} <= self._takes

    def forward(self, ids: Tensor, mask: Tensor, *, past: Any = None, keep: int = 0, **more: Any) -> Any:
        """Run it once.

        Args:
            ids: tokens, (rows, new).
            mask: 1 for tokens and 0 for padding, (rows, past + new).
            past: keys and values of earlier calls.
            keep: only the last so many positions' logits; 0 is all.
            more: passed on.
        """
        more |= {"attention_mask": mask}
        if "position_ids" in self._takes:
            more["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        if self.remembers:
            more["past_key_values"] = past
        if "use_cache" in self._takes:
            more["use_cache"] = self.remembers and "output_hidden_states" not in more
        if keep and "logits_to_keep" in self._takes:
            more["logits_to_keep"] = keep
        with self.lock, torch.inference_mode():
            self.forwarded += ids.numel()
            return self.model(input_ids=ids, **more)

    def packed(
        self, ids: Tensor, *, positions: Tensor, layout: Layout, keep: Tensor, past: Memory, head: Head | None = None
    ) -> tuple[Tensor, Memory]:
        """Read one packed row whose tokens look where the layout says.

        Args:
            ids: tokens, (new,).
            positions: of each in its own text, (new,).
            layout: over past and new columns.
            keep: which tokens' logits are wanted, (kept,).
            past: what was read before.
            head: where the output layer is left to whom asks, that.

        Returns:
            Logits of the kept tokens, (kept, vocabulary), or their last states, (kept, width); and past and new keys
            and values.
        """
        cache = DynamicCache(past)
        logits = self.packed_into(cache, ids, positions=positions, layout=layout, keep=keep, head=head)
        layers: Any = cache.layers
        memory: Memory = tuple((layer.keys, layer.values) for layer in layers)
        self.sample = self.sample or kept(memory, torch.zeros(1, dtype=torch.long))
        return logits, memory

    def packed_into(
        self,
        cache: Any,
        ids: Tensor,
        *,
        positions: Tensor,
        layout: Layout,
        keep: Tensor,
        head: Head | None = None,
        counted: bool = True,
    ) -> Tensor:
        """The same over a cache that transformers knows how to update. What is only rehearsed is not counted."""
        apart = nullcontext() if head is None else head.apart()
        with self.lock, torch.inference_mode(), packed(self._configs, layout), self._faster(), apart:
            self.forwarded += ids.numel() if counted else 0
            out = self.model(
                input_ids=sent(ids, self.device)[None],
                position_ids=sent(positions, self.device)[None],
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=sent(keep, self.device),
            )
        return out.logits[0]  # type: ignore[no-any-return]

    @contextmanager
    def _faster(self) -> Iterator[None]:
        """Kernels that stand in for several where everything lies on one GPU, and better ones on a CPU."""
        if self._fused is None:
            self._fused = self._found()
        with fused(self._fused), sdpa_kernel(_KERNELS) if self.on_one_gpu else nullcontext():
            yield

    def _found(self) -> Fused:
        if self.on_one_gpu:
            return fusible(self.model) if find_spec("triton") else ()
        return quicker(self.model) if self.device.type == "cpu" else ()

    def rows(
        self, texts: Sequence[Sequence[int]], *, pad: int, side: Literal["left", "right"]
    ) -> tuple[Tensor, Tensor]:
        """Ids and mask of texts of different lengths, both (rows, longest)."""
        longest = max(map(len, texts))
        ids, mask = [], []
        for text in texts:
            gap = longest - len(text)
            before, after = (gap, 0) if side == "left" else (0, gap)
            ids.append([*[pad] * before, *text, *[pad] * after])
            mask.append([*[0] * before, *[1] * len(text), *[0] * after])
        return torch.tensor(ids, device=self.device), torch.tensor(mask, device=self.device)


def kept(memory: Memory, columns: Tensor) -> Memory:
    """Only these columns of what was read, (columns,)."""
    there = {device: sent(columns, device) for device in {table.device for pair in memory for table in pair}}
    return tuple(
        (keys.index_select(2, there[keys.device]), values.index_select(2, there[values.device]))
        for keys, values in memory
    )


def vocabulary_of(model: Any) -> int:
    """How many tokens a model has an embedding for."""
    return int(model.get_input_embeddings().weight.shape[0])
