"""Texts of similar length together, and how fast to learn when."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from .tokenizer import PAD_ID


def grouped(lengths: Sequence[int], *, size: int) -> Iterator[list[int]]:
    """Places in batches of similar length, no batch with more than `size` tokens but one of a single text."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[place] > size:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def padded(ids: Sequence[Sequence[int]]) -> Tensor:
    """Token ids [texts, length of the longest]."""
    longest = max(map(len, ids))
    return torch.tensor([[*row, *[PAD_ID] * (longest - len(row))] for row in ids])


def schedule(progress: float) -> float:
    """Up over the first twentieth, level, and down over the last seven tenths."""
    return max(0.0, min(1.0, progress / 0.05, (1 - progress) / 0.7))
