"""Measure a trained directory on questions it never saw: `python -m orca_guard_nano.recipe.evaluate DIR`."""

import argparse
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from orca_guard.paired import difference
from orca_guard.stats import Sample

from . import forms, mixture
from .fleet import Fleet, stacked, weights_of
from .items import CATEGORIES, CHAT, NOT_STATED, READING, UNKNOWN, Item
from .messages import CAUTIOUS, DIRECT, EXPLICIT, EXTRACT, REASON, RECALL, STEPS, SYSTEM, answer_request, copy_request


class Said(NamedTuple):
    """A reply and what it cost."""

    text: str
    tokens: int


Ask = Callable[[Sequence[tuple[str, str]]], list[Said]]
STRATEGIES: Final = (*EXPLICIT, CAUTIOUS)
COUNT: Final = 300  # items a category and strategy
LIMIT: Final = 200  # new tokens of a reply; the longest work has fewer


@dataclass(frozen=True)
class Outcome:
    """One answered item: what was written last, the tokens of all passes, and whether form and answer are right."""

    item: Item
    strategy: str
    text: str
    tokens: int
    right: bool
    formed: bool


def wilson(hits: int, of: int, *, z: float = 1.96) -> tuple[float, float]:
    """The 95 % score interval of a share."""
    if not of:
        return 0.0, 1.0
    share, room = hits / of, z * z / of
    middle = (share + room / 2) / (1 + room)
    half = z * math.sqrt(share * (1 - share) / of + room / of / 4) / (1 + room)
    return max(0.0, middle - half), min(1.0, middle + half)


def last_answer(text: str) -> str:
    """What stands after the last label, or everything where there is none."""
    return text.rsplit("Answer:", 1)[-1].strip()


def plain(text: str) -> str:
    """An answer without what typing adds to it."""
    return text.strip().rstrip(".!").casefold()


def right(item: Item, text: str) -> bool:
    """Whether the answer is the gold one; an article makes no difference."""
    got, gold = plain(last_answer(text)), plain(item.gold)
    return got.removeprefix("the ") == gold.removeprefix("the ")


def formed(text: str, *, strategy: str) -> bool:
    """Whether the text has the form that its strategy asks for."""
    ends = text.rstrip().rsplit("\n", 1)[-1].startswith("Answer:")
    recalls, reasons = text.startswith("Recall:"), "\nReason:" in text
    if strategy == DIRECT:
        return "Answer:" not in text and "\n" not in text
    if strategy == STEPS:
        return ends and not recalls and not text.startswith(("Extract:", "Answer:"))
    if strategy == RECALL:
        return ends and recalls and not reasons
    if strategy == REASON:
        return ends and recalls and reasons
    return bool(text.strip())


def encoder(tokenizer: Any) -> Callable[[str, str], list[int]]:
    """System message and question as the ids a model continues."""

    def _encode(system: str, user: str) -> list[int]:
        messages = [{"role": "system", "content": system}] if system else []
        chat = [*messages, {"role": "user", "content": user}]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    return _encode


