from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orca_guard_hf.tree import tree_of, trunk_of

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


@given(ROWS)
def test_a_node_sees_its_ancestors_and_itself(rows: list[tuple[int, ...]]) -> None:
    tree = tree_of(rows)
    every = np.arange(len(tree))
    seen = tree.sees(every, every)
    expected = np.zeros_like(seen)
    for path in tree.paths:
        for n, node in enumerate(path):
            expected[node, path[: n + 1]] = True
    assert (seen == expected).all()


@given(ROWS, st.integers(0, 80))
def test_what_is_still_open_is_what_later_nodes_descend_from(rows: list[tuple[int, ...]], at: int) -> None:
    tree = tree_of(rows)
    node = min(at, len(tree) - 1)
    columns = np.arange(node)
    needed = tree.sees(np.arange(node, len(tree)), columns).any(0)
    assert (tree.open_after(columns, node) == needed).all()


@given(ROWS, st.lists(st.integers(0, 2), max_size=5))
def test_the_trunk_is_what_all_rows_begin_with(rows: list[tuple[int, ...]], start: list[int]) -> None:
    longer = [(*start, *row) for row in rows]
    shared = next((n for n, column in enumerate(zip(*longer, strict=False)) if len(set(column)) > 1), None)
    trunk = trunk_of(tree_of(longer))
    assert trunk == shared if shared is not None else trunk >= min(map(len, longer))
