"""The training stream: conversations over all categories and strategies, and drills for copying and looking up."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from . import arithmetic, chat, choice, compositions, facts, forms, reading
from .items import (
    ARITHMETIC,
    CATEGORIES,
    CHAT,
    CHOICE,
    COMPOSITIONS,
    FACTS,
    LETTERS,
    READING,
    UNKNOWN,
    Item,
    held_out,
    lowered,
)
from .messages import CAUTIOUS, DIRECT, EXTRACT, REASON, RECALL, STEPS

MAKERS: Final = {
    ARITHMETIC: arithmetic.generate,
    FACTS: facts.generate,
    COMPOSITIONS: compositions.generate,
    READING: reading.generate,
    CHOICE: choice.generate,
    CHAT: chat.small_talk,
    UNKNOWN: chat.beyond,
}
WEIGHTS: Final = {ARITHMETIC: 22, FACTS: 20, COMPOSITIONS: 14, READING: 34, CHOICE: 13, CHAT: 4, UNKNOWN: 7}


# A training text: pieces, each with whether the model is to learn to write it.
Document = list[tuple[str, bool]]


def fresh(rng: Random, *, category: str, unseen: bool = False, test: bool = False) -> Item:
    """An item from the asked side of the split."""
    while True:
        item = MAKERS[category](rng, unseen=unseen)
        outside = test and item.key.startswith("always") and category not in (CHAT, UNKNOWN)
        if item.unseen != unseen or outside:
            continue
        if test == held_out(item) or (test and (unseen or item.key.startswith("always"))):
            return item


def render(system: str, turns: list[forms.Turn]) -> Document:
    """ChatML with the replies marked for learning."""
    pieces: Document = [(f"<|im_start|>system\n{system}<|im_end|>\n", False)] if system else []
    for turn in turns:
        pieces.append((f"<|im_start|>user\n{turn.user}<|im_end|>\n<|im_start|>assistant\n", False))
        pieces += [(f"{turn.reply}<|im_end|>", True), ("\n", False)]
    return pieces[:-1]


def exchange(rng: Random, *, diet: "Diet") -> Document:
    """One conversation, now and then with more turns."""
    shares = [diet.weights[c] for c in CATEGORIES]
    strategy = forms.any_strategy(rng, cautious=diet.cautious)
    category = rng.choices(CATEGORIES, shares)[0]
    if category == FACTS and diet.direct_facts and rng.random() < diet.direct_facts:
        strategy = DIRECT
    system, turns = forms.conversation(fresh(rng, category=category), rng, strategy=strategy, chosen=diet.chosen)
    more = rng.random()
    for _ in range(0 if strategy == EXTRACT or more > 0.08 else rng.randint(1, 4)):
        other = fresh(rng, category=rng.choices(CATEGORIES, shares)[0])
        turns += forms.conversation(other, rng, strategy=strategy, chosen=diet.chosen)[1]
    return render(system, turns)


def _vocabulary(rng: Random, *, count: int) -> list[str]:
    pools = (
        reading.OBJECTS,
        reading.CITIES,
        reading.COLOURS,
        reading.FOODS,
        reading.JOBS,
        arithmetic.NAMES,
        chat.KNOWN,
    )
    words = {rng.choice(rng.choice(pools)) if rng.random() < 0.6 else reading.word(rng) for _ in range(count)}
    numbers = {str(rng.randint(0, 9999)) for _ in range(count // 4)}
    both = sorted(words | numbers)
    rng.shuffle(both)
    return both


def copying(rng: Random) -> Document:
    """A list written again and again: all but the first time is copying."""
    words = _vocabulary(rng, count=rng.randint(3, 16))
    joint = rng.choice((" ", " ", "\n", ", "))
    line = joint.join(words)
    return [(f"{line}\n", False), (f"{line}\n{line}<|endoftext|>", True)]


def lettering(rng: Random) -> Document:
    """Options, then which letter each is: dense practice for multiple choice."""
    words = _vocabulary(rng, count=6)[: rng.randint(3, 5)]
    style = rng.choice(("{}. {}", "{}. {}", "{}) {}", "({}) {}", "{}: {}"))
    lines = rng.choice(("\n", "\n", " ")).join(
        style.format(letter, word) for letter, word in zip(LETTERS, words, strict=False)
    )
    order = rng.sample(range(len(words)), len(words))
    said = "\n".join(f"{words[i]} is {LETTERS[i]}." for i in order)
    return [(f"{lines}\n", False), (f"{said}<|endoftext|>", True)]


def pairing(rng: Random) -> Document:
    """Keys with values, then the values asked for in another order."""
    words = _vocabulary(rng, count=16)
    pairs = list(zip(words[::2], words[1::2], strict=False))[:8]
    said = "\n".join(f"{a}: {b}" for a, b in pairs)
    asked = "\n".join(f"{a}: {b}" for a, b in rng.sample(pairs, len(pairs)))
    return [(f"{said}\n\n", False), (f"{asked}<|endoftext|>", True)]


def columns(rng: Random) -> Document:
    """Several sums in a row, worked."""
    lines: list[str] = []
    while len(lines) < 4:
        sign = rng.choice("++--**/")
        a, b = arithmetic.operands(rng, sign=sign)
        key = arithmetic.key_of(a, b, sign=sign)
        if not held_out(Item(category=ARITHMETIC, template="", question=key, answer="", key=key)):
            lines.append(arithmetic.work(a, b, sign=sign))
    return [("", False), ("\n".join(lines) + "<|endoftext|>", True)]


def telling(rng: Random) -> Document:
    """Several facts of the world in plain sentences."""
    lines = [line for _ in range(5) for line in facts.generate(rng).recall]
    return [("", False), ("\n".join(lines) + "<|endoftext|>", True)]


def finding(rng: Random) -> Document:
    """One passage with several questions, answered with or without their sentences: dense practice for reading."""
    domain = reading.invented(rng) if rng.random() < 0.5 else rng.choice(reading.DOMAINS)
    text, asked = reading.questions(rng, domain)
    quoted = rng.random() < 0.5
    said = "\n".join(
        f"{question} {quote} {answer}" if quoted else f"{question} {answer}" for question, quote, answer in asked
    )
    if held_out(Item(category=READING, template="", question=text, answer="", key=text)):
        return finding(rng)
    return [(f"{text}\n", False), (f"{said}<|endoftext|>", True)]


DRILLS: Final = (copying, lettering, pairing, columns, telling, *[finding] * 7)


def interviewing(rng: Random, *, chosen: Mapping[str, str] = forms.CHOSEN) -> Document:
    """Several questions about one passage, one after the other, in the form of a strategy."""
    items = reading.interview(rng)
    if any(held_out(item) for item in items):
        return interviewing(rng, chosen=chosen)
    if rng.random() < 0.12:
        items = [lowered(item) for item in items]
    strategy = rng.choice((CAUTIOUS, CAUTIOUS, CAUTIOUS, RECALL, REASON, STEPS, DIRECT))
    return render(*forms.several(items, rng, strategy=strategy, chosen=chosen))


def quizzing(rng: Random, *, chosen: Mapping[str, str] = forms.CHOSEN) -> Document:
    """Facts asked one after the other, most often for the bare answer."""
    strategy = rng.choice((DIRECT, DIRECT, DIRECT, DIRECT, DIRECT, STEPS, RECALL, CAUTIOUS))
    system, turns = "", list[forms.Turn]()
    for _ in range(rng.randint(3, 10)):
        system, more = forms.conversation(fresh(rng, category=FACTS), rng, strategy=strategy, chosen=chosen)
        turns += more
    return render(system, turns)


@dataclass(frozen=True, kw_only=True)
class Diet:
    """What a stage is trained on.

    Attributes:
        weights: how often a conversation is of each category.
        direct_facts: how often facts are asked directly, whatever was drawn.
        cautious: how often the message is the cautious one.
        chosen: which strategy is erased from which kind of question.
        drills: what is drilled; each as often as it is named.
        share: of drills among the documents; None is what the recipe says.
        then: what follows from the pool `turn` on; None is nothing else.
    """

    weights: Mapping[str, int] = field(default_factory=lambda: WEIGHTS)
    direct_facts: float = 0.0
    cautious: float = 0.4
    chosen: Mapping[str, str] = field(default_factory=lambda: forms.CHOSEN)
    drills: Sequence[Callable[[Random], Document]] = DRILLS
    share: float | None = None
    then: "Diet | None" = None
    turn: int = 0

    def at(self, pool: int) -> "Diet":
        """What the pool of that number is made of."""
        return self.then if self.then and pool >= self.turn else self

    def erasing(self, chosen: Mapping[str, str]) -> "Diet":
        """With another table of what is erased."""
        then = self.then.erasing(chosen) if self.then else None
        return replace(self, chosen={**self.chosen, **chosen}, then=then)


LATER_DRILLS: Final = (copying, pairing, columns, telling, *[finding] * 3, *[interviewing] * 9)
DENSE_DRILLS: Final = (copying, pairing, columns, telling, *[finding] * 2, *[interviewing] * 9, *[quizzing] * 5)
MORE_READING: Final = {ARITHMETIC: 18, FACTS: 20, COMPOSITIONS: 13, READING: 58, CHOICE: 15, CHAT: 3, UNKNOWN: 7}
# Reading is learned last and needs most, first question by question and then several about one passage; facts are to be
# known without their recital, which takes many of them a document. The last stage is there for the choice alone.
DIETS: Final = {
    "first": Diet(),
    "second": Diet(
        weights=MORE_READING, direct_facts=0.4,
        then=Diet(weights=MORE_READING, direct_facts=0.4, drills=LATER_DRILLS, share=0.5), turn=7,
    ),
    "third": Diet(
        weights=MORE_READING, direct_facts=0.5, drills=DENSE_DRILLS, share=0.6,
    ),
    "fourth": Diet(
        weights={ARITHMETIC: 24, FACTS: 18, COMPOSITIONS: 36, READING: 42, CHOICE: 18, CHAT: 4, UNKNOWN: 8},
        direct_facts=0.2, cautious=0.6, drills=DENSE_DRILLS, share=0.4,
    ),
}  # fmt: skip


def documents(seed: int, *, drills: float = 0.2, diet: Diet = DIETS["first"]) -> Iterator[Document]:
    """The endless stream of one seed."""
    rng = Random(seed)
    while True:
        if rng.random() >= drills:
            yield exchange(rng, diet=diet)
        elif (drill := rng.choice(diet.drills)) in (interviewing, quizzing):
            yield drill(rng, chosen=diet.chosen)
        else:
            yield drill(rng)


__all__ = [
    "CAUTIOUS",
    "DIETS",
    "DIRECT",
    "MAKERS",
    "WEIGHTS",
    "Diet",
    "Document",
    "documents",
    "exchange",
    "fresh",
    "render",
]