def asker(directory: Path, *, device: str = "cpu", width: int = 64) -> Ask:
    """A greedy batch runner over a plain transformers directory."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    encode = encoder(tokenizer)
    model: Any = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    weights = stacked([weights_of(model)])
    fleet = Fleet(model.config, {name: weight.to(device) for name, weight in weights.items()})

    def _ask(requests: Sequence[tuple[str, str]]) -> list[Said]:
        prompts = [encode(system, user) for system, user in requests]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        replies = [Said("", 0)] * len(prompts)
        for start in range(0, len(order), width):
            chunk = order[start : start + width]
            [said] = fleet.answers([[prompts[i] for i in chunk]], end=model.config.eos_token_id, limit=LIMIT)
            for i, ids in zip(chunk, said, strict=True):
                # The token that ends a reply is paid for too.
                replies[i] = Said(str(tokenizer.decode(ids)), min(len(ids) + 1, LIMIT))
        return replies

    return _ask


def run(ask: Ask, items: Sequence[Item], *, strategy: str, seed: int) -> list[Outcome]:
    """Put every item under one strategy; how an item is typed depends on its place and the seed alone."""
    shown = [forms.presented(item, Random(f"{seed} {number}")) for number, item in enumerate(items)]
    if strategy == EXTRACT:
        return _two_passes(ask, shown)
    said = ask([(SYSTEM[strategy], whole) for _, whole, _ in shown])
    return [
        Outcome(item, strategy, *reply, right(item, reply.text), formed(reply.text, strategy=strategy))
        for (item, _, _), reply in zip(shown, said, strict=True)
    ]


def _two_passes(ask: Ask, shown: Sequence[tuple[Item, str, str]]) -> list[Outcome]:
    first = ask([(SYSTEM[EXTRACT], copy_request(whole)) for _, whole, _ in shown])
    extracts = [said.text.removeprefix("Extract:").strip() for said in first]
    users = [answer_request(question, extract=e) for (_, _, question), e in zip(shown, extracts, strict=True)]
    second = ask([(SYSTEM[EXTRACT], user) for user in users])
    return [
        Outcome(item, EXTRACT, b.text, a.tokens + b.tokens, right(item, b.text), _both_formed(a.text, b.text))
        for (item, _, _), a, b in zip(shown, first, second, strict=True)
    ]


def _both_formed(extract: str, answer: str) -> bool:
    return extract.startswith("Extract:") and answer.rsplit("\n", 1)[-1].startswith("Answer:")


def sample(seed: int, *, category: str, count: int, unseen: bool) -> list[Item]:
    """Held-out items of one category."""
    rng = Random(seed)
    return [mixture.fresh(rng, category=category, unseen=unseen, test=True) for _ in range(count)]


def answered(ask: Ask, *, count: int, seed: int, unseen: bool) -> dict[str, list[Outcome]]:
    """The same items, `count` of every category, under every strategy."""
    items = [i for c in CATEGORIES for i in sample(seed, category=c, count=count, unseen=unseen)]
    return {strategy: run(ask, items, strategy=strategy, seed=seed) for strategy in STRATEGIES}


def rows_of(outcomes: Sequence[Outcome], *, unseen: bool) -> list[dict[str, Any]]:
    """Counts of one strategy, a row for each category."""
    parts: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        parts[outcome.item.category].append(outcome)
        if outcome.item.category == READING:
            parts["unanswerable" if outcome.item.answer == NOT_STATED else "answerable"].append(outcome)
    return [
        {"part": part, "strategy": found[0].strategy, "unseen": unseen, "n": len(found),
         "right": sum(o.right for o in found), "formed": sum(o.formed for o in found),
         "tokens": sum(o.tokens for o in found)}
        for part, found in parts.items()
    ]  # fmt: skip


def questions_of(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Without small talk and questions outside its world, which are no feat."""
    return [o for o in outcomes if o.item.category not in (CHAT, UNKNOWN)]


def against_the_best(found: Mapping[str, Sequence[Outcome]], *, unseen: bool) -> dict[str, Any]:
    """The cautious message beside the single strategy that is most accurate on these very items.

    That strategy is the best of five in hindsight, which flatters it. Differences are item by item; their interval
    takes the questions of one template as one cluster.
    """
    shares = {s: questions_of(found[s]) for s in EXPLICIT}
    best = max(EXPLICIT, key=lambda s: (sum(o.right for o in shares[s]), -sum(o.tokens for o in shares[s])))
    own, other = questions_of(found[CAUTIOUS]), shares[best]
    paired = difference(_scores(own), _scores(other))
    return {
        "unseen": unseen, "best": best, "n": paired.n, "difference": paired.value, "interval": paired.interval(0.95),
        "tokens": sum(o.tokens for o in own) / len(own), "tokens_of_best": sum(o.tokens for o in other) / len(other),
    }  # fmt: skip


def _scores(outcomes: Sequence[Outcome]) -> Sample:
    return Sample(
        scores=[float(o.right) for o in outcomes],
        clusters=[f"{o.item.category} {o.item.template}" for o in outcomes],
    )


