"""Several examples in one row, each by itself: positions start again, and no loss crosses from one into the next."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import Tensor

from orca_guard.identity import derive_seed
from orca_guard_tuning.examples import Example

IGNORED = -100
"""A target that has no loss (torch's own number)."""

_MULTIPLE = 8
"""Widths are rounded up to it: matrix units work on tiles."""


def packed(lengths: Sequence[int], *, capacity: int) -> list[list[int]]:
    """Which examples share a row: each goes where the least room is left that still holds it (best fit).

    Args:
        lengths: of the examples, in the order in which they are placed; none above `capacity`.
        capacity: tokens a row.

    Returns:
        Numbers of the examples, a list a row, rows in the order in which they were begun.
    """
    rows: list[list[int]] = []
    rooms: list[tuple[int, int]] = []
    for number, length in enumerate(lengths):
        if not 0 < length <= capacity:
            raise ValueError(f"example {number} has {length} tokens, and a row holds 1 to {capacity}")
        at = bisect_left(rooms, (length, -1))
        if at < len(rooms):
            room, row = rooms.pop(at)
        else:
            room, row = capacity, len(rows)
            rows.append([])
        rows[row].append(number)
        if room > length:
            insort(rooms, (room - length, row))
    return rows


def epoch(lengths: Sequence[int], *, capacity: int, seed: Sequence[str | int], alone: bool = False) -> list[list[int]]:
    """The rows of one epoch: examples shuffled, packed, and the rows shuffled again.

    Args:
        lengths: of the examples.
        capacity: tokens a row.
        seed: what the order depends on, besides the lengths.
        alone: give every example a row of its own.
    """
    rng = Random(derive_seed(*seed))  # noqa: S311  # chance that hides nothing
    order = rng.sample(range(len(lengths)), len(lengths))
    if alone:
        return [[number] for number in order]
    rows = [[order[place] for place in row] for row in packed([lengths[n] for n in order], capacity=capacity)]
    rng.shuffle(rows)
    return rows


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as tensors, all (rows, width).

    Attributes:
        ids: tokens, padded at the end.
        positions: of each token in its own example. Where they start again a new example begins, and transformers lets
            none attend to another: that needs calls without an attention mask.
        targets: what each token is followed by in its example, where that is learned; `IGNORED` elsewhere.
    """

    ids: Tensor
    positions: Tensor
    targets: Tensor

    @property
    def answer_tokens(self) -> int:
        """Tokens that have a loss."""
        return int((self.targets != IGNORED).sum())

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(*(t.to(device) for t in (self.ids, self.positions, self.targets)))


def batch(rows: Sequence[Sequence[Example]], *, pad: int) -> Batch:
    """Rows of examples as tensors. What is padded is an example of its own, without a loss."""
    width = max((sum(map(len, row)) for row in rows), default=0)
    width = max(_MULTIPLE, -(-width // _MULTIPLE) * _MULTIPLE)
    ids = np.full((len(rows), width), pad, np.int64)
    positions = np.zeros((len(rows), width), np.int64)
    targets = np.full((len(rows), width), IGNORED, np.int64)
    for n, row in enumerate(rows):
        at = 0
        for example in row:
            end = at + len(example)
            ids[n, at:end] = example.ids
            positions[n, at:end] = np.arange(len(example))
            targets[n, at : end - 1] = np.where(example.learned[1:], example.ids[1:], IGNORED)
            at = end
        positions[n, at:] = np.arange(width - at)
    return Batch(torch.from_numpy(ids), torch.from_numpy(positions), torch.from_numpy(targets))


def batches(rows: Sequence[Sequence[Example]], *, size: int, pad: int) -> Iterator[Batch]:
    """Rows in batches of at most `size`."""
    for start in range(0, len(rows), size):
        yield batch(rows[start : start + size], pad=pad)
