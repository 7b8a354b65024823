"""Whether packed forwards give a network's own numbers: tried on tokens of chance before they are trusted."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from statistics import pstdev
from typing import Any

import torch

from orca_guard_hf.abreast import Run
from orca_guard_hf.budget import Budget
from orca_guard_hf.network import Network, vocabulary_of
from orca_guard_hf.scoring import Joint
from orca_guard_hf.slots import Slots
from orca_guard_hf.tree_scoring import TreeScorer

SHORT, LONGEST = 64, 1024
"""Tokens of a probe: at least, and at most, because it is read before the first answer."""
TOLERANCE, ROUNDING = 1e-3, 0.25
"""What a token's log-probability may differ by: nats, and in half precision a share of their spread over the tokens."""
_SINGLE = 4
"""Tokens at the end of a probe that are read one by one."""
_WINDOW = ("window", "sliding", "chunk_size")


def why_not_packed(network: Network, *, context: int | None) -> str:
    """Why packed forwards are no use for this network; empty where they are.

    The probe is longer than every attention window that the configuration names. Whoever raises, differs, or has a
    window too long to try is not trusted.
    """
    if not network.packs:
        return "it takes no keys and values or positions from outside"
    window = max(_windows(network.model.config.get_text_config().to_dict()), default=0)
    length = max(SHORT, window + window // 4 + 8)
    length = min(length, context or length)
    if length > LONGEST:
        return f"its attention window of {window} tokens is too long to try"
    rows = _rows(length, vocabulary_of(network.model))
    try:
        difference = _difference(rows, network)
    except Exception as error:  # noqa: BLE001  # an architecture may raise anything at what it was not made for
        return f"it refuses packed forwards ({type(error).__name__})"
    return "" if difference < 1 else "packed forwards change its numbers"


def _windows(config: Mapping[str, Any]) -> Iterator[int]:
    for name, value in config.items():
        if any(part in name for part in _WINDOW) and isinstance(value, int) and not isinstance(value, bool):
            yield value


def _rows(length: int, vocabulary: int) -> list[tuple[int, ...]]:
    """Three rows that part ways in two places, of different lengths."""
    chance = random.Random(length)  # noqa: S311  # nothing is kept secret with it
    fresh = [[chance.randrange(vocabulary) for _ in range(length)] for _ in range(3)]
    early, late = length // 3, length - length // 8
    rows = (fresh[0], fresh[0][:late] + fresh[1][late:], fresh[0][:early] + fresh[2][early : length - 7])
    return list(map(tuple, rows))


def _difference(rows: Sequence[tuple[int, ...]], network: Network) -> float:
    """The largest over all tokens, in units of what is tolerated.

    In half precision two right ways differ by rounding, up to a tenth of the spread in what was tried; two ways that do
    not read the same context differ by as much as there is.
    """
    plain = [_plain(row, network) for row in rows]
    spread = pstdev(one for line in plain for one in line)
    exact = network.model.dtype in {torch.float32, torch.float64}
    tolerated = TOLERANCE if exact else max(TOLERANCE, ROUNDING * spread)
    found = [*_by_tree(rows, network), *_by_slots(rows, network)]
    differences = [abs(value - plain[row][at - 1]) for row, at, value in found]
    return max(differences) / tolerated if all(map(math.isfinite, differences)) else math.inf


def _by_tree(rows: Sequence[tuple[int, ...]], network: Network) -> Iterator[tuple[int, int, float]]:
    """Row, place and log-probability of every token but the first, read as a tree in pieces."""
    places = [(number, at) for number, row in enumerate(rows) for at in range(1, len(row))]
    joints = [Joint(rows=(rows[number][: at + 1],), boundary=at) for number, at in places]
    scorer = TreeScorer(network, Budget(max(map(len, rows)) // 3))
    for place, likelihoods in scorer.scores(joints):
        yield (*places[place], likelihoods[0].logprob if likelihoods else math.nan)


def _by_slots(rows: Sequence[tuple[int, ...]], network: Network) -> Iterator[tuple[int, int, float]]:
    """The same of some tokens, as texts grow side by side: two long runs of each, then token by token."""
    slots = Slots(network, count=len(rows))
    slots.fit(dict(enumerate(map(len, rows))))
    edges = [[0, len(row) // 2, *range(len(row) - _SINGLE - 1, len(row))] for row in rows]
    for step in range(len(edges[0]) - 1):
        runs = [
            Run(n, edge[step], row[edge[step] : edge[step + 1]])
            for n, (edge, row) in enumerate(zip(edges, rows, strict=True))
        ]
        table = slots.read(runs).float().log_softmax(-1)
        yield from ((run.slot, run.end, float(table[run.slot, rows[run.slot][run.end]])) for run in runs)


def _plain(row: tuple[int, ...], network: Network) -> list[float]:
    """Log-probability of every token but the first, by an ordinary forward."""
    ids, mask = network.rows([row], pad=0, side="right")
    table = network.forward(ids, mask).logits[0, :-1].float().log_softmax(-1)
    return table.gather(-1, ids[0, 1:, None])[:, 0].tolist()  # type: ignore[no-any-return]
