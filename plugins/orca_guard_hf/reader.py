"""Many texts through one classifier: side by side without padding where that gives its own numbers, else sorted."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from inspect import signature
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from orca_guard_hf.attention import configs_of, packed, segments_of
from orca_guard_hf.budget import Budget, is_out_of_memory
from orca_guard_hf.fusing import Fused, fused
from orca_guard_hf.products import quicker

Row: TypeAlias = Mapping[str, Sequence[int]]
"""What a tokenizer made of one text: `input_ids`, and `token_type_ids` where the network wants them."""

AFTER_PADDING = frozenset({"roberta", "xlm-roberta", "camembert", "longformer", "mpnet"})
"""Architectures that count positions from the padding id on."""
_CPU, _GPU = 1024, 32768
_PROBE = (7, 23, 2, 64)
_TOLERANCE, _ROUNDING = 1e-4, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """A classifier in memory.

    Attributes:
        model: the network.
        tokenizer: its own.
        labels: in the order of its outputs.
        tokens: whether it labels tokens rather than texts.
        longest: tokens it can read at once.
        device: where it lies.
    """

    model: Any
    tokenizer: Any
    labels: tuple[str, ...]
    tokens: bool
    longest: int
    device: torch.device

    @property
    def first_position(self) -> int:
        """Of a text."""
        return int(self.model.config.pad_token_id) + 1 if self.model.config.model_type in AFTER_PADDING else 0


class Reader:
    """Reads texts with a classifier. The caller sees to it that one thread does so at a time.

    Attributes:
        classifier: whose.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.read = 0
        """Tokens that went through it so far, padding counted too."""
        self._configs = configs_of(classifier.model)
        self._budget = Budget(_CPU if classifier.device.type == "cpu" else _GPU)

    def logits(self, rows: Sequence[Row], *, batch_size: int) -> list[Tensor]:
        """Of every text, (labels,), or (tokens, labels) of a token classifier; in single precision.

        Args:
            rows: texts in any order.
            batch_size: texts in a forward where they cannot be packed.
        """
        found: dict[int, Tensor] = {}
        order = sorted(range(len(rows)), key=lambda n: len(rows[n]["input_ids"]))
        while order:
            left = [rows[n] for n in order]
            logits = self._budget.within(partial(self._some, left, batch_size))
            found.update(zip(order, logits, strict=False))
            order = order[len(logits) :]
        return [found[n] for n in range(len(rows))]

    @cached_property
    def why_not(self) -> str:
        """Why texts are not put side by side; empty where they are. The network is tried when this is first asked."""
        chance = random.Random(1)  # noqa: S311  # nothing is kept secret with it
        lengths = [min(length, self.classifier.longest) for length in _PROBE]
        config = self.classifier.model.config
        special = {*self.classifier.tokenizer.all_special_ids, config.pad_token_id}
        usual = [i for i in range(int(config.vocab_size)) if i not in special]
        ids = [chance.choices(usual, k=length) for length in lengths]
        typed = "token_type_ids" in self.classifier.tokenizer.model_input_names
        rows = [{"input_ids": row} | ({"token_type_ids": [0] * len(row)} if typed else {}) for row in ids]
        try:
            side_by_side = torch.cat([one.flatten() for one in self._packed(rows)])
            alone = torch.cat([one.flatten() for row in rows for one in self._padded([row])])
        except Exception as error:  # an architecture may raise anything at what it was not made for
            if is_out_of_memory(error):
                raise
            return f"it refuses packed forwards ({type(error).__name__})"
        exact = self.classifier.model.dtype == torch.float32
        tolerated = _TOLERANCE if exact else max(_TOLERANCE, _ROUNDING * float(alone.std()))
        return "" if float((side_by_side - alone).abs().max()) < tolerated else "packed forwards change its numbers"

    def _some(self, rows: Sequence[Row], batch_size: int, most: int) -> list[Tensor]:
        """Read the first of these texts, shortest first, up to so many tokens."""
        lengths = np.asarray([len(row["input_ids"]) for row in rows])
        if not self.why_not:
            count = max(int(np.searchsorted(np.cumsum(lengths), most, side="right")), 1)
            return self._packed(rows[:count])
        padded = lengths * np.arange(1, len(rows) + 1)
        count = min(max(int(np.searchsorted(padded, most, side="right")), 1), batch_size)
        return self._padded(rows[:count])

    def _padded(self, rows: Sequence[Row]) -> list[Tensor]:
        """The library's own way."""
        batch = self.classifier.tokenizer.pad([dict(row) for row in rows], return_tensors="pt")
        self.read += batch["input_ids"].numel()
        with torch.inference_mode():
            logits = self.classifier.model(**batch.to(self.classifier.device)).logits.float().cpu()
        if not self.classifier.tokens:
            return list(logits)
        return [line[own.bool()] for line, own in zip(logits, batch["attention_mask"].cpu(), strict=True)]

    def _packed(self, rows: Sequence[Row]) -> list[Tensor]:
        """All in one row, each seeing itself only, counted from its own first position."""
        model, device = self.classifier.model, self.classifier.device
        lengths = [len(row["input_ids"]) for row in rows]
        self.read += sum(lengths)
        if "position_ids" not in signature(model.forward).parameters:
            raise NotImplementedError("it takes no positions from outside")
        more = {name: torch.tensor([[i for row in rows for i in row[name]]], device=device) for name in rows[0]}
        more["position_ids"] = torch.cat([torch.arange(length) for length in lengths])[None].to(device)
        more["position_ids"] += self.classifier.first_position
        starts = torch.tensor([0, *np.cumsum(lengths)[:-1].tolist()], device=device)
        with (
            torch.inference_mode(),
            packed(self._configs, segments_of(lengths)),
            self._pooling(starts),
            fused(self._products),
        ):
            logits = model(**more).logits.float().cpu()
        return list(logits[0].split(lengths)) if self.classifier.tokens else list(logits)

    @cached_property
    def _products(self) -> Fused:
        """Layers whose products another way is faster; many rows go through at once, so copies would gain nothing."""
        return quicker(self.classifier.model, room=0) if self.classifier.device.type == "cpu" else ()

    @contextmanager
    def _pooling(self, starts: Tensor) -> Iterator[None]:
        """Let a sequence classifier see each text's first state as a row of its own, which is all that it looks at."""
        if self.classifier.tokens:
            yield
            return
        base = self.classifier.model.base_model
        last = base.encoder if getattr(base, "pooler", None) is not None else base
        hook = last.register_forward_hook(lambda _module, _args, out: _first_states(out, starts))
        try:
            yield
        finally:
            hook.remove()


def _first_states(out: Any, starts: Tensor) -> Any:
    """The same output with the states of these tokens only, (texts, 1, width)."""
    states = out.last_hidden_state[0]
    return type(out)(last_hidden_state=states[starts.to(states.device)][:, None])
