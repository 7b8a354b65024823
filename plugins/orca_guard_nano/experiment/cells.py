"""Training and measuring, cell by cell: what is done is kept, and a run that is cut short goes on."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from orca_guard_nano.recipe import tokenizer as tokens
from orca_guard_nano.recipe.batches import POOL, Batch, Row, cut, encode, feed
from orca_guard_nano.recipe.evaluate import right
from orca_guard_nano.recipe.fleet import Fleet, Weights, member, stacked
from orca_guard_nano.recipe.items import Item
from orca_guard_nano.recipe.messages import CAUTIOUS, EXPLICIT, SYSTEM
from orca_guard_nano.recipe.mixture import render
from orca_guard_nano.recipe.train import build_model, fresh_weights
from orca_guard_nano.recipe.trainer import Trainer, schedule

from . import data
from .plan import ARMS, CATEGORIES, KNOWN, SPLITS, Plan
from .rich import form_of

Log = Callable[[str], None]
KEPT_SECONDS: Final = 240.0
_made: dict[str, Tokenizer] = {}


@dataclass(frozen=True)
class Choice:
    """What the selection split says for one seed."""

    best: dict[str, str]
    single: str
    blind: dict[str, str]


def _tokenizer(path: str) -> Tokenizer:
    if path not in _made:
        _made[path] = Tokenizer.from_file(path)
    return _made[path]


def _longest(row: Row) -> int:
    return max(len(ids) for ids, _ in row)


def _side_by_side(parts: Iterable[list[Row]]) -> list[Row]:
    """Rows of several seeds as one: like lengths together, so that little is padding."""
    ordered = (sorted(rows, key=_longest) for rows in parts)
    return [tuple(one for row in rows for one in row) for rows in zip(*ordered, strict=True)]


def base_pool(number: int, *, path: str, seeds: Sequence[int], plan: Plan) -> list[Batch]:
    """One pool of base documents, a stream for each seed."""
    read = _tokenizer(path)
    parts = []
    for seed in seeds:
        rng = Random(f"base {seed} {number}")
        parts.append([
            (encode(data.base_document(rng, drills=plan.drills), tokenizer=read),) for _ in range(POOL)
        ])  # fmt: skip
    return cut(_side_by_side(parts), size=plan.batch, pad=tokens.PAD_ID, seed=number)


def arm_pool(number: int, *, path: str, choices: dict[int, Choice], plan: Plan) -> list[Batch]:
    """One pool of questions, each written for every arm of each seed."""
    read = _tokenizer(path)
    parts = []
    for seed, choice in choices.items():
        rng = Random(f"arms {seed} {number}")
        parts.append([
            tuple(
                encode(document, tokenizer=read)
                for document in data.arm_documents(
                    rng, best=choice.best, blind=choice.blind, single=choice.single, share=plan.cautious_share
                )
            )
            for _ in range(POOL // len(ARMS))
        ])  # fmt: skip
    return cut(_side_by_side(parts), size=plan.batch, pad=tokens.PAD_ID, seed=number)


@dataclass
class Bench:
    """The folder of one experiment and the machine it runs on."""

    plan: Plan
    out: Path
    device: torch.device
    workers: int = 0
    width: int = 64
    log: Log = print
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        path = self.tokenizer_path
        if not path.exists():
            tokens.build(vocabulary=self.plan.vocabulary).save(str(path))
        self.tokenizer = Tokenizer.from_file(str(path))
        self.config = build_model(self.tokenizer, size=self.plan.size).config

    @property
    def tokenizer_path(self) -> Path:
        """The one tokenizer of all cells."""
        return self.out / "tokenizer.json"

    def cell(self, seed: int, name: str) -> Path:
        """Where a piece of one seed is kept."""
        folder = self.out / f"seed-{seed}"
        folder.mkdir(exist_ok=True)
        return folder / name

    def run(self, seeds: Sequence[int]) -> None:
        """Everything for some seeds, side by side."""
        if all(self.cell(seed, "result.json").exists() for seed in seeds):
            return
        begun = time.monotonic()
        self._base(seeds)
        self.log(f"seeds {seeds}: base after {time.monotonic() - begun:.0f} s")
        choices = self._choices(seeds)
        self.log(f"seeds {seeds}: strategies chosen after {time.monotonic() - begun:.0f} s: {choices}")
        self._arms(seeds, choices)
        self.log(f"seeds {seeds}: arms after {time.monotonic() - begun:.0f} s")
        self._test(seeds, choices)
        self.log(f"seeds {seeds}: measured after {time.monotonic() - begun:.0f} s")

    def _trained(self, weights: Weights, make: Callable[[int], list[Batch]], *, budget: int,
                 rates: tuple[float, float], state: Path) -> Weights:  # fmt: skip
        trainer = Trainer(
            self.config, weights, device=self.device, matrix_rate=rates[0], other_rate=rates[1], average=0.99
        )
        seen, pool = 0, 0
        if state.exists():
            kept = torch.load(state, map_location=self.device, weights_only=True)
            trainer.restore(kept)
            seen, pool = kept["seen"], kept["pool"] + 1
        saved = time.monotonic()
        for pool, batch in feed(make, workers=self.workers, first=pool):  # noqa: B020  # where a kept run goes on
            trainer.step(batch, scale=schedule(seen / budget, warmup=0.02, cooldown=0.35))
            seen += batch.size
            if trainer.steps % 200 == 0:
                self.log(f"{state.stem} step {trainer.steps} tokens {seen} of {budget} loss {trainer.losses()[0]:.3f}")
            if time.monotonic() - saved > KEPT_SECONDS:
                torch.save({**trainer.state(), "seen": seen, "pool": pool}, state)
                saved = time.monotonic()
            if seen >= budget:
                break
        state.unlink(missing_ok=True)
        return trainer.average

    def _base(self, seeds: Sequence[int]) -> None:
        paths = [self.cell(seed, "base.safetensors") for seed in seeds]
        if all(path.exists() for path in paths):
            return
        _, weights = fresh_weights(self.tokenizer, size=self.plan.size, seeds=seeds)
        make = partial(base_pool, path=str(self.tokenizer_path), seeds=tuple(seeds), plan=self.plan)
        done = self._trained(
            weights, make, budget=self.plan.base_tokens, rates=self.plan.base_rates,
            state=self.cell(seeds[0], f"base-{len(seeds)}.pt"),
        )  # fmt: skip
        for number, path in enumerate(paths):
            save_file(member(done, number), path)

    def _fleet(self, paths: Sequence[Path]) -> Fleet:
        weights = stacked([load_file(path) for path in paths])
        return Fleet(self.config, {name: weight.to(self.device) for name, weight in weights.items()})

    def _answers(self, fleet: Fleet, asked: Sequence[Sequence[tuple[str, str]]]) -> list[list[tuple[str, int]]]:
        """For each model the answers to its ⟨message, question⟩ pairs, with how many tokens each took."""
        prompts = [[self._prompt(*pair) for pair in pairs] for pairs in asked]
        # All models have as many questions; each works through its own from the shortest to the longest.
        orders = [sorted(range(len(rows)), key=lambda i, rows=rows: len(rows[i])) for rows in prompts]  # type: ignore[misc]
        replies: list[list[tuple[str, int]]] = [[("", 0)] * len(rows) for rows in prompts]
        end = self.tokenizer.token_to_id(tokens.END)
        for start in range(0, len(orders[0]), self.width):
            chunk = [order[start : start + self.width] for order in orders]
            said = fleet.answers(
                [[rows[i] for i in part] for rows, part in zip(prompts, chunk, strict=True)],
                end=end, limit=self.plan.longest,
            )  # fmt: skip
            for model, (part, texts) in enumerate(zip(chunk, said, strict=True)):
                for i, ids in zip(part, texts, strict=True):
                    replies[model][i] = self.tokenizer.decode(ids), len(ids)
        return replies

    def _prompt(self, message: str, question: str) -> list[int]:
        text = "".join(part for part, _ in render(SYSTEM[message], [forms_turn(question)])[:2])
        return list(self.tokenizer.encode(text).ids)

    def _choices(self, seeds: Sequence[int]) -> dict[int, Choice]:
        """The best strategy of each category, by what the seed's own base does on the selection split."""
        paths = [self.cell(seed, "selection.json") for seed in seeds]
        if not all(path.exists() for path in paths):
            items = [self._items(seed, data.SELECTION, self.plan.selection) for seed in seeds]
            asked = [[(s, whole) for s in EXPLICIT for _, whole in rows] for rows in items]
            fleet = self._fleet([self.cell(seed, "base.safetensors") for seed in seeds])
            for path, rows, said in zip(paths, items, self._answers(fleet, asked), strict=True):
                scored = [
                    (strategy, *_scored(item, *reply))
                    for (strategy, item), reply in zip(
                        ((s, item) for s in EXPLICIT for item, _ in rows), said, strict=True
                    )
                ]
                path.write_text(json.dumps(_by_strategy(scored)), "utf-8")
        return {
            seed: chosen(json.loads(path.read_text("utf-8")), plan=self.plan, seed=seed)
            for seed, path in zip(seeds, paths, strict=True)
        }

    def _items(self, seed: int, split: str, count: int) -> list[tuple[Item, str]]:
        return [
            pair for c in CATEGORIES for pair in data.sample(seed, split=split, category=c, count=count)
        ]  # fmt: skip

    def _arms(self, seeds: Sequence[int], choices: dict[int, Choice]) -> None:
        paths = [self.cell(seed, f"arm-{number}.safetensors") for seed in seeds for number in range(len(ARMS))]
        if all(path.exists() for path in paths):
            return
        bases = [load_file(self.cell(seed, "base.safetensors")) for seed in seeds for _ in ARMS]
        make = partial(arm_pool, path=str(self.tokenizer_path), choices=choices, plan=self.plan)
        done = self._trained(
            stacked(bases), make, budget=self.plan.arm_tokens, rates=self.plan.arm_rates,
            state=self.cell(seeds[0], f"arms-{len(seeds)}.pt"),
        )  # fmt: skip
        for number, path in enumerate(paths):
            save_file(member(done, number), path)

    def _test(self, seeds: Sequence[int], choices: dict[int, Choice]) -> None:
        """Every arm under the cautious message on both splits, and under every other message for its form."""
        fleet = self._fleet([self.cell(s, f"arm-{n}.safetensors") for s in seeds for n in range(len(ARMS))])
        items = {seed: {split: self._items(seed, split, self.plan.test) for split in SPLITS} for seed in seeds}
        steer = {seed: self._steering(items[seed][KNOWN]) for seed in seeds}
        asked = []
        for seed in seeds:
            whole = [(CAUTIOUS, w) for split in SPLITS for _, w in items[seed][split]]
            asked += [whole + [(s, w) for s in EXPLICIT for _, w in steer[seed]]] * len(ARMS)
        replies = self._answers(fleet, asked)
        for place, seed in enumerate(seeds):
            mine = replies[place * len(ARMS) : (place + 1) * len(ARMS)]
            found: dict[str, Any] = {"seed": seed, "choice": vars(choices[seed])}
            found["selection"] = json.loads(self.cell(seed, "selection.json").read_text("utf-8"))
            start = 0
            for split in SPLITS:
                rows = [item for item, _ in items[seed][split]]
                found[split] = _clusters(rows, [said[start : start + len(rows)] for said in mine], choices[seed].best)
                start += len(rows)
            found["steering"] = _steered([item for item, _ in steer[seed]], [said[start:] for said in mine])
            self.cell(seed, "result.json").write_text(json.dumps(found), "utf-8")

    def _steering(self, items: list[tuple[Item, str]]) -> list[tuple[Item, str]]:
        step = self.plan.test
        return [pair for start in range(0, len(items), step) for pair in items[start : start + self.plan.steering]]


