from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from orca_guard_hf.attention import Layout, _blocks, tree_layout
from orca_guard_hf.tree import Tree, tree_of, trunk_of

ROWS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=7).map(tuple), min_size=1, max_size=12)


def prefixes(rows: list[tuple[int, ...]]) -> set[tuple[int, ...]]:
    return {row[:n] for row in rows for n in range(1, len(row) + 1)}


@given(ROWS)
def test_a_tree_has_every_prefix_once_and_nothing_else(rows: list[tuple[int, ...]]) -> None:
    tree = tree_of(rows)
    assert len(tree) == len(prefixes(rows))
    for row, path in zip(rows, tree.paths, strict=True):
        assert tuple(tree.tokens[path]) == row
        assert list(tree.depths[path]) == list(range(len(row)))


def ancestry(tree: Tree) -> NDArray[np.bool_]:
    """Which nodes each node descends from, itself among them, (nodes, nodes)."""
    seen = np.zeros((len(tree), len(tree)), dtype=bool)
    for path in tree.paths:
        for n, node in enumerate(path):
            seen[node, path[: n + 1]] = True
    return seen


def looks(blocks: Layout, *, new: int, columns: int) -> NDArray[np.bool_]:
    """Which columns each new token gets something of, seen by what comes out when every column says who it is."""
    key, value = torch.zeros(1, 1, columns, 4), torch.eye(columns)[None, None]
    out = blocks.attend(torch.zeros(1, 1, new, 4), key, value, scale=1.0)
    found: NDArray[np.bool_] = (out[0, 0] > 0).numpy()
    return found


@given(ROWS, st.integers(0, 80), st.integers(1, 80))
def test_a_node_looks_at_its_ancestors_and_itself(rows: list[tuple[int, ...]], at: int, more: int) -> None:
    tree = tree_of(rows)
    start = min(at, len(tree) - 1)
    nodes = np.arange(start, min(start + more, len(tree)))
    before = np.arange(start)[tree.open_after(np.arange(start), start)]
    columns = np.concatenate([before, nodes])
    cpu = torch.device("cpu")
    for layout in (tree_layout, _blocks):
        blocks = layout(nodes, columns, tree.ends[columns], device=cpu, dtype=torch.float32)
        assert (looks(blocks, new=len(nodes), columns=len(columns)) == ancestry(tree)[nodes][:, columns]).all()


@given(ROWS, st.integers(0, 80))
def test_what_is_still_open_is_what_the_next_node_descends_from(rows: list[tuple[int, ...]], at: int) -> None:
    tree = tree_of(rows)
    node = min(at, len(tree) - 1)
    columns = np.arange(node)
    needed = ancestry(tree)[node:, :node].any(0)
    assert (tree.open_after(columns, node) == needed).all()


@given(ROWS, st.lists(st.integers(0, 2), max_size=5))
def test_the_trunk_is_what_all_rows_begin_with(rows: list[tuple[int, ...]], start: list[int]) -> None:
    longer = [(*start, *row) for row in rows]
    shared = next((n for n, column in enumerate(zip(*longer, strict=False)) if len(set(column)) > 1), None)
    trunk = trunk_of(tree_of(longer))
    assert trunk == shared if shared is not None else trunk >= min(map(len, longer))
