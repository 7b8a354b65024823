"""The fast way through a network: many requests in one forward, once that gave the plain way's numbers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

from orca_guard.errors import OrcaGuardError
from orca_guard.types import Failure, Finding, Health, Likelihood, Score, Scores
from orca_guard_hf.budget import ANSWERING, SCORING, Budget, budget_for, cache_bytes
from orca_guard_hf.continuous import Continuous
from orca_guard_hf.growing import Limits
from orca_guard_hf.network import Network
from orca_guard_hf.probe import why_not_packed
from orca_guard_hf.prompting import Prompter
from orca_guard_hf.scoring import Joint, Spelt, fitting, joined, spelt
from orca_guard_hf.slots import Shelf, kernels_serve
from orca_guard_hf.tree_scoring import TreeScorer

log = logging.getLogger("orca_guard")

_AHEAD = 256
"""Requests that are encoded while an accelerator reads those before them."""


class Packing:
    """Packed forwards of one network.

    Args:
        network: whose.
        context: tokens it can hold, where that is known.
        name: the model's, for messages.
    """

    def __init__(self, network: Network, *, context: int | None, name: str) -> None:
        self._network = network
        self._context = context
        self._name = name
        self._lock = threading.Lock()
        self._why_not: str | None = None
        self._budget: Budget | None = None
        self._scorer: TreeScorer | None = None
        self._shelf = Shelf(network)

    @property
    def why_not(self) -> str:
        """Why it is not trusted; empty where it is. The network is tried when this is asked for the first time."""
        with self._lock:
            if self._why_not is None:
                self._why_not = why_not_packed(self._network, context=self._context)
                if not self._why_not:
                    self._budget = self._limit(ANSWERING)
                    self._scorer = TreeScorer(self._network, self._limit(SCORING))
        return self._why_not

    def _limit(self, on_cpu: int) -> Budget:
        model = self._network.model
        return budget_for(model.config, self._network.device, model.dtype, on_cpu=on_cpu)

    def trusted(self) -> bool:
        """Whether to take this way; the first no is said aloud."""
        known = self._why_not is not None
        why_not = self.why_not
        if why_not and not known:
            log.warning("Model %r is answered the plain way, which is slower: %s.", self._name, why_not)
        return not why_not

    def finding(self) -> Finding:
        """Which way the model takes, for an examination."""
        if self.why_not:
            detail = f"the plain way is taken: {self.why_not}"
            return Finding(name="packed forwards", health=Health.NOT_APPLICABLE, detail=detail)
        return Finding(name="packed forwards", health=Health.WELL, detail="they give the numbers of plain ones")

    def generator(self, prompter: Prompter, limits: Limits, *, slots: int) -> Continuous:
        """A run of generations with at most so many under way."""
        assert self._budget is not None, "only what was tried is trusted"
        token = sum(table.nbytes for pair in self._network.sample for table in pair)
        return Continuous(
            network=self._network,
            prompter=prompter,
            limits=limits,
            slots=slots,
            budget=self._budget,
            room=cache_bytes(self._network.device) // token,
            shelf=self._shelf,
        )

    @property
    def prefers_slots(self) -> bool:
        """Whether even a generation that is alone is faster over slots: where forwards are captured as graphs."""
        return kernels_serve(self._network)

    def score(self, requests: Sequence[Score], prompter: Prompter) -> Iterator[tuple[int, Scores | Failure]]:
        """Answer requests together: the number of each with its reply, in the order in which replies are known.

        Whatever torch raises comes through. What has no reply in the end has to be asked by itself: where the network
        gave no number to one text, those beside it have none either.
        """
        assert self._scorer is not None, "only what was tried is trusted"
        if self._network.device.type == "cpu":
            joints, failed = self._joints(enumerate(requests), prompter)
            yield from failed
            yield from _told(joints, self._scorer.scores(list(joints.values())) if joints else iter(()))
            return
        before: Iterator[tuple[int, Scores | Failure]] = iter(())
        for start in range(0, len(requests), _AHEAD):  # the device reads one part while the next is encoded
            some = range(start, min(start + _AHEAD, len(requests)))
            joints, failed = self._joints(((number, requests[number]) for number in some), prompter)
            found = _told(joints, self._scorer.ahead(list(joints.values())) if joints else iter(()))
            yield from failed
            yield from before
            before = found
        yield from before

    def _joints(
        self, requests: Iterable[tuple[int, Score]], prompter: Prompter
    ) -> tuple[dict[int, Joint], list[tuple[int, Failure]]]:
        """The token rows of numbered requests, and the failures of those that have none."""
        joints: dict[int, Joint] = {}
        texts: dict[int, Spelt] = {}
        failed: list[tuple[int, Failure]] = []
        with self._network.lock:
            for number, request in requests:
                try:
                    texts[number] = spelt(request, prompter)
                except OrcaGuardError as error:
                    failed.append((number, Failure(error)))
            prompter.foresee(one.text for some in texts.values() for one in (some.alone, *some.joint))
            for number, some in texts.items():
                try:
                    joints[number] = fitting(joined(some, prompter), self._context)
                except OrcaGuardError as error:
                    failed.append((number, Failure(error)))
        return joints, failed


def _told(
    joints: Mapping[int, Joint], found: Iterator[tuple[int, list[Likelihood] | None]]
) -> Iterator[tuple[int, Scores | Failure]]:
    """Replies by the numbers of their requests; none where the network gave no numbers."""
    numbers = list(joints)
    for place, likelihoods in found:
        if likelihoods is not None:
            yield numbers[place], Scores(likelihoods=tuple(likelihoods))
