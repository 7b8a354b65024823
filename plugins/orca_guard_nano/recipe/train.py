"""Train nano: `python -m orca_guard_nano.recipe.train --out DIR`, then further with `--stage second --start DIR`.

Four stages: everything; then reading, and facts without their recital, more and harder; then both in dense practice,
many questions a document; then the choice of a strategy, whose message is erased over the form that was measured best
(`--chosen`, what `recipe.choose` wrote). A later stage starts from the weights that the one before left, with momenta
at rest.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from . import tokenizer as tokens
from .batches import Batch, feed, pool
from .fleet import Weights, member, stacked, weights_of
from .mixture import DIETS, Diet
from .trainer import Trainer, device_of, schedule
from .wiring import wire

Log = Callable[[str], None]
CHECKPOINT_SECONDS: Final = 240.0
SPOKEN_STEPS: Final = 50

SIZES: Final[dict[str, dict[str, Any]]] = {
    "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128},
    "small": {"hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 6, "intermediate_size": 512},
    "medium": {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 8, "intermediate_size": 512},
    "full": {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 8, "intermediate_size": 512},
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what comes out, beside the weights that a later stage starts from."""

    stage: str = "first"
    seed: int = 0
    tokens: int = 64_000_000
    minutes: float = 180.0
    size: str = "full"
    vocabulary: int = 4096
    batch: int = 4096
    matrix_rate: float = 0.01
    other_rate: float = 0.003
    warmup: float = 0.01
    cooldown: float = 0.35
    average: float = 0.995
    # Copying is what everything else waits for, so the drills come thick at first.
    drills: float = 0.35
    early_drills: float = 0.5
    early_pools: int = 10
    device: str = "auto"
    workers: int = 0


# Further stages start from a model that can already copy: no extra drills, a lower rate, and a longer way down.
STAGES: Final = {
    "first": Recipe(),
    "second": Recipe(
        stage="second", seed=1, tokens=18_000_000, matrix_rate=0.006, other_rate=0.002, warmup=0.02, cooldown=0.8,
        drills=0.3, early_drills=0.3,
    ),
    "third": Recipe(
        stage="third", seed=3, tokens=20_000_000, matrix_rate=0.006, other_rate=0.002, warmup=0.02, cooldown=0.8,
    ),
    "fourth": Recipe(
        stage="fourth", seed=4, tokens=5_000_000, matrix_rate=0.002, other_rate=0.0007, warmup=0.05, cooldown=0.8,
        average=0.99,
    ),
}  # fmt: skip


def build_model(tokenizer: Tokenizer, *, size: str) -> LlamaForCausalLM:
    """A fresh model over the tokenizer's vocabulary."""
    shape = SIZES[size]
    config = LlamaConfig(
        **shape, num_key_value_heads=shape["num_attention_heads"] // 2, vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=2048, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=tokenizer.token_to_id(tokens.END), pad_token_id=tokenizer.token_to_id(tokens.PAD),
    )  # fmt: skip
    return LlamaForCausalLM(config)


_worker: dict[str, Any] = {}


def drill_share(number: int, *, recipe: Recipe) -> float:
    """The share of drills in a pool: thick at first, then thinning out."""
    early = max(0.0, 1 - number / max(1, recipe.early_pools))
    return recipe.drills + (recipe.early_drills - recipe.drills) * early


def _pool(number: int, *, path: str, recipe: Recipe, diet: Diet) -> list[Batch]:
    if path not in _worker:
        _worker[path] = Tokenizer.from_file(path)
    diet, seed = diet.at(number), recipe.seed * 1_000_003 + number
    drills = drill_share(number, recipe=recipe) if diet.share is None else diet.share
    return pool(seed, tokenizer=_worker[path], size=recipe.batch, drills=drills, pad=tokens.PAD_ID, diet=diet)


def fresh_weights(tokenizer: Tokenizer, *, size: str, seeds: Sequence[int]) -> tuple[LlamaConfig, Weights]:
    """Wired weights of one model a seed, side by side, and their shape."""
    models = []
    for seed in seeds:
        torch.manual_seed(seed)
        models.append(build_model(tokenizer, size=size))
        wire(models[-1])
    return models[0].config, stacked([weights_of(model) for model in models])


def kept_weights(directory: Path) -> tuple[LlamaConfig, Weights]:
    """The weights a stage starts from, and their shape."""
    model = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32)
    return model.config, stacked([weights_of(model)])


def save(config: LlamaConfig, tokenizer: Tokenizer, *, weights: Weights, out: Path) -> None:
    """Write a directory that plain transformers loads."""
    shipped: Any = LlamaForCausalLM(config)
    shipped.load_state_dict({**weights, "lm_head.weight": weights["model.embed_tokens.weight"]})
    end = tokenizer.token_to_id(tokens.END)
    shipped.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=end, pad_token_id=tokenizer.token_to_id(tokens.PAD), do_sample=False, max_new_tokens=256
    )
    shipped.to(torch.bfloat16).save_pretrained(out)
    tokens.save(tokenizer, directory=out)


