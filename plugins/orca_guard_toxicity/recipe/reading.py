"""Before it learns labels, the encoder learns to guess hidden words of the same rows (Devlin et al. 2019)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertForSequenceClassification

from orca_guard.identity import derive_seed

from . import tokenizer as tokens
from .batches import grouped, padded, schedule

HIDDEN: Final = 0.15
"""Share of tokens that are hidden."""


class Reading:
    """The encoder, an output layer that shares its embeddings, and where the reading stands.

    It goes on after the last whole epoch; each draws its chance from the seed and its number.
    """

    def __init__(self, model: BertForSequenceClassification, *, rate: float, state: Path) -> None:
        self.model, self.rate, self.state = model, rate, state
        width = int(model.config.hidden_size)
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(int(model.config.vocab_size)))
        parameters = [*model.bert.parameters(), *self.head.parameters(), self.bias]
        self.adam = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
        self.epoch = 0
        if state.exists():
            self._resume()

    def _parts(self) -> dict[str, Any]:
        return {"model": self.model, "head": self.head, "adam": self.adam}

    def _checkpoint(self) -> None:
        fresh = self.state.with_suffix(".new")
        held = {name: part.state_dict() for name, part in self._parts().items()}
        torch.save({**held, "bias": self.bias.detach(), "epoch": self.epoch}, fresh)
        fresh.replace(self.state)

    def _resume(self) -> None:
        held = torch.load(self.state, weights_only=True)
        for name, part in self._parts().items():
            part.load_state_dict(held[name])
        with torch.no_grad():
            self.bias.copy_(held["bias"])
        self.epoch = held["epoch"]

    def finish(
        self, ids: Sequence[Sequence[int]], *, epochs: int, size: int, seed: int, log: Callable[[str], None]
    ) -> None:
        """Read all texts so many times."""
        while self.epoch < epochs:
            number = derive_seed("reading", seed, self.epoch)
            torch.manual_seed(number)
            batches = list(grouped([len(row) for row in ids], size=size))
            Random(number).shuffle(batches)
            total = 0.0
            for step, places in enumerate(batches):
                for group in self.adam.param_groups:
                    group["lr"] = self.rate * schedule((self.epoch + (step + 0.5) / len(batches)) / epochs)
                total += self._update(padded([ids[place] for place in places]))
            self.epoch += 1
            self._checkpoint()
            log(f"reading {self.epoch} of {epochs}: loss {total / len(batches):.3f}")

    def _update(self, ids: Tensor) -> float:
        hidden = (torch.rand(ids.shape) < HIDDEN) & (ids >= len(tokens.SPECIAL))
        if not hidden.any():
            return 0.0
        shown = ids.masked_fill(hidden, tokens.UNKNOWN_ID)
        states = self.model.bert(input_ids=shown, attention_mask=(ids != tokens.PAD_ID).long()).last_hidden_state
        logits = self.head(states[hidden]) @ self.model.bert.embeddings.word_embeddings.weight.T + self.bias
        loss = functional.cross_entropy(logits, ids[hidden])
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        return float(loss.detach())
