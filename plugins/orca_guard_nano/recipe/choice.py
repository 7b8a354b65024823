"""Multiple choice over every other kind of question."""

from dataclasses import replace
from random import Random

from . import arithmetic, compositions, facts, reading, world
from .items import CHOICE, COMPOSITIONS, FACTS, LETTERS, NOT_STATED, Item


def _near(rng: Random, item: Item, *, unseen: bool) -> list[str]:
    """Wrong options of the right sort."""
    value = item.answer
    if value.lstrip("-").isdigit():
        number = int(value)
        spread = [number + d for d in (-20, -11, -10, -9, -2, -1, 1, 2, 3, 9, 10, 11, 20, 100)]
        return [str(n) for n in rng.sample([n for n in spread if n >= 0 or number < 0], 4)]
    if item.category == FACTS:
        return _from_tables(rng, item)
    if item.category == COMPOSITIONS:
        pairs = next((r.pairs for r in facts.RELATIONS if value in {v for _, v in r.pairs}), ())
        return [v for _, v in rng.sample(pairs, min(8, len(pairs)))] or _mentioned(item)
    return _from_passages(rng, item, unseen=unseen)


def _mentioned(item: Item) -> list[str]:
    return [item.answer]


def _from_tables(rng: Random, item: Item) -> list[str]:
    name = item.template.split()[0]
    relation = facts.BY_NAME.get(name)
    pool = [v for _, v in relation.pairs] if relation else [answer for _, answer, _ in world.GENERAL]
    return rng.sample(pool, min(12, len(pool)))


def _from_passages(rng: Random, item: Item, *, unseen: bool) -> list[str]:
    del unseen
    tie = item.template.split()
    found = next((t for domain in reading.DOMAINS for t in domain if t.name == tie[0]), None)
    # Of a relation made up on the spot nobody knows what else could stand there: other words of the passage do.
    if found is None:
        return list(dict.fromkeys(rng.sample(item.text.rstrip(".").split(), min(8, len(item.text.split())))))
    maker = found.subject if tie[1] == "back" else found.value
    return [maker(rng) for _ in range(8)]


def generate(rng: Random, *, unseen: bool = False) -> Item:
    """One question with options; the letter is the answer."""
    makers = (facts.generate, arithmetic.generate, reading.generate, compositions.generate)
    while True:
        item = rng.choices(makers, (10, 5, 5, 2))[0](rng, unseen=unseen)
        count = rng.choice((3, 4, 4, 4, 4, 2, 5))
        wrong = list(dict.fromkeys(w for w in _near(rng, item, unseen=unseen) if w.lower() != item.answer.lower()))
        if item.answer == NOT_STATED or len(wrong) < count - 1 or len(item.question) > 200:
            continue
        # Two true options would make the letter a matter of luck.
        options = [item.answer, *wrong[: count - 1]]
        rng.shuffle(options)
        return replace(item, category=CHOICE, of=item.category, options=tuple(options[: len(LETTERS)]))
