"""Token rows as one prefix tree in depth-first order, so that what rows share is read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Every distinct prefix of some rows, parents before children, each subtree without a gap.

    Node j is node i itself or an ancestor of it exactly when `j <= i < ends[j]`.

    Attributes:
        tokens: of each node, (nodes,).
        depths: positions in the row, (nodes,).
        ends: one past the last node of each node's subtree, (nodes,).
        paths: for each row the nodes of its tokens, (its length,).
    """

    tokens: Ints
    depths: Ints
    ends: Ints
    paths: tuple[Ints, ...]

    def __len__(self) -> int:
        return len(self.tokens)

    def open_after(self, columns: Ints, node: int) -> NDArray[np.bool_]:
        """Which of `columns`, all before `node`, are its ancestors, (columns,)."""
        return self.ends[columns] > node


def tree_of(rows: Sequence[Sequence[int]]) -> Tree:
    """The prefix tree of rows in any order; equal rows and prefixes of other rows add nothing."""
    order = sorted(range(len(rows)), key=lambda i: tuple(rows[i]))
    arrays = [np.asarray(rows[i], dtype=np.int64) for i in order]
    size = sum(map(len, arrays))
    tokens, depths, ends = (np.empty(size, dtype=np.int64) for _ in range(3))
    path = np.empty(max(map(len, arrays), default=0), dtype=np.int64)
    paths: list[Ints] = [path] * len(rows)
    count, before = 0, np.empty(0, dtype=np.int64)
    for place, row in zip(order, arrays, strict=True):
        start = _shared(before, row)
        new = len(row) - start
        ends[path[start : len(before)]] = count
        path[start : len(row)] = np.arange(count, count + new)
        tokens[count : count + new], depths[count : count + new] = row[start:], np.arange(start, len(row))
        count, before = count + new, row
        paths[place] = path[: len(row)].copy()
    ends[path[: len(before)]] = count
    return Tree(tokens=tokens[:count], depths=depths[:count], ends=ends[:count], paths=tuple(paths))


def trunk_of(tree: Tree) -> int:
    """How many nodes come before the first place where rows part ways."""
    others = np.flatnonzero(tree.depths != np.arange(len(tree)))
    return int(tree.depths[others].min()) if len(others) else len(tree)


def _shared(one: Ints, other: Ints) -> int:
    least = min(len(one), len(other))
    unequal = np.flatnonzero(one[:least] != other[:least])
    return int(unequal[0]) if len(unequal) else least
