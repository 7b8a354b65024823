"""One question with everything any strategy may need to write about it."""

import hashlib
import re
from dataclasses import dataclass, replace
from random import Random
from typing import Final

ARITHMETIC: Final = "arithmetic"
FACTS: Final = "facts"
COMPOSITIONS: Final = "compositions"
READING: Final = "reading"
CHOICE: Final = "choice"
CHAT: Final = "chat"
UNKNOWN: Final = "unknown"
CATEGORIES: Final = (ARITHMETIC, FACTS, COMPOSITIONS, READING, CHOICE, CHAT, UNKNOWN)

NOT_STATED: Final = "not stated"
DO_NOT_KNOW: Final = "I do not know"
CANNOT: Final = "I cannot do that"
LETTERS: Final = "ABCDEF"
HELD_OUT_PERCENT: Final = 5


@dataclass(frozen=True, kw_only=True)
class Item:
    """A question, its gold answer, and the true material that leads from one to the other."""

    category: str
    template: str
    question: str
    answer: str
    key: str = ""
    recall: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    text: str = ""
    quote: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    of: str = ""

    @property
    def kind(self) -> str:
        """The category whose way of working the item calls for: that of the question behind the options."""
        return self.of or self.category

    @property
    def gold(self) -> str:
        """What the answer line must say."""
        return LETTERS[self.options.index(self.answer)] if self.options else self.answer

    @property
    def unseen(self) -> bool:
        """Whether the template is one that training never shows."""
        return self.template.endswith("*")


def normal(text: str) -> str:
    """Text as the train/test split sees it: case, spacing and punctuation do not make a question new."""
    return " ".join(re.findall(r"[a-z0-9+*/()\-]+", text.lower()))


class _Open(dict[str, str]):
    """Slots of which some stay open."""

    def __missing__(self, slot: str) -> str:
        return "{" + slot + "}"


@dataclass(frozen=True)
class Phrasings:
    """Ways to ask one thing; the unseen ones are kept for evaluation."""

    seen: tuple[str, ...]
    unseen: tuple[str, ...] = ()

    def more(self, *forms: str) -> "Phrasings":
        """With further seen forms; one that only typing tells from an unseen form stays out."""
        known = {normal(form) for form in (*self.unseen, *self.seen)}
        return Phrasings(self.seen + tuple(form for form in forms if normal(form) not in known), self.unseen)

    def put(self, **fields: str) -> "Phrasings":
        """With some of the slots filled."""
        rest = _Open(fields)
        return Phrasings(*(tuple(form.format_map(rest) for form in forms) for forms in (self.seen, self.unseen)))

    def pick(self, rng: Random, *, unseen: bool) -> tuple[str, str]:
        """A phrasing and its name; a star marks a name that training never shows."""
        pool = self.unseen if unseen and self.unseen else self.seen
        index = rng.randrange(len(pool))
        return pool[index], f"{index}{'*' if pool is self.unseen else ''}"


def held_out(item: Item) -> bool:
    """Whether the item belongs to the evaluation side of the split."""
    digest = hashlib.sha1(normal(item.key or item.question).encode(), usedforsecurity=False).digest()
    return not item.key.startswith("always") and digest[0] * 100 // 256 < HELD_OUT_PERCENT


def lowered(item: Item) -> Item:
    """The same item as somebody types it who never presses shift; what is copied stays what was written."""
    if not item.text:
        return replace(item, question=item.question.lower())
    return replace(
        item,
        question=item.question.lower(),
        text=item.text.lower(),
        quote=tuple(line.lower() for line in item.quote),
        answer=item.answer.lower(),
        options=tuple(option.lower() for option in item.options),
    )
