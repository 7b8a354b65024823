"""Documents as padded batches of like length, each document alone in its row."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

import torch
from tokenizers import Tokenizer
from torch import Tensor

from .mixture import Document, documents

LONGEST: Final = 512
POOL: Final = 3072


@dataclass(frozen=True)
class Batch:
    """Token ids and, for every position, whether the next token is to be learned."""

    ids: Tensor
    learned: Tensor

    @property
    def size(self) -> int:
        """Positions, padding included: what the machine pays for."""
        return self.ids.numel()


Encoded = tuple[list[int], list[bool]]


def encode(document: Document, *, tokenizer: Tokenizer) -> Encoded:
    """Ids and marks of a document; the mark of a position says that the position itself is to be learned."""
    ids: list[int] = []
    marks: list[bool] = []
    for text, learn in document:
        piece = tokenizer.encode(text).ids
        ids += piece
        marks += [learn] * len(piece)
    return ids, marks


def _stack(rows: list[Encoded], *, pad: int) -> Batch:
    width = -(-max(len(ids) for ids, _ in rows) // 8) * 8
    ids = torch.full((len(rows), width), pad)
    learned = torch.zeros(len(rows), width, dtype=torch.bool)
    for row, (tokens, marks) in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        learned[row, : len(marks) - 1] = torch.tensor(marks[1:])
    return Batch(ids, learned)


def pool(seed: int, *, tokenizer: Tokenizer, size: int, drills: float, pad: int) -> list[Batch]:
    """One pool of documents, cut into batches of at most `size` positions, in random order."""
    stream = documents(seed, drills=drills)
    rows = [encode(next(stream), tokenizer=tokenizer) for _ in range(POOL)]
    rows = sorted((row for row in rows if 1 < len(row[0]) <= LONGEST), key=lambda row: len(row[0]))
    batches, start = [], 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or (end + 1 - start) * (len(rows[end][0]) + 7) > size:
            batches.append(_stack(rows[start:end], pad=pad))
            start = end
    Random(seed).shuffle(batches)
    return batches


def stream(seed: int, *, tokenizer: Tokenizer, size: int, drills: float, pad: int) -> Iterator[Batch]:
    """The endless stream of batches of one seed."""
    while True:
        yield from pool(seed, tokenizer=tokenizer, size=size, drills=drills, pad=pad)
        seed += 1
