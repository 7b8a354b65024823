"""How much of one text is in another: BLEU and ROUGE by their published definitions.

Both are computed here and not by the libraries that are commonly used, so that whoever verifies a run gets the same
number from the same texts, with nothing installed. Tests hold them against those libraries.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

Similarity: TypeAlias = Callable[[str, str], float]
"""A text and a reference → how alike they are, from 0 to 1."""

_ORDER = 4
_DIGITS = 12


def bleu(text: str, reference: str) -> float:
    """BLEU of one text (Papineni et al. 2002), 4-grams, as the authors of TruthfulQA ask sacrebleu for it.

    International tokenisation, case kept, the n-th n-gram order without a match counted as 1 / 2^k of one (Chen and
    Cherry 2014, method 3); a text of fewer than four tokens has 0.
    """
    tokens, wanted = _international(text), _international(reference)
    precisions, misses = [], 0
    for order in range(1, _ORDER + 1):
        found, known = _grams(tokens, order), _grams(wanted, order)
        total, hits = sum(found.values()), sum((found & known).values())
        if order == 1 and not hits:
            return 0.0
        misses += not hits
        precisions.append((hits or 0.5**misses) / total if total else 0.0)
    if 0.0 in precisions:
        return 0.0
    brevity = min(0.0, 1 - len(wanted) / len(tokens))
    return round(math.exp(brevity + math.fsum(map(math.log, precisions)) / _ORDER), _DIGITS)


def rouge_n(text: str, reference: str, *, order: int) -> float:
    """F1 of the n-grams that both texts have (Lin 2004), of lower-cased letters and digits, without stemming."""
    found, known = _grams(_words(text), order), _grams(_words(reference), order)
    return _f1(sum((found & known).values()), sum(found.values()), sum(known.values()))


def rouge_l(text: str, reference: str) -> float:
    """F1 of the longest common subsequence, summary level: line by line, their union over the lines of the text."""
    lines, wanted = _lines(text), _lines(reference)
    left, open_ones = (Counter(word for line in of for word in line) for of in (lines, wanted))
    found, known = left.total(), open_ones.total()
    hits = 0
    for line in wanted:
        for place in sorted({at for other in lines for at in _common(line, other)}):
            word = line[place]
            if left[word] and open_ones[word]:
                left[word] -= 1
                open_ones[word] -= 1
                hits += 1
    return _f1(hits, found, known)


SIMILARITIES: Mapping[str, Similarity] = {
    "bleu": bleu,
    "rouge-1": lambda text, reference: rouge_n(text, reference, order=1),
    "rouge-2": lambda text, reference: rouge_n(text, reference, order=2),
    "rouge-l": rouge_l,
}
"""By the names that scoring rules use."""


def _f1(hits: int, found: int, wanted: int) -> float:
    return 2 * hits / (found + wanted) if hits else 0.0


def _grams(tokens: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[at : at + order]) for at in range(len(tokens) - order + 1))


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def _lines(text: str) -> list[list[str]]:
    return [_words(line) for line in text.split("\n") if line]


def _common(line: Sequence[str], other: Sequence[str]) -> list[int]:
    """Places in a line of one longest subsequence that it shares with another; of several, the earliest found from
    the end, as rouge-score goes.
    """
    longest = [[0] * (len(other) + 1) for _ in range(len(line) + 1)]
    for i, word in enumerate(line, 1):
        row, above = longest[i], longest[i - 1]
        for j, there in enumerate(other, 1):
            row[j] = above[j - 1] + 1 if word == there else max(above[j], row[j - 1])
    places, i, j = [], len(line), len(other)
    while i and j:
        if line[i - 1] == other[j - 1]:
            places.append(i - 1)
            i, j = i - 1, j - 1
        elif longest[i][j - 1] > longest[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return places


def _international(text: str) -> list[str]:
    """Tokens of mteval-v14: punctuation stands alone unless digits are on both sides of it, and symbols always do."""
    kinds = unicodedata.category
    apart = _between(text, lambda a, b: kinds(a)[0] != "N" and kinds(b)[0] == "P", "{0} {1} ")
    apart = _between(apart, lambda a, b: kinds(a)[0] == "P" and kinds(b)[0] != "N", " {0} {1}")
    return "".join(f" {c} " if kinds(c)[0] == "S" else c for c in apart).split()


def _between(text: str, meant: Callable[[str, str], bool], form: str) -> str:
    """Pairs of neighbours that are meant, written in a form; from left to right, and no character in two pairs."""
    parts, at = [], 0
    while at < len(text):
        pair = text[at : at + 2]
        if len(pair) > 1 and meant(*pair):
            parts.append(form.format(*pair))
            at += 2
        else:
            parts.append(pair[0])
            at += 1
    return "".join(parts)
