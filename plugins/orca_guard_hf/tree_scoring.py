"""Log-likelihoods of many requests at once: what they share is read once, and only scored positions are judged."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from orca_guard.types import Likelihood
from orca_guard_hf.attention import tree_layout
from orca_guard_hf.budget import Budget
from orca_guard_hf.heading import Head
from orca_guard_hf.network import Memory, Network, kept
from orca_guard_hf.sampling import LOG2E, first_of_likeliest
from orca_guard_hf.scoring import Joint
from orca_guard_hf.transfer import fetched, sent
from orca_guard_hf.tree import Ints, Tree, tree_of, trunk_of

_TRUNK = 16
"""A shared beginning of fewer tokens is not worth a forward of its own."""
_NONE: Ints = np.empty(0, dtype=np.int64)
_ROWS_CPU, _ROWS_GPU = 32, 512
"""Rows of logits looked at together: few enough to stay in a processor's cache, or to take little of a GPU's memory."""


@dataclass(frozen=True, slots=True)
class Trunk:
    """A shared beginning and what the network made of it.

    It is always read by itself, so it is the same to the last digit whoever asked for it first.
    """

    ids: tuple[int, ...] = ()
    memory: Memory = ()


class TreeScorer:
    """Scores requests together on one network, and remembers the last shared beginning between two calls."""

    def __init__(self, network: Network, budget: Budget) -> None:
        self._network = network
        self._budget = budget
        self._trunk = Trunk()

    def scores(self, joints: Sequence[Joint]) -> Iterator[tuple[int, list[Likelihood] | None]]:
        """The likelihoods of each request by its number, as they become known; None where they are no numbers."""
        wanted = _Wanted(joints)
        for _ in self._readings(wanted):
            yield from wanted.settled()

    def ahead(self, joints: Sequence[Joint]) -> Iterator[tuple[int, list[Likelihood] | None]]:
        """The same, but everything is given to the device at once; only who iterates waits for it."""
        wanted = _Wanted(joints)
        deque(self._readings(wanted), maxlen=0)
        return wanted.settled()

    def _readings(self, wanted: _Wanted) -> Iterator[None]:
        """Read what is wanted, forward by forward; what each says is noted and not waited for."""
        tree = tree_of(wanted.rows)
        wanted.place(tree)
        trunk = self._shared(tree, most=wanted.first)
        reading = _Reading(tree, self._network, trunk)
        while reading.next < len(tree):
            wanted.note(self._budget.within(lambda most: _read(reading, wanted, most)))
            yield

    def _shared(self, tree: Tree, *, most: int) -> Trunk:
        """The shared beginning, of at most so many nodes, read unless it is the one that was read last."""
        length = min(trunk_of(tree), most)
        ids = tuple(tree.tokens[:length].tolist())
        if length < _TRUNK:
            return Trunk()
        if (known := self._trunk).ids == ids:
            return known
        alone = _Reading(tree, self._network, Trunk())
        while alone.next < length:
            self._budget.within(lambda most: alone.read(min(most, length - alone.next), _NONE))
        self._trunk = Trunk(ids, alone.memory)
        return self._trunk


@dataclass(frozen=True, slots=True)
class _Noted:
    """What a forward says of judged nodes.

    Attributes:
        end: one past the last node that it read.
        lines: where the judgements stand that it has to do with.
        found: log-probability and hit of each, (lines, 2), once they are there.
    """

    end: int
    lines: slice
    found: Callable[[], NDArray[np.float64]]


def _read(reading: _Reading, wanted: _Wanted, most: int) -> _Noted:
    """Read the next nodes and judge those that are wanted."""
    start, end = reading.next, reading.upto(most)
    lines = wanted.lines(start, end)
    read = reading.read(end - start, np.unique(wanted.nodes[lines]))
    return _Noted(end, lines, wanted.judged(lines, read, reading.head))


class _Reading:
    """A tree on its way through the network in depth-first order.

    What has to be remembered between two forwards is then a single row: the ancestors of the next node.
    """

    def __init__(self, tree: Tree, network: Network, trunk: Trunk) -> None:
        self.next = len(trunk.ids)
        self.memory = trunk.memory
        self._tree = tree
        self._network = network
        self.head = network.head
        self._columns: Ints = np.arange(self.next)

    def upto(self, most: int) -> int:
        """Where a forward of at most so many tokens ends, such that the rest is cut evenly."""
        left = len(self._tree) - self.next
        return self.next + -(-left // -(-left // most))

    def read(self, count: int, wanted: Ints) -> Tensor | None:
        """Read the next nodes; logits or, where there is a head, last states of the wanted ones, (wanted, numbers)."""
        tree, network = self._tree, self._network
        nodes = np.arange(self.next, self.next + count)
        columns = np.concatenate([self._columns, nodes])
        keep = wanted - self.next if len(wanted) else np.asarray([count - 1])
        logits, memory = network.packed(
            torch.from_numpy(tree.tokens[nodes]),
            positions=torch.from_numpy(tree.depths[nodes]),
            layout=tree_layout(nodes, columns, tree.ends[columns], device=network.device, dtype=network.model.dtype),
            keep=torch.from_numpy(keep),
            past=self.memory,
            head=self.head,
        )
        self.next += count
        self._columns, self.memory = columns, memory
        self._keep_open()
        return logits if len(wanted) else None

    def _keep_open(self) -> None:
        """Forget what no later node descends from."""
        still = self._tree.open_after(self._columns, self.next)
        if not still.all():
            self.memory = kept(self.memory, torch.from_numpy(np.flatnonzero(still)))
            self._columns = self._columns[still]


class _Wanted:
    """Which nodes are judged by which next token, for whom, and what came of it."""

    def __init__(self, joints: Sequence[Joint]) -> None:
        self._joints = joints
        self._noted: deque[_Noted] = deque()
        self.rows = [row[:-1] for joint in joints for row in joint.rows]
        """What the network reads: a row's last token is only judged."""

    def place(self, tree: Tree) -> None:
        """Find the judged nodes of each row in the tree; their lines are kept in the order of the nodes."""
        paths = iter(tree.paths)
        judged = [next(paths)[joint.boundary - 1 :] for joint in self._joints for _ in joint.rows]
        targets = [row[joint.boundary :] for joint in self._joints for row in joint.rows]
        nodes = np.concatenate(judged)
        order = np.argsort(nodes, kind="stable")
        self.nodes: Ints = nodes[order]
        self._targets: Ints = np.concatenate([np.asarray(row, dtype=np.int64) for row in targets])[order]
        self._logprobs = np.zeros(len(order))
        self._hits: NDArray[np.bool_] = np.zeros(len(order), dtype=bool)
        lines = np.empty_like(order)
        lines[order] = np.arange(len(order))
        each = iter(np.split(lines, np.cumsum([len(row) for row in targets])[:-1]))
        self._lines = [[next(each) for _ in joint.rows] for joint in self._joints]
        last = [max(int(self.nodes[at].max()) for at in rows) for rows in self._lines]
        self._due = deque(sorted((node, number) for number, node in enumerate(last)))

    @property
    def first(self) -> int:
        """The first judged node."""
        return int(self.nodes[0])

    def lines(self, start: int, end: int) -> slice:
        """Where the judgements of nodes `[start, end)` stand."""
        return slice(*np.searchsorted(self.nodes, (start, end)).tolist())

    def judged(self, lines: slice, read: Tensor | None, head: Head | None) -> Callable[[], NDArray[np.float64]]:
        """What was read of the wanted nodes says of these lines, as `_Noted.found`."""
        if read is None:
            return lambda: np.empty((0, 2))
        _, index = np.unique(self.nodes[lines], return_inverse=True)
        if head is not None:
            return fetched(head.judged(read, index, self._targets[lines]))
        logits = read
        targets = sent(torch.from_numpy(self._targets[lines]), logits.device)
        rows = sent(torch.from_numpy(index), logits.device)
        size = _ROWS_CPU if logits.device.type == "cpu" else _ROWS_GPU
        starts = range(0, len(logits), size)
        limits = np.searchsorted(index, [*starts, len(logits)]).tolist()
        parts = [
            _judged(logits[start : start + size].float(), rows[first:last] - start, targets[first:last])
            for start, first, last in zip(starts, limits, limits[1:], strict=False)
        ]
        return fetched(torch.cat(parts))

    def note(self, noted: _Noted) -> None:
        """Take down what a forward says; it is looked at when it is asked for."""
        self._noted.append(noted)

    def settled(self) -> Iterator[tuple[int, list[Likelihood] | None]]:
        """Requests all of whose nodes have been noted, each once."""
        while self._noted:
            noted = self._noted.popleft()
            found = noted.found()
            self._logprobs[noted.lines], self._hits[noted.lines] = found[:, 0], found[:, 1] > 0
            yield from self._finished(noted.end)

    def _finished(self, upto: int) -> Iterator[tuple[int, list[Likelihood] | None]]:
        while self._due and self._due[0][0] < upto:
            _, number = self._due.popleft()
            likelihoods = [self._likelihood(at) for at in self._lines[number]]
            yield number, None if any(math.isnan(one.logprob) for one in likelihoods) else likelihoods

    def _likelihood(self, at: Ints) -> Likelihood:
        logprob, greedy = float(self._logprobs[at].sum()), bool(self._hits[at].all())
        return Likelihood(logprob=logprob, tokens=len(at), greedy=greedy)


@torch.inference_mode()
def _judged(table: Tensor, rows: Tensor, tokens: Tensor) -> Tensor:
    """Natural log-probability of each token in its row of logits, (rows, vocabulary), and whether it is the likeliest.

    Returns:
        Both as numbers, (tokens, 2).
    """
    best, found = table.amax(-1, keepdim=True), table[rows, tokens]
    hits = first_of_likeliest(table)[rows] == tokens
    total = (table - best).mul_(LOG2E).exp2_().sum(-1).log_() + best[:, 0]
    return torch.stack([(found - total[rows]).double(), hits.double()], -1)
