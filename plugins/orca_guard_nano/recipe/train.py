"""Train nano from nothing: `python -m orca_guard_nano.recipe.train --out DIR`."""

import argparse
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from . import tokenizer as tokens
from .batches import Batch, pool
from .optimizer import Muon
from .wiring import wire

Log = Callable[[str], None]
CHECKPOINT_SECONDS: Final = 240.0

SIZES: Final[dict[str, dict[str, Any]]] = {
    "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128},
    "small": {"hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 6, "intermediate_size": 512},
    "medium": {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 8, "intermediate_size": 512},
    "full": {"hidden_size": 256, "num_hidden_layers": 5, "num_attention_heads": 8, "intermediate_size": 640},
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what comes out."""

    seed: int = 0
    tokens: int = 80_000_000
    minutes: float = 75.0
    size: str = "small"
    vocabulary: int = 3072
    batch: int = 3072
    accumulate: int = 1
    matrix_rate: float = 0.01
    other_rate: float = 0.003
    warmup: float = 0.01
    cooldown: float = 0.35
    average: float = 0.995
    # Copying is what everything else waits for, so the drills come thick at first.
    drills: float = 0.15
    early_drills: float = 0.4
    early_pools: int = 5
    device: str = "auto"
    workers: int = 0
    compile: bool = False
    start: str = ""


def build_model(tokenizer: Tokenizer, *, size: str) -> LlamaForCausalLM:
    """A fresh model over the tokenizer's vocabulary."""
    shape = SIZES[size]
    config = LlamaConfig(
        **shape, num_key_value_heads=shape["num_attention_heads"] // 2, vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=2048, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=tokenizer.token_to_id(tokens.END), pad_token_id=tokenizer.token_to_id(tokens.PAD),
    )  # fmt: skip
    return LlamaForCausalLM(config)


def device_of(name: str) -> torch.device:
    """The device asked for, or the best one there is."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def schedule(progress: float, *, recipe: Recipe) -> float:
    """Trapezoid: up, level, down to nothing."""
    up = progress / recipe.warmup if recipe.warmup else 1.0
    return max(0.0, min(1.0, up, (1 - progress) / recipe.cooldown))


_worker: dict[str, Any] = {}


def drill_share(number: int, *, recipe: Recipe) -> float:
    """The share of drills in a pool: thick at first, then thinning out."""
    early = max(0.0, 1 - number / max(1, recipe.early_pools))
    return recipe.drills + (recipe.early_drills - recipe.drills) * early


def _pool(number: int, *, path: str, recipe: Recipe) -> list[Batch]:
    if path not in _worker:
        _worker[path] = Tokenizer.from_file(path)
    seed, drills = recipe.seed * 1_000_003 + number, drill_share(number, recipe=recipe)
    return pool(seed, tokenizer=_worker[path], size=recipe.batch, drills=drills, pad=tokens.PAD_ID)


def feed(path: Path, *, recipe: Recipe, first: int = 0) -> Iterator[tuple[int, Batch]]:
    """Batches with the number of their pool, in an order that depends on the seed alone, whoever makes them."""
    make = partial(_pool, path=str(path), recipe=recipe)
    if not recipe.workers:
        for number in count(first):
            yield from ((number, batch) for batch in make(number))
    with ProcessPoolExecutor(recipe.workers) as workers:
        waiting = deque((number, workers.submit(make, number)) for number in range(first, first + 2 * recipe.workers))
        while True:
            number, made = waiting.popleft()
            waiting.append((number + 2 * recipe.workers, workers.submit(make, number + 2 * recipe.workers)))
            yield from ((number, batch) for batch in made.result())


def loss_of(body: Any, head: Tensor, batch: Batch, *, device: torch.device) -> Tensor:
    """Summed loss over the positions to be learned; logits are made for those alone."""
    ids, learned = batch.ids.to(device), batch.learned.to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        hidden = body(input_ids=ids, use_cache=False).last_hidden_state[:, :-1][learned[:, :-1]]
        logits = hidden @ head.T
    return functional.cross_entropy(logits.float(), ids[:, 1:][learned[:, :-1]], reduction="sum")


class Average:
    """The running mean of the weights, which is what is saved."""

    def __init__(self, model: nn.Module) -> None:
        self.weights = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module, *, keep: float) -> None:
        """Move the mean a little towards the weights."""
        for name, parameter in model.named_parameters():
            self.weights[name].lerp_(parameter, 1 - keep)


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, *, weights: dict[str, Tensor], out: Path) -> None:
    """Write a directory that plain transformers loads."""
    shipped: Any = LlamaForCausalLM(model.config)
    shipped.load_state_dict({**weights, "lm_head.weight": weights["model.embed_tokens.weight"]})
    end = tokenizer.token_to_id(tokens.END)
    shipped.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=end, pad_token_id=tokenizer.token_to_id(tokens.PAD), do_sample=False, max_new_tokens=256
    )
    shipped.to(torch.bfloat16).save_pretrained(out)
    tokens.save(tokenizer, directory=out)


def say(line: str) -> None:
    """A line of progress, at once."""
    print(line, flush=True)


class Run:
    """One training, from where it stands to the end of its budget."""

    def __init__(self, recipe: Recipe, *, out: Path, log: Log) -> None:
        self.recipe, self.out, self.log = recipe, out, log
        self.device = device_of(recipe.device)
        self.tokenizer = _tokenizer(recipe, out=out)
        self.model = build_model(self.tokenizer, size=recipe.size)
        wire(self.model)
        if recipe.start:
            self.model = LlamaForCausalLM.from_pretrained(recipe.start, dtype=torch.float32)
        nn.Module.to(self.model, self.device)
        named = list(self.model.named_parameters())
        self.others = [p for name, p in named if p.ndim != 2 or "embed" in name]
        self.muon = Muon([p for name, p in named if p.ndim == 2 and "embed" not in name])
        self.adam = torch.optim.AdamW(self.others, lr=recipe.other_rate, betas=(0.9, 0.98), weight_decay=0.0)
        self.average = Average(self.model)
        self.step, self.seen, self.pool, self.seconds, self.loss = 0, 0, 0, 0.0, 0.0
        if self.state_path.exists():
            self._resume()

    @property
    def state_path(self) -> Path:
        """Where a run that was cut short left off."""
        return self.out / "state.pt"

    @property
    def progress(self) -> float:
        """The share of the budget that is spent: of tokens or of minutes, whichever is further."""
        return max(self.seen / self.recipe.tokens, self.seconds / 60 / self.recipe.minutes)

    def checkpoint(self) -> None:
        """Leave weights that load, and everything needed to go on."""
        self._save(self.out / "so-far")
        state = {
            "model": self.model.state_dict(), "adam": self.adam.state_dict(), "muon": self.muon.buffers,
            "average": self.average.weights, "counts": (self.step, self.seen, self.pool, self.seconds, self.loss),
        }  # fmt: skip
        fresh = self.state_path.with_suffix(".new")
        torch.save(state, fresh)
        fresh.replace(self.state_path)

    def _resume(self) -> None:
        state = torch.load(self.state_path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.adam.load_state_dict(state["adam"])
        self.muon.buffers, self.average.weights = state["muon"], state["average"]
        self.step, self.seen, self.pool, self.seconds, self.loss = state["counts"]
        # The rest of the pool in hand is skipped: no document is shown twice.
        self.pool += 1

    def _save(self, directory: Path) -> None:
        weights = {name: weight.cpu() for name, weight in self.average.weights.items()}
        save(self.model, self.tokenizer, weights=weights, out=directory)

    def _update(self, body: Any, group: list[Batch]) -> float:
        learned = sum(int(batch.learned.sum()) for batch in group)
        total = torch.zeros((), device=self.device)
        for batch in group:
            loss = loss_of(body, self.model.model.embed_tokens.weight, batch, device=self.device) / learned
            torch.autograd.backward(loss)
            total += loss.detach()
        nn.utils.clip_grad_norm_(self.others, 1.0)
        scale = schedule(self.progress, recipe=self.recipe)
        self.adam.param_groups[0]["lr"] = self.recipe.other_rate * scale
        self.muon.step(rate=self.recipe.matrix_rate * scale)
        self.adam.step()
        self.model.zero_grad(set_to_none=True)
        self.average.update(self.model, keep=min(self.recipe.average, (self.step + 1) / (self.step + 10)))
        return float(total) if self.step % 10 == 0 else self.loss

    def finish(self) -> dict[str, Any]:
        """Train until the budget is spent, and save."""
        body = torch.compile(self.model.model, dynamic=True) if self.recipe.compile else self.model.model
        batches = feed(self.out / "tokenizer.json", recipe=self.recipe, first=self.pool)
        begun, before, saved = time.monotonic(), self.seconds, time.monotonic()
        while self.progress < 1:
            drawn = [next(batches) for _ in range(self.recipe.accumulate)]
            self.pool = drawn[-1][0]
            loss = self._update(body, [batch for _, batch in drawn])
            self.loss = 0.9 * self.loss + 0.1 * loss if self.loss else loss
            self.seen += sum(batch.size for _, batch in drawn)
            self.seconds = before + time.monotonic() - begun
            if self.step % 50 == 0:
                self.log(f"step {self.step} tokens {self.seen} loss {self.loss:.3f} seconds {self.seconds:.0f}")
            self.step += 1
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                self.checkpoint()
                saved = time.monotonic()
        self._save(self.out)
        return {
            "steps": self.step, "tokens": self.seen, "minutes": round(self.seconds / 60, 1),
            "loss": round(self.loss, 4), "device": str(self.device),
        }  # fmt: skip


def _tokenizer(recipe: Recipe, *, out: Path) -> Tokenizer:
    out.mkdir(parents=True, exist_ok=True)
    path = out / "tokenizer.json"
    if recipe.start:
        path = Path(recipe.start) / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path)) if path.exists() else tokens.build(vocabulary=recipe.vocabulary)
    tokenizer.save(str(out / "tokenizer.json"))
    return tokenizer


def train(recipe: Recipe, *, out: Path, log: Log = say) -> dict[str, Any]:
    """Run the recipe, or go on with it where it was cut short, and return what it cost."""
    torch.manual_seed(recipe.seed)
    spent = Run(recipe, out=out, log=log).finish()
    (out / "training.json").write_text(json.dumps({"recipe": asdict(recipe), **spent}, indent=1))
    return spent


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    for name, value in asdict(Recipe()).items():
        if isinstance(value, bool):
            parser.add_argument(f"--{name}", action="store_true")
        else:
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = vars(parser.parse_args())
    out: Path = arguments.pop("out")
    torch.set_num_threads(arguments.pop("threads"))
    print(json.dumps(train(Recipe(**arguments), out=out)))


if __name__ == "__main__":
    main()
