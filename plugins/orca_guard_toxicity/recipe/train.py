"""Train both scorers from nothing: `python -m orca_guard_toxicity.recipe.train DATA --out DIR`."""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertForSequenceClassification

from orca_guard.identity import derive_seed, digest_file

from . import rows as labelled
from . import terms
from . import tokenizer as tokens
from .batches import grouped, padded, schedule
from .linear import fit_ngrams, out_of_fold
from .measures import auroc
from .rows import DAVIDSON, HARMLESS, HATEMOJI, LABELLED, SPANS, TOXIGEN, Row
from .scorers import FILES, LABELS

Log = Callable[[str], None]
CHECKPOINT_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what comes out; chosen on dev.

    Attributes:
        teacher: weight of the out-of-fold linear teacher in the target, against what people said.
        swap: how often the names of groups in a text are put in one another's place.
        masked: share of tokens that are hidden.
        tweets: rows an epoch of that set; likewise the others. Both labels are drawn equally often.
        batch: tokens of one, padding included.
    """

    seed: int = 0
    epochs: int = 6
    vocabulary: int = 12_000
    width: int = 128
    layers: int = 2
    heads: int = 4
    dropout: float = 0.25
    rate: float = 0.0015
    decay: float = 0.05
    batch: int = 1536
    teacher: float = 0.7
    swap: float = 0.5
    masked: float = 0.2
    attack: float = 0.3
    tweets: int = 3000
    emoji: int = 5000
    groups: int = 5000
    sentences: int = 5000
    harmless: int = 600

    def drawn(self) -> dict[str, int]:
        """Rows an epoch, by set."""
        return {
            DAVIDSON: self.tweets, HATEMOJI: self.emoji, TOXIGEN: self.groups, SPANS: self.sentences,
            HARMLESS: self.harmless,
        }  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """Token ids [rows, length], targets [rows, 2], and how much each counts [rows, 2]."""

    ids: Tensor
    targets: Tensor
    weights: Tensor


def build_model(recipe: Recipe, *, vocabulary: int) -> BertForSequenceClassification:
    """A fresh classifier."""
    config = BertConfig(
        vocab_size=vocabulary, hidden_size=recipe.width, num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads, intermediate_size=2 * recipe.width, max_position_embeddings=tokens.LENGTH,
        hidden_dropout_prob=recipe.dropout, attention_probs_dropout_prob=0.1, pad_token_id=tokens.PAD_ID,
        id2label=dict(enumerate(LABELS)), label2id={name: place for place, name in enumerate(LABELS)},
        problem_type="multi_label_classification",
    )  # fmt: skip
    return BertForSequenceClassification(config)


def draw(rows: Sequence[Row], *, recipe: Recipe, chance: Random) -> list[Row]:
    """The rows of one epoch: every set as often as the recipe says, half of them toxic where it has both."""
    drawn: list[Row] = []
    for source, count in recipe.drawn().items():
        kinds = [[row for row in rows if row.source == source and row.toxic == toxic] for toxic in (False, True)]
        for kind in filter(None, kinds):
            wanted = count // len(list(filter(None, kinds)))
            drawn += kind * (wanted // len(kind)) + chance.sample(kind, wanted % len(kind))
    chance.shuffle(drawn)
    return drawn


def varied(text: str, *, share: float, chance: Random) -> str:
    """The text, or as often as the share says the same with other groups in the place of those that it names."""
    if chance.random() >= share:
        return text
    others = {name: chance.choice(list(terms.GROUPS)) for name in terms.GROUPS}
    return terms.replaced(text, lambda group, form: chance.choice(getattr(terms.GROUPS[others[group]], form)))


class Feed:
    """The batches of every epoch, which depend on the seed and the number of the epoch alone."""

    def __init__(self, rows: Sequence[Row], *, tokenizer: Tokenizer, taught: Sequence[float], recipe: Recipe) -> None:
        self.rows, self.tokenizer, self.recipe = rows, tokenizer, recipe
        self.taught = {id(row): teaching for row, teaching in zip(rows, taught, strict=True)}

    def epoch(self, number: int) -> list[Batch]:
        """All batches of one epoch."""
        chance = Random(derive_seed("toxicity", self.recipe.seed, number))
        rows = draw(self.rows, recipe=self.recipe, chance=chance)
        texts = [varied(row.text, share=self.recipe.swap, chance=chance) for row in rows]
        ids = [self._masked(found.ids, chance) for found in self.tokenizer.encode_batch(texts)]
        batches = [
            Batch(padded([ids[i] for i in places]), *self._targets([rows[i] for i in places]))
            for places in grouped([len(row) for row in ids], size=self.recipe.batch)
        ]
        chance.shuffle(batches)
        return batches

    def _masked(self, ids: list[int], chance: Random) -> list[int]:
        hidden, share = tokens.UNKNOWN_ID, self.recipe.masked
        return [hidden if i >= len(tokens.SPECIAL) and chance.random() < share else i for i in ids]

    def _targets(self, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        share = self.recipe.teacher
        targets = [[(1 - share) * row.degree + share * self.taught[id(row)], row.attack or 0.0] for row in rows]
        weights = [[1.0, self.recipe.attack * (row.attack is not None)] for row in rows]
        return torch.tensor(targets), torch.tensor(weights)


def logits_of(model: nn.Module, ids: Tensor) -> Tensor:
    """Logits [rows, 2] of token ids [rows, length]."""
    logits: Tensor = model(input_ids=ids, attention_mask=(ids != tokens.PAD_ID).long()).logits
    return logits


def scored(model: nn.Module, tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    """Probabilities [texts, 2]; what is beyond the length is not read."""
    ids = [found.ids for found in tokenizer.encode_batch(list(texts))]
    scores = torch.zeros(len(ids), len(LABELS))
    model.eval()
    with torch.inference_mode():
        for places in grouped([len(row) for row in ids], size=8192):
            scores[places] = logits_of(model, padded([ids[i] for i in places])).sigmoid()
    model.train()
    return scores


class Run:
    """One training, from where it stands to its end."""

    def __init__(self, recipe: Recipe, *, feed: Feed, dev: Sequence[Row], out: Path, log: Log) -> None:
        self.recipe, self.feed, self.dev, self.out, self.log = recipe, feed, dev, out, log
        torch.manual_seed(recipe.seed)
        self.model = build_model(recipe, vocabulary=feed.tokenizer.get_vocab_size())
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim == 1]
        groups = [{"params": matrices, "weight_decay": recipe.decay}, {"params": others, "weight_decay": 0.0}]
        self.adam = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98))
        self.epoch, self.step, self.seconds, self.history = 0, 0, 0.0, list[dict[str, float]]()
        self.best: dict[str, Tensor] = {}
        if self.state_path.exists():
            self._resume()

    @property
    def state_path(self) -> Path:
        """Where a run that was cut short left off."""
        return self.out / "state.pt"

    def checkpoint(self) -> None:
        """Leave everything that is needed to go on with the same result."""
        state = {
            "model": self.model.state_dict(), "adam": self.adam.state_dict(), "chance": torch.get_rng_state(),
            "best": self.best, "history": self.history, "counts": (self.epoch, self.step, self.seconds),
            "recipe": asdict(self.recipe),
        }  # fmt: skip
        fresh = self.state_path.with_suffix(".new")
        torch.save(state, fresh)
        fresh.replace(self.state_path)

    def _resume(self) -> None:
        state = torch.load(self.state_path, weights_only=True)
        if state["recipe"] != asdict(self.recipe):
            raise SystemExit(f"{self.out} holds a run of another recipe. Name another folder, or remove that one.")
        self.model.load_state_dict(state["model"])
        self.adam.load_state_dict(state["adam"])
        torch.set_rng_state(state["chance"])
        self.best, self.history = state["best"], state["history"]
        self.epoch, self.step, self.seconds = state["counts"]

    def _update(self, batch: Batch, *, progress: float) -> float:
        for group in self.adam.param_groups:
            group["lr"] = self.recipe.rate * schedule(progress)
        logits = logits_of(self.model, batch.ids)
        each = functional.binary_cross_entropy_with_logits(logits, batch.targets, reduction="none")
        loss = (each * batch.weights).sum(1).mean()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.adam.step()
        self.model.zero_grad(set_to_none=True)
        return float(loss.detach())

    def finish(self, *, stop_after: int | None = None) -> None:
        """Train to the end, or until so many updates were made, and keep the weights of the best epoch on dev."""
        made, saved = 0, time.monotonic()
        while self.epoch < self.recipe.epochs:
            batches, loss = self.feed.epoch(self.epoch), 0.0
            while self.step < len(batches):
                begun = time.process_time()
                progress = (self.epoch + (self.step + 0.5) / len(batches)) / self.recipe.epochs
                loss = self._update(batches[self.step], progress=progress)
                self.step, made, self.seconds = self.step + 1, made + 1, self.seconds + time.process_time() - begun
                if time.monotonic() - saved > CHECKPOINT_SECONDS or made == stop_after:
                    self.checkpoint()
                    saved = time.monotonic()
                if made == stop_after:
                    return
            self._judge(loss)
            self.epoch, self.step = self.epoch + 1, 0
            self.checkpoint()

    def _judge(self, loss: float) -> None:
        found = on_dev(scored(self.model, self.feed.tokenizer, [row.text for row in self.dev])[:, 0], dev=self.dev)
        before = max((past["mean"] for past in self.history), default=0.0)
        self.history.append({**found, "loss": loss, "seconds": round(self.seconds, 1)})
        if found["mean"] > before:
            self.best = {name: weight.clone() for name, weight in self.model.state_dict().items()}
        self.log(f"epoch {self.epoch + 1} of {self.recipe.epochs}: {json.dumps(self.history[-1])}")


def on_dev(scores: Tensor, *, dev: Sequence[Row]) -> dict[str, float]:
    """AUROC of every set that has rows of both kinds, and their mean."""
    found = {}
    for source in LABELLED:
        places = [place for place, row in enumerate(dev) if row.source == source]
        kinds = torch.tensor([dev[place].toxic for place in places])
        if len(set(kinds.tolist())) > 1:
            found[source] = round(auroc(scores[places].numpy(), kinds.numpy()), 4)
    return {**found, "mean": round(sum(found.values()) / max(1, len(found)), 4)}


def save(model: BertForSequenceClassification, tokenizer: Tokenizer, *, out: Path) -> None:
    """Write a directory that plain transformers loads."""
    model.save_pretrained(out)
    tokens.save(tokenizer, directory=out)


def say(line: str) -> None:
    """A line of progress, at once."""
    print(line, flush=True)


def train(recipe: Recipe, *, rows: Sequence[Row], out: Path, log: Log = say) -> dict[str, Any]:
    """Run the recipe, or go on with it where it was cut short, and return what went in and what it cost.

    The encoder and its teacher have all folds of the training part but the first, the second scorer has the first.
    """
    out.mkdir(parents=True, exist_ok=True)
    training = labelled.training(rows)
    mine, second = [row for row in training if row.fold], [row for row in training if not row.fold]
    dev = labelled.choosing(rows)
    log(f"{len(mine)} rows for the encoder, {len(second)} for the second scorer, {len(dev)} to choose on")
    tokenizer = tokens.build([row.text for row in mine], vocabulary=recipe.vocabulary)
    tokenizer.enable_truncation(tokens.LENGTH)
    feed = Feed(
        mine, tokenizer=tokenizer, taught=out_of_fold(mine) if recipe.teacher else [0.0] * len(mine), recipe=recipe
    )
    run = Run(recipe, feed=feed, dev=dev, out=out, log=log)
    run.finish()
    run.model.load_state_dict(run.best)
    save(run.model, tokenizer, out=out)
    fit_ngrams(second, path=out / FILES["second"])
    spent = {
        "recipe": asdict(recipe), "history": run.history, "seconds": round(run.seconds),
        "rows": {name: labelled.described(found) for name, found in (("encoder", mine), ("second", second))},
        "weights": digest_file(out / FILES["encoder"], fresh=True),
    }  # fmt: skip
    (out / "training.json").write_text(json.dumps(spent, indent=1))
    return spent


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=labelled.folder, help="folder with the published sets")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1, help="the result is the same for the same number")
    for name, value in asdict(Recipe()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    arguments = vars(parser.parse_args())
    data, out = arguments.pop("data"), arguments.pop("out")
    torch.set_num_threads(arguments.pop("threads"))
    train(Recipe(**arguments), rows=labelled.read(data), out=out)


if __name__ == "__main__":
    main()