def forms_turn(question: str) -> Any:
    """A turn that is still to be answered."""
    from orca_guard_nano.recipe.forms import Turn  # noqa: PLC0415

    return Turn(question, "")


def _scored(item: Item, text: str, cost: int) -> tuple[str, bool, int, str]:
    return item.category, right(item, text), cost, form_of(text)


def _by_strategy(rows: Iterable[tuple[str, str, bool, int, str]]) -> dict[str, dict[str, list[int]]]:
    """For each strategy and category: items, right ones, tokens, and answers of the form asked for."""
    table: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0, 0]))
    for strategy, category, ok, cost, form in rows:
        cell = table[strategy][category]
        for place, value in enumerate((1, ok, cost, form == strategy)):
            cell[place] += value
    return {strategy: dict(cells) for strategy, cells in table.items()}


def chosen(table: dict[str, dict[str, list[int]]], *, plan: Plan, seed: int) -> Choice:
    """By accuracy, then by cost: the cheapest of those within the tolerance of the most accurate."""

    def pick(scores: dict[str, tuple[float, float]]) -> str:
        most = max(accuracy for accuracy, _ in scores.values())
        near = [s for s, (accuracy, _) in scores.items() if accuracy >= most - plan.tolerance]
        return min(near, key=lambda s: (scores[s][1], s))

    def score(cells: list[list[int]]) -> tuple[float, float]:
        return sum(c[1] / c[0] for c in cells) / len(cells), sum(c[2] / c[0] for c in cells) / len(cells)

    best = {c: pick({s: score([table[s][c]]) for s in EXPLICIT}) for c in CATEGORIES}
    single = pick({s: score([table[s][c] for c in CATEGORIES]) for s in EXPLICIT})
    return Choice(best, single, plan.random_assignment(seed))