def overall(rows: Sequence[dict[str, Any]], *, strategy: str, unseen: bool, field: str = "right") -> tuple[int, int]:
    """Hits and count over the question categories; small talk is no feat and stays out."""
    picked = [r for r in rows if r["strategy"] == strategy and r["unseen"] == unseen]
    picked = [r for r in picked if r["part"] in CATEGORIES and r["part"] not in (CHAT, UNKNOWN)]
    return sum(r[field] for r in picked), sum(r["n"] for r in picked)


def speed(directory: Path) -> float:
    """New tokens a second, one core, one prompt at a time."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model: Any = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    model.eval()
    ids = tokenizer("What is 17 + 26?", return_tensors="pt").input_ids
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        model.generate(ids, max_new_tokens=16, min_new_tokens=16, do_sample=False)
        begun = time.perf_counter()
        model.generate(ids, max_new_tokens=256, min_new_tokens=256, do_sample=False)
    torch.set_num_threads(threads)
    return 256 / (time.perf_counter() - begun)


def show(rows: Sequence[dict[str, Any]]) -> str:
    """The table, as text for a terminal or a card."""
    head = "| part | templates | strategy | n | right % | 95 % | form % | tokens |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for r in rows:
        low, high = wilson(r["right"], r["n"])
        kind = "unseen" if r["unseen"] else "known"
        lines.append(
            f"| {r['part']} | {kind} | {r['strategy']} | {r['n']} | {100 * r['right'] / r['n']:.1f} "
            f"| {100 * low:.1f}-{100 * high:.1f} | {100 * r['formed'] / r['n']:.1f} | {r['tokens'] / r['n']:.1f} |"
        )
    return "\n".join(lines)


def margin_in_words(margin: dict[str, Any]) -> str:
    """The cautious message against the best single strategy, in a sentence."""
    low, high = (100 * bound for bound in margin["interval"])
    fewer = 100 * (1 - margin["tokens"] / margin["tokens_of_best"])
    kind = "unseen" if margin["unseen"] else "known"
    return (
        f"On {kind} templates the cautious message is {100 * margin['difference']:+.1f} points "
        f"({low:+.1f} to {high:+.1f}, n = {margin['n']}) from `{margin['best']}`, the best single strategy, at "
        f"{margin['tokens']:.1f} tokens an answer against {margin['tokens_of_best']:.1f} ({fewer:.0f} % fewer)."
    )


def report(directory: Path, *, count: int, seed: int, device: str = "cpu") -> dict[str, Any]:
    """Everything the model card states."""
    ask = asker(directory, device=device, width=64 if device == "cpu" else 2048)
    rows, margins = [], []
    for unseen in (False, True):
        found = answered(ask, count=count, seed=seed, unseen=unseen)
        rows += [row for outcomes in found.values() for row in rows_of(outcomes, unseen=unseen)]
        margins.append(against_the_best(found, unseen=unseen))
    return {"rows": rows, "margins": margins, "tokens_per_second": round(speed(directory), 1), "seed": seed}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--count", type=int, default=COUNT, help="items a category and strategy")
    parser.add_argument("--seed", type=int, default=20_001)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--speed", action="store_true", help="only the speed, on one core")
    arguments = parser.parse_args()
    if arguments.speed:
        print(round(speed(arguments.directory), 1))
        return
    found = report(arguments.directory, count=arguments.count, seed=arguments.seed, device=arguments.device)
    if arguments.json:
        print(json.dumps(found))
        return
    print(show(found["rows"]))
    for unseen in (False, True):
        for strategy in STRATEGIES:
            hits, of = overall(found["rows"], strategy=strategy, unseen=unseen)
            print(f"overall {'unseen' if unseen else 'known'} {strategy}: {100 * hits / of:.1f} % of {of}")
    print("\n".join(margin_in_words(margin) for margin in found["margins"]))
    print(f"{found['tokens_per_second']} new tokens a second")


if __name__ == "__main__":
    main()
