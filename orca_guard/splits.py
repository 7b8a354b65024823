"""Which part of a labelled set a row belongs to: training, choosing, or reporting.

A row's part follows from its normalised text alone, so whoever trains, chooses a threshold or reports has the same
rows, with no list kept anywhere, and a text that occurs in several sets is in the same part of all of them.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

Part: TypeAlias = Literal["train", "dev", "report"]

SHARES: Final[dict[Part, int]] = {"train": 70, "dev": 10, "report": 20}
"""Of a hundred: what weights and vocabularies are made from, what choices and thresholds are made on, what figures are
published of."""

NEAR: Final = 0.75
"""Texts that share this much of their words (Jaccard 1901) are near-identical."""

_CARRIED = re.compile(r"https?://\S*|www\.\S*|&#?\w+;|@\w+")
"""Addresses, HTML entities and mentions: what differs between copies of one text."""
_RUN = re.compile(r"(.)\1+")


def normalised(text: str) -> str:
    """The words of a text as they are compared, one space apart.

    Case, accents, punctuation, digits, symbols, mentions, addresses, the mark of a retweet and repeated letters make
    no difference. Of a text without a letter everything but white space counts.
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", _CARRIED.sub(" ", text)).casefold())
    bare = (c for c in folded if unicodedata.category(c) not in {"Mn", "Me", "Cf"})
    letters = "".join(c if c.isalpha() else " " for c in bare)
    words = [word for word in _RUN.sub(r"\1", letters).split() if word != "rt"]
    return " ".join(words) or "".join(text.split())


def part(text: str, *kin: str) -> Part:
    """The part of a row.

    Args:
        text: of the row.
        kin: texts that it has to stay with, such as the one it was made from; the order makes no difference.
    """
    place = _number(text, *kin) % 100
    for name, share in SHARES.items():
        if place < share:
            return name
        place -= share
    raise AssertionError("the shares are of a hundred")


def fold(text: str, *kin: str, of: int) -> int:
    """Which of so many equal folds the row is in, whatever its part: for rows that two models must not share."""
    return _number(text, *kin) // 100 % of


def distant(texts: Sequence[str], *, held: Iterable[str], near: float = NEAR) -> list[int]:
    """Positions of the texts that are not near-identical to a held one.

    `part` keeps together what differs in writing. Texts that differ in a word or two may have come into two parts;
    those of training that are near-identical to one of another part are left out with this.

    Each pair with a Jaccard index of `near` or more shares one of the rarest words of both (the prefix filter of
    Chaudhuri, Ganti and Kaushik 2006), so only such pairs are compared, and none is missed.
    """
    mine, others = ([frozenset(normalised(text).split()) for text in given] for given in (texts, held))
    counts = Counter(word for words in (*mine, *others) for word in words)
    index: dict[str, list[frozenset[str]]] = defaultdict(list)
    for words in dict.fromkeys(others):
        for word in _rarest(words, counts, near):
            index[word].append(words)
    return [
        place
        for place, words in enumerate(mine)
        if not any(
            len(words & other) >= near * len(words | other)
            for word in _rarest(words, counts, near)
            for other in index.get(word, ())
        )
    ]


def _rarest(words: frozenset[str], counts: Counter[str], near: float) -> list[str]:
    """As many of the rarest words that a set near to this one has at least one of them."""
    needed = max(1, math.ceil(near * len(words)))
    return sorted(words, key=lambda word: (counts[word], word))[: len(words) - needed + 1]


def _number(*texts: str) -> int:
    """The least sha1, as a number, of the normalised texts."""
    return min(
        int(hashlib.sha1(normalised(text).encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest(), 16)
        for text in texts
    )