def _clusters(items: Sequence[Item], said: Sequence[Sequence[tuple[str, int]]], best: dict[str, str]) -> list[Any]:
    """For each template: category, name, items, and by arm the right ones, tokens, well-formed, of the best form."""
    table: dict[tuple[str, str], list[Any]] = {}
    for number, item in enumerate(items):
        key = (item.category, data.template(item))
        cell = table.setdefault(key, [0, *([0] * len(ARMS) for _ in range(4))])
        cell[0] += 1
        for arm, replies in enumerate(said):
            _, ok, cost, form = _scored(item, *replies[number])
            for place, value in enumerate((ok, cost, form in EXPLICIT, form == best[item.category]), 1):
                cell[place][arm] += value
    return [[*key, *cell] for key, cell in sorted(table.items())]


def _steered(items: Sequence[Item], said: Sequence[Sequence[tuple[str, int]]]) -> dict[str, Any]:
    """By arm and strategy asked for: items, right ones, tokens, and answers of that form."""
    asked = [(strategy, item) for strategy in EXPLICIT for item in items]
    return {
        arm: _by_strategy(
            (strategy, *_scored(item, *reply)) for (strategy, item), reply in zip(asked, replies, strict=True)
        )
        for arm, replies in zip(ARMS, said, strict=True)
    }
