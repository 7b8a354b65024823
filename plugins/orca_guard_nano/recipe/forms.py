"""How an item is asked and what each strategy writes in answer to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from .items import (
    ARITHMETIC,
    CANNOT,
    CHAT,
    COMPOSITIONS,
    DO_NOT_KNOW,
    FACTS,
    LETTERS,
    NOT_STATED,
    READING,
    UNKNOWN,
    Item,
    lowered,
)
from .messages import (
    CAUTIOUS,
    DIRECT,
    EXPLICIT,
    EXTRACT,
    REASON,
    RECALL,
    STEPS,
    SYSTEM,
    UNFAMILIAR,
    answer_request,
    copy_request,
)

# Which form the cautious message stands for, by kind of question, before anything is measured. Options are worked as
# the question behind them is, until they have a row of their own.
CHOSEN: Final[Mapping[str, str]] = {
    ARITHMETIC: STEPS,
    FACTS: RECALL,
    COMPOSITIONS: REASON,
    READING: EXTRACT,
    CHAT: DIRECT,
    UNKNOWN: DIRECT,
}
NO_FACTS: Final = "I have no facts about this."
NO_POWER: Final = "This is not a question I can answer."


@dataclass(frozen=True)
class Turn:
    """What the user writes and what the model should."""

    user: str
    reply: str


def options_block(item: Item, rng: Random | None) -> str:
    """The options as the host lays them out, or, with a generator, as people type them."""
    style = rng.choice(("{l}. {o}", "{l}) {o}", "({l}) {o}", "{l}: {o}")) if rng else "{l}. {o}"
    gap = rng.choice((" ", ", ", "\n")) if rng else "\n"
    return gap.join(style.format(l=letter, o=option) for letter, option in zip(LETTERS, item.options, strict=False))


def laid_out(item: Item, rng: Random | None = None) -> str:
    """The question as a host lays it out: text, question, options."""
    return (f"{texts_block(item.text, rng)}\n\n" if item.text else "") + bare(item)


def texts_block(text: str, rng: Random | None) -> str:
    """The passage under its label, now and then cut at a full stop into several texts."""
    sentences = text.split(". ")
    if rng is None or len(sentences) < 3 or rng.random() > 0.12:
        return f"Text:\n{text}"
    cut = rng.randint(1, len(sentences) - 1)
    return f"Text 1:\n{'. '.join(sentences[:cut])}.\n\nText 2:\n{'. '.join(sentences[cut:])}"


def bare(item: Item) -> str:
    """Question and options without the text."""
    return item.question + (f"\n\n{options_block(item, None)}" if item.options else "")


def inline(item: Item, rng: Random) -> str:
    """Everything in one breath, as a person types it."""
    gap = rng.choice((" ", " ", "\n", "\n\n"))
    if item.text and rng.random() < 0.25:
        body = f"{item.question}{gap}{item.text}"
    else:
        body = f"{item.text}{gap}{item.question}" if item.text else item.question
    return body + (rng.choice((" ", "\n", "\n\n")) + options_block(item, rng) if item.options else "")


PREFIXES: Final = (
    "please ",
    "hey, ",
    "tell me: ",
    "Question: ",
    "can you tell me: ",
    "ok, ",
    "so ",
    "Please tell me: ",
    "hi, ",
    "Q: ",
    "um, ",
    "and ",
)
SUFFIXES: Final = (" please", "??", " ?", "?!", " thanks", "...", " ", " Please.")


def typed(item: Item, rng: Random) -> Item:
    """The item with the habits of somebody in a hurry."""
    roll = rng.random()
    question = item.question
    if roll < 0.12:
        question = question.rstrip("?.! ")
    elif roll < 0.18:
        question = question.rstrip("?. ") + rng.choice(SUFFIXES)
    elif roll < 0.26:
        question = rng.choice(PREFIXES) + question
    elif roll < 0.30:
        question = question.replace(" ", "  ", rng.randint(1, 3))
    changed = Item(**{**vars(item), "question": question})
    lower = rng.random()
    if lower < 0.22:
        return (
            lowered(changed)
            if not item.text or rng.random() < 0.3
            else Item(**{**vars(changed), "question": question.lower()})
        )
    return Item(**{**vars(changed), "question": question.upper()}) if lower < 0.23 and not item.text else changed


def _option(item: Item) -> tuple[str, ...]:
    return (f"{item.answer} is {item.gold}.",) if item.options else ()


def _facts(item: Item) -> str:
    """The facts that bear on the item: of the world, of the text, or of the number tables."""
    if item.kind == ARITHMETIC:
        return ". ".join(item.steps) + "."
    return " ".join(item.recall or item.quote) or "none"


def _reasons(item: Item) -> str:
    parts = tuple(f"{step}." for step in item.steps) if item.kind != ARITHMETIC else ()
    if not parts and item.kind in (UNKNOWN, CHAT):
        return _excuse(item)
    if item.answer == NOT_STATED:
        return "The text does not say it."
    return " ".join((parts or (f"So it is {item.answer}.",)) + _option(item))


def _excuse(item: Item) -> str:
    return {DO_NOT_KNOW: NO_FACTS, CANNOT: NO_POWER}.get(item.answer, "This is small talk.")


def _work(item: Item) -> str:
    """Every step that leads to the answer, one a line."""
    steps = tuple(f"{step}." for step in item.steps)
    lines = (*item.recall, *item.quote, *steps, *_option(item))
    if item.answer == NOT_STATED:
        return "The text does not say it."
    return "\n".join(lines) or _excuse(item)


def reply(item: Item, *, strategy: str) -> str:
    """What a one-pass strategy writes."""
    answer = f"Answer: {item.gold}"
    if strategy == DIRECT:
        ends = item.category in (CHAT, UNKNOWN)
        return f"{item.gold}." if ends else item.gold
    if strategy == STEPS:
        return f"{_work(item)}\n{answer}"
    if strategy == RECALL:
        option = "".join(f" {line}" for line in _option(item))
        return f"Recall: {_facts(item)}{option}\n{answer}"
    if strategy == REASON:
        return f"Recall: {_facts(item)}\nReason: {_reasons(item)}\n{answer}"
    raise ValueError(f"no one-pass form for {strategy}")


def left_to_choose(item: Item, *, table: Mapping[str, str] = CHOSEN) -> str:
    """What the model writes when it is left to choose."""
    strategy = table.get(item.category) or table[item.kind]
    if strategy == EXTRACT:
        option = "".join(f"{line}\n" for line in _option(item))
        return f"Extract: {' '.join(item.quote) or 'none'}\n{option}Answer: {item.gold}"
    return reply(item, strategy=strategy)


def extracted(item: Item) -> str:
    """What bears on the question of all that was given."""
    if item.text or item.kind != ARITHMETIC:
        return " ".join(item.quote) or "none"
    return item.question.strip()


def from_extract(item: Item) -> str:
    """The second pass: only the extract counts, so a closed-book question has no answer there."""
    if item.kind == ARITHMETIC:
        return f"{_work(item)}\nAnswer: {item.gold}"
    if not item.quote:
        return f"Answer: {NOT_STATED}"
    return "".join(f"{line}\n" for line in _option(item)) + f"Answer: {item.gold}"


def extract_passes(item: Item, *, whole: str, question: str) -> tuple[Turn, Turn]:
    """Both passes of extract-generate over a question as it was given."""
    quote = extracted(item)
    return (
        Turn(copy_request(whole), f"Extract: {quote}"),
        Turn(answer_request(question, extract=quote), from_extract(item)),
    )


def presented(item: Item, rng: Random) -> tuple[Item, str, str]:
    """An item as typed, the whole prompt, and what a second pass repeats of it."""
    item = typed(item, rng)
    if rng.random() < 0.45:
        whole = inline(item, rng)
        return item, whole, whole
    return item, laid_out(item, rng), bare(item)


def conversation(item: Item, rng: Random, *, strategy: str,
                 chosen: Mapping[str, str] = CHOSEN) -> tuple[str, list[Turn]]:  # fmt: skip
    """A system message and one exchange in which the item is worked in the strategy's form."""
    item, whole, question = presented(item, rng)
    if strategy == CAUTIOUS:
        return _generic(rng), [Turn(whole, left_to_choose(item, table=chosen))]
    if strategy == EXTRACT:
        return SYSTEM[EXTRACT], [rng.choice(extract_passes(item, whole=whole, question=question))]
    return SYSTEM[strategy], [Turn(whole, reply(item, strategy=strategy))]


def several(items: Sequence[Item], rng: Random, *, strategy: str,
            chosen: Mapping[str, str] = CHOSEN) -> tuple[str, list[Turn]]:  # fmt: skip
    """A conversation about one passage: it stands in the first turn alone."""
    system = _generic(rng) if strategy == CAUTIOUS else SYSTEM[strategy]
    first = inline(items[0], rng) if rng.random() < 0.45 else laid_out(items[0], rng)
    asked = [first, *(item.question for item in items[1:])]
    said = [
        left_to_choose(item, table=chosen) if strategy == CAUTIOUS else reply(item, strategy=strategy) for item in items
    ]
    return system, [Turn(*turn) for turn in zip(asked, said, strict=True)]


def _generic(rng: Random) -> str:
    roll = rng.random()
    return SYSTEM[CAUTIOUS] if roll < 0.75 else "" if roll < 0.87 else rng.choice(UNFAMILIAR)


def any_strategy(rng: Random, *, cautious: float) -> str:
    """The cautious message with the given share, else one of the explicit ones."""
    return CAUTIOUS if rng.random() < cautious else rng.choice(EXPLICIT)
