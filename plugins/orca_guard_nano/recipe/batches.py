"""Documents as padded batches of a few fixed widths, each document alone in its row."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from random import Random
from typing import Any, Final

import numpy as np
from tokenizers import Tokenizer

from .mixture import DIETS, Diet, Document, documents

# Few widths, so that a graph of the whole step can be kept for each.
WIDTHS: Final = (32, 48, 64, 96, 128, 192, 256, 384, 512)
LONGEST: Final = WIDTHS[-1]
POOL: Final = 8192

Encoded = tuple[list[int], list[bool]]
# One encoded document for every model that trains side by side.
Row = tuple[Encoded, ...]


@dataclass(frozen=True)
class Batch:
    """Token ids [models, rows, width] and, of the same shape, whether the next token is to be learned."""

    ids: Any
    learned: Any

    @property
    def size(self) -> int:
        """Positions a model, padding included: what the machine pays for."""
        return int(self.ids[0].size)


def encode(document: Document, *, tokenizer: Tokenizer) -> Encoded:
    """Ids and marks of a document; the mark of a position says that the position itself is to be learned."""
    ids: list[int] = []
    marks: list[bool] = []
    for text, learn in document:
        piece = tokenizer.encode(text).ids
        ids += piece
        marks += [learn] * len(piece)
    return ids, marks


def _stack(rows: Sequence[Row], *, width: int, height: int, pad: int) -> Batch:
    shape = (len(rows[0]), height, width)
    ids, learned = np.full(shape, pad, np.int16), np.zeros(shape, np.bool_)
    for number, row in enumerate(rows):
        for model, (tokens, marks) in enumerate(row):
            ids[model, number, : len(tokens)] = tokens
            learned[model, number, : len(marks) - 1] = marks[1:]
    return Batch(ids, learned)


def cut(rows: Iterable[Row], *, size: int, pad: int, seed: int) -> list[Batch]:
    """Batches of about `size` positions a model, in random order; a batch that is not full is filled with padding."""
    bins: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        longest = max(len(ids) for ids, _ in row)
        if 1 < longest <= LONGEST:
            bins[next(width for width in WIDTHS if longest <= width)].append(row)
    batches = []
    for width, kept in sorted(bins.items()):
        height = max(1, size // width)
        batches += [
            _stack(kept[start : start + height], width=width, height=height, pad=pad)
            for start in range(0, len(kept), height)
        ]
    Random(seed).shuffle(batches)
    return batches


def pool(seed: int, *, tokenizer: Tokenizer, size: int, drills: float, pad: int,
         diet: Diet = DIETS["first"]) -> list[Batch]:  # fmt: skip
    """One pool of documents for one model."""
    stream = documents(seed, drills=drills, diet=diet)
    rows = ((encode(next(stream), tokenizer=tokenizer),) for _ in range(POOL))
    return cut(rows, size=size, pad=pad, seed=seed)


def feed(make: Callable[[int], list[Batch]], *, workers: int, first: int = 0) -> Iterator[tuple[int, Batch]]:
    """Batches with the number of their pool, in an order that depends on the numbers alone, whoever makes them."""
    if not workers:
        for number in count(first):
            yield from ((number, batch) for batch in make(number))
    makers = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        ahead = [makers.submit(make, number) for number in range(first, first + workers + 2)]
        for number in count(first):
            batches = ahead.pop(0).result()
            ahead.append(makers.submit(make, number + workers + 2))
            yield from ((number, batch) for batch in batches)
    finally:
        makers.shutdown(wait=False, cancel_futures=True)