def device_name(device: torch.device) -> str:
    """What the model was trained on, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    count = torch.get_num_threads()
    return f"{count} CPU core{'s' if count > 1 else ''}"


def say(line: str) -> None:
    """A line of progress, at once."""
    print(line, flush=True)


class Run:
    """One training, from where it stands to the end of its budget."""

    def __init__(self, recipe: Recipe, *, out: Path, log: Log, start: Path | None = None,
                 chosen: Mapping[str, str] | None = None) -> None:  # fmt: skip
        self.recipe, self.out, self.log = recipe, out, log
        self.diet = DIETS[recipe.stage].erasing(chosen or {})
        self.tokenizer = _tokenizer(recipe, out=out, start=start)
        if start:
            self.config, weights = kept_weights(start)
        else:
            self.config, weights = fresh_weights(self.tokenizer, size=recipe.size, seeds=(recipe.seed,))
        self.trainer = Trainer(
            self.config, weights, device=device_of(recipe.device), matrix_rate=recipe.matrix_rate,
            other_rate=recipe.other_rate, average=recipe.average,
        )  # fmt: skip
        self.seen, self.pool, self.seconds, self.loss = 0, 0, 0.0, 0.0
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
        fresh = self.state_path.with_suffix(".new")
        torch.save({**self.trainer.state(), "counts": (self.seen, self.pool, self.seconds, self.loss)}, fresh)
        fresh.replace(self.state_path)

    def _resume(self) -> None:
        state = torch.load(self.state_path, map_location=self.trainer.device, weights_only=True)
        self.trainer.restore(state)
        self.seen, self.pool, self.seconds, self.loss = state["counts"]
        # The rest of the pool in hand is skipped: no document is shown twice.
        self.pool += 1

    def _save(self, directory: Path) -> None:
        save(self.config, self.tokenizer, weights=member(self.trainer.average, 0), out=directory)

    def finish(self) -> dict[str, Any]:
        """Train until the budget is spent, and save."""
        make = partial(_pool, path=str(self.out / "tokenizer.json"), recipe=self.recipe, diet=self.diet)
        batches = feed(make, workers=self.recipe.workers, first=self.pool)
        begun, before, saved = time.monotonic(), self.seconds, time.monotonic()
        while self.progress < 1:
            self.pool, batch = next(batches)
            rise, fall = self.recipe.warmup, self.recipe.cooldown
            self.trainer.step(batch, scale=schedule(self.progress, warmup=rise, cooldown=fall))
            self.seen += batch.size
            self.seconds = before + time.monotonic() - begun
            if self.trainer.steps % SPOKEN_STEPS == 0:
                self._tell()
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                self.checkpoint()
                saved = time.monotonic()
        self._tell()
        self._save(self.out)
        return {
            "steps": self.trainer.steps, "tokens": self.seen, "minutes": round(self.seconds / 60, 1),
            "loss": round(self.loss, 4), "device": device_name(self.trainer.device),
        }  # fmt: skip

    def _tell(self) -> None:
        [loss] = self.trainer.losses()
        self.loss = 0.8 * self.loss + 0.2 * loss if self.loss else loss
        steps, seconds = self.trainer.steps, self.seconds
        self.log(f"step {steps} tokens {self.seen} loss {self.loss:.3f} seconds {seconds:.0f}")


def _tokenizer(recipe: Recipe, *, out: Path, start: Path | None) -> Tokenizer:
    out.mkdir(parents=True, exist_ok=True)
    path = (start or out) / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path)) if path.exists() else tokens.build(vocabulary=recipe.vocabulary)
    tokenizer.save(str(out / "tokenizer.json"))
    return tokenizer


def train(recipe: Recipe, *, out: Path, log: Log = say, start: Path | None = None,
          chosen: Mapping[str, str] | None = None) -> dict[str, Any]:  # fmt: skip
    """Run a stage, or go on with it where it was cut short, and return what it and those before it cost."""
    before = json.loads((start / "training.json").read_text())["stages"] if start else []
    spent = {"recipe": asdict(recipe), **Run(recipe, out=out, log=log, start=start, chosen=chosen).finish()}
    if chosen:
        spent["chosen"] = dict(chosen)
    stages = [*before, spent]
    (out / "training.json").write_text(json.dumps({"stages": stages}, indent=1))
    return spent


def parser() -> argparse.ArgumentParser:
    """Every part of a recipe as an option; what is not said is as the stage has it."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, required=True)
    made.add_argument("--start", type=Path, help="the directory that the stage before wrote")
    made.add_argument("--chosen", type=Path, help="which strategy is erased from which kind of question (JSON)")
    made.add_argument("--stage", choices=sorted(STAGES), default="first")
    for name, value in asdict(Recipe()).items():
        if name != "stage":
            made.add_argument(f"--{name.replace('_', '-')}", type=type(value))
    made.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return made


def main() -> None:
    """The command line."""
    arguments = parser().parse_args()
    given = {name: value for name, value in vars(arguments).items() if name in asdict(Recipe()) and value is not None}
    if (arguments.stage == "first") != (arguments.start is None):
        parser().error("the first stage starts from nothing, the others from --start DIR")
    chosen = json.loads(arguments.chosen.read_text())["chosen"] if arguments.chosen else None
    torch.set_num_threads(arguments.threads)
    recipe = replace(STAGES[arguments.stage], **given)
    print(json.dumps(train(recipe, out=arguments.out, start=arguments.start, chosen=chosen)))


if __name__ == "__main__":
    main()
