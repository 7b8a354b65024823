"""Continuous generation: a finished answer's slot takes the next prompt at once, and reads only what is new in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from orca_guard.contracts import Reported
from orca_guard.types import Failure, Generate, Generation, Partial
from orca_guard_hf.abreast import Run
from orca_guard_hf.budget import Budget
from orca_guard_hf.feed import Feed
from orca_guard_hf.growing import (
    Likeliest,
    Limits,
    Row,
    choose,
    ending,
    likeliest,
    look,
    prepare,
    reply_of,
    take,
)
from orca_guard_hf.network import Network
from orca_guard_hf.prompting import Prompter
from orca_guard_hf.slots import Shelf
from orca_guard_hf.transfer import sent
from orca_guard_hf.tree import Ints

_WORTH = 16
"""Tokens that another prompt shares and is just reading: so many are worth a wait of a step."""
_APART = 512
"""Columns too many, of all answers together, that are cheaper to multiply than a group is to have."""


@dataclass(slots=True, eq=False)
class _Place:
    """An answer under way, and its slot; `reading` once its prompt has begun to be read."""

    row: Row
    slot: int
    since: float = field(default_factory=time.monotonic)
    reading: bool = False

    @property
    def length(self) -> int:
        """Tokens of prompt and answer so far."""
        return len(self.row.prompt.ids) + len(self.row.ids)

    def tokens(self, start: int) -> tuple[int, ...]:
        """Prompt and answer so far, from a position on."""
        prompt, ids = self.row.prompt.ids, self.row.ids
        return (*prompt[start:], *ids[max(start - len(prompt), 0) :])


@dataclass(frozen=True, slots=True)
class _Flight:
    """A forward that the device may still be busy with.

    Attributes:
        runs: what it reads to the end of a text.
        places: whose texts.
        logits: after each, (runs, vocabulary).
        best: the likeliest tokens.
        unknown: whether the tokens were chosen by the forward before, and not yet looked at when it set off.
    """

    runs: Sequence[Run]
    places: Sequence[_Place]
    logits: Tensor
    best: Likeliest
    unknown: bool = False


class Continuous:
    """One run of generations over a set of slots.

    Args:
        network: what answers; it has been seen to give the plain path's numbers.
        prompter: of its tokenizer.
        limits: of its answers.
        slots: most answers under way at once; fewer where the cache has no room for as many.
        budget: tokens in one forward.
        room: tokens that the cache may hold in all.
        shelf: where slots come from.
    """

    def __init__(
        self,
        *,
        network: Network,
        prompter: Prompter,
        limits: Limits,
        slots: int,
        budget: Budget,
        room: int,
        shelf: Shelf,
    ) -> None:
        self._network = network
        self._prompter = prompter
        self._limits = limits
        self._most = slots
        self._budget = budget
        self._room = room
        self._longest = 0
        self._shelf = shelf
        self._slots = shelf.take(0)
        self._memory = _Memory(0)
        self._going: dict[int, _Place] = {}
        self._waiting: Row | None = None
        self._flight: _Flight | None = None

    @property
    def unanswered(self) -> list[Generate]:
        """What was taken up and has no reply."""
        waiting = [self._waiting] if self._waiting else []
        return [row.request for row in [*(place.row for place in self._going.values()), *waiting]]

    def run(self, feed: Feed, between: Callable[[], Iterator[Reported]]) -> Iterator[Reported]:
        """Answer generations as the feed gives them. Whatever torch raises comes through.

        Args:
            feed: asked for the next one whenever a slot is free.
            between: answers what the feed has set aside; called when there is no generation for a free slot.
        """
        while True:
            yield from self._admit(feed, between)
            if not self._going:
                self._flight = None
                self._shelf.give(self._slots)
                return
            self._arrange()
            self._close_ranks()
            self._join()
            yield from self._advance()

    # --- who has a slot ------------------------------------------------------------------------

    def _admit(self, feed: Feed, between: Callable[[], Iterator[Reported]]) -> Iterator[Reported]:
        """Give free slots to what waits, until there is no free slot or nothing waits."""
        while len(self._going) < self._most:
            if self._waiting is None:
                if (request := feed.generation()) is not None:
                    yield from self._take_up(request)
                elif feed.has_aside:
                    yield from between()
                else:
                    return
            elif self._has_room(len(self._waiting.prompt.ids) + self._waiting.limit):
                self._seat(self._waiting)
                self._waiting = None
            else:
                return

    def _take_up(self, request: Generate) -> Iterator[Reported]:
        with self._network.lock:
            row = prepare(request, self._prompter, self._limits)
        if isinstance(row, Failure):
            yield request, row
        elif row.late:
            row.finish = "deadline"
            yield request, reply_of(row, self._prompter, 0.0)
        else:
            self._waiting = row

    def _has_room(self, length: int) -> bool:
        """Whether there is a slot for a text of this length; slots are as many as there is room for at the longest.

        Where there have to be fewer, the answers under way come to their end first.
        """
        if length > self._longest:
            count = max(min(self._most, self._room // length), 1)
            if self._going and count < self._slots.count:
                return False
            self._longest = length
            if not self._going:
                self._slots, self._memory = self._shelf.take(count), _Memory(count)
        return len(self._going) < self._slots.count

    def _seat(self, row: Row) -> None:
        """In the free slot whose last text begins most like it, or else among texts of about its length."""
        free = [slot for slot in range(self._slots.count) if slot not in self._going]
        shared = self._memory.shared(row.prompt.ids)
        away = abs(self._slots.lengths() - len(row.prompt.ids))
        slot = max(free, key=lambda slot: (shared[slot] if shared[slot] >= _WORTH else 0, -away[slot], -slot))
        self._going[slot] = _Place(row, slot)

    def _arrange(self) -> None:
        """Put prompts of like length side by side that have not begun to be read, where no slot holds part of them."""
        fresh = [place for place in self._going.values() if not place.reading]
        fresh = [place for place in fresh if self._memory.shared(place.row.prompt.ids)[place.slot] < _WORTH]
        if len(fresh) < 2 or self._slots.by_kernel:  # noqa: PLR2004  # one is where it is
            return
        lengths = self._slots.lengths()
        slots = sorted((self._going.pop(place.slot).slot for place in fresh), key=lambda slot: (lengths[slot], slot))
        for slot, place in zip(slots, sorted(fresh, key=lambda place: place.length), strict=True):
            place.slot = slot
            self._going[slot] = place

    def _leave(self, place: _Place) -> None:
        del self._going[place.slot]
        if place.row.error is not None:  # what is no number must not stay where others are multiplied by nothing
            self._slots.clear(place.slot)
            self._memory.forget(place.slot)

    def _close_ranks(self) -> None:
        """Let answers change places with what lies idle before them in a group: tokens attend over all lower slots."""
        for group in self._slots.groups if not self._slots.by_kernel else ():
            mine = sorted(slot for slot in self._going if slot in group.slots)
            idle = (slot for slot in group.slots if slot not in self._going)
            for target, source in zip(idle, reversed(mine), strict=False):
                if target > source:
                    break
                place = self._going.pop(source)
                place.slot = target
                self._slots.swap(source, target)
                self._memory.swap(source, target)
                self._going[target] = place

    def _join(self) -> None:
        """Let what is left of two groups go on as one when nobody waits for a slot: one costs less than two do.

        The group of longer texts takes the other in, unless that one would attend over too many columns more.
        """
        if self._slots.by_kernel or self._waiting is not None or len(self._going) == self._slots.count:
            return
        groups = [[slot for slot in self._going if slot in group.slots] for group in self._slots.groups]
        under_way = sorted(((self._slots.groups[n].length, n) for n, mine in enumerate(groups) if mine))
        for (short, donor), (long, host) in pairwise(under_way):
            room = len(self._slots.groups[host].slots) - len(groups[host])
            if len(groups[donor]) > room or len(groups[donor]) * (long - short) > _APART:
                continue
            idle = (slot for slot in self._slots.groups[host].slots if slot not in self._going)
            for source, target in zip(groups[donor], list(idle), strict=False):
                self._move(source, target)
            return

    def _move(self, source: int, target: int) -> None:
        place = self._going.pop(source)
        if place.reading:
            self._slots.copy(source, target, tokens=int(self._memory.held[source]))
            self._memory.copy(source, target)
        place.slot = target
        self._going[target] = place

    # --- a step --------------------------------------------------------------------------------

    def _advance(self) -> Iterator[Reported]:
        """One forward; whoever has been read to the end gets a token more."""
        flight = self._flight or self._budget.within(self._read)
        self._flight = self._follow(flight)
        ready = [(place, number) for number, place in enumerate(flight.places) if not place.row.over]
        rows = [place.row for place in flight.places]
        chosen = choose(rows, flight.logits, flight.best)
        for place, number in ready:
            if flight.unknown:
                self._memory.keep(replace(flight.runs[number], tokens=(place.row.ids[-1],)))
            take(place.row, chosen[number], self._limits.stop_ids)
        going = {place.slot for place, _ in ready}
        late = [place for slot, place in self._going.items() if slot not in going and place.row.late]
        for place in [*(place for place, _ in ready), *late]:
            with self._network.lock:
                place.row.finish = place.row.finish or ending(place.row, self._prompter)
                reply = self._said(place)
            if place.row.over:
                self._leave(place)
            if reply is not None:
                yield place.row.request, reply

    def _follow(self, flight: _Flight) -> _Flight | None:
        """The forward after this one, under way before anybody here has seen which tokens it reads.

        Only where the device chooses all of them, and nobody waits to be read otherwise. Who ends with this token has
        been read once too often then, into a place that is not looked at again.
        """
        if not self._slots.lasting:
            return None
        some = [n for n, place in enumerate(flight.places) if not place.row.over]
        if len(some) < len(self._going) or any(flight.places[n].row.sampler is not None for n in some):
            return None
        some = [n for n in some if len(flight.places[n].row.ids) + 1 < flight.places[n].row.limit]
        places = [flight.places[n] for n in some]
        runs = [Run(place.slot, flight.runs[n].end, (0,)) for n, place in zip(some, places, strict=True)]
        if not runs or any(run.end > self._slots.group(run.slot).length for run in runs):
            return None
        ids = flight.best.ids
        if len(some) < len(ids):
            ids = ids.index_select(0, sent(torch.tensor(some), ids.device))
        logits = self._slots.follow(runs, ids)
        return None if logits is None else _Flight(runs, places, logits, likeliest(logits), unknown=True)

    def _said(self, place: _Place) -> Generation | Failure | Partial | None:
        if place.row.over:
            return reply_of(place.row, self._prompter, time.monotonic() - place.since)
        return look(place.row, self._prompter)

    def _read(self, most: int) -> _Flight:
        """A forward of at most so many tokens."""
        self._slots.fit({place.slot: place.length for place in self._going.values()}, longest=self._longest)
        self._memory.fit(self._slots.lengths())
        for place in self._going.values():
            if not place.reading:
                self._begin(place)
        runs = self._runs(most)
        logits = self._slots.read(runs)
        for run in runs:
            self._memory.keep(run)
        ready = [number for number, run in enumerate(runs) if run.end == self._going[run.slot].length]
        logits = logits if len(ready) == len(runs) else logits[ready]
        runs = [runs[number] for number in ready]
        return _Flight(runs, [self._going[run.slot] for run in runs], logits, likeliest(logits))

    def _begin(self, place: _Place) -> None:
        """Let a slot begin with what another already holds of its prompt, unless one is just reading more of it."""
        prompt = place.row.prompt.ids
        held = self._memory.shared(prompt)
        coming = self._memory.coming(prompt)
        if coming.max() >= held.max() + _WORTH:
            return
        donor = place.slot if held[place.slot] == held.max() else int(held.argmax())
        tokens = min(int(held[donor]), len(prompt) - 1)
        self._slots.copy(donor, place.slot, tokens=tokens)
        self._memory.begin(place.slot, prompt, tokens)
        place.reading = True

    def _runs(self, most: int) -> list[Run]:
        """What is read next: a token of every answer, and as much of prompts as there is room for."""
        reading = [place for place in self._going.values() if place.reading]
        left = {place.slot: place.length - int(self._memory.held[place.slot]) for place in reading}
        runs = []
        for place in sorted(reading, key=lambda place: (left[place.slot] > 1, place.since)):
            start = int(self._memory.held[place.slot])
            if most and (tokens := place.tokens(start)[:most]):
                runs.append(Run(place.slot, start, tokens))
                most -= len(tokens)
        return runs


class _Memory:
    """Which tokens each slot holds, and which it is going to read next.

    Attributes:
        held: tokens whose keys and values are there, (slots,).
    """

    def __init__(self, count: int) -> None:
        self._ids: Ints = np.full((count, 0), -1, dtype=np.int64)
        self._known: Ints = np.zeros(count, dtype=np.int64)
        self.held: Ints = np.zeros(count, dtype=np.int64)

    def shared(self, prompt: Sequence[int]) -> Ints:
        """How much of a prompt's beginning each slot holds, (slots,)."""
        return np.minimum(self._common(prompt), self.held)

    def coming(self, prompt: Sequence[int]) -> Ints:
        """How much of a prompt's beginning each slot will hold that is still reading its own, (slots,)."""
        return np.where(self._known > self.held, self._common(prompt), 0)

    def _common(self, prompt: Sequence[int]) -> Ints:
        columns = min(len(prompt), self._ids.shape[1])
        same = self._ids[:, :columns] == np.asarray(prompt[:columns])[None]
        same &= np.arange(columns)[None] < self._known[:, None]
        shared: Ints = np.logical_and.accumulate(same, 1).sum(1)
        return shared

    def begin(self, slot: int, prompt: Sequence[int], held: int) -> None:
        """A prompt is going to be read into a slot that holds its first tokens."""
        self._ids[slot, : len(prompt)] = prompt
        self._known[slot], self.held[slot] = len(prompt), held

    def keep(self, run: Run) -> None:
        """A run was read."""
        self._ids[run.slot, run.start : run.end] = run.tokens
        self.held[run.slot] = run.end
        self._known[run.slot] = max(int(self._known[run.slot]), run.end)

    def swap(self, one: int, other: int) -> None:
        """Each of two slots now holds what the other held."""
        for table in (self._ids, self._known, self.held):
            table[[one, other]] = table[[other, one]]

    def copy(self, source: int, target: int) -> None:
        """One slot now holds what another does."""
        for table in (self._ids, self._known, self.held):
            table[target] = table[source]

    def forget(self, slot: int) -> None:
        """Nothing of a slot is of use."""
        self._known[slot] = self.held[slot] = 0

    def fit(self, lengths: Ints) -> None:
        """Slots have room for so many tokens now, (slots,)."""
        if (most := int(lengths.max())) != (columns := self._ids.shape[1]):
            self._ids = np.pad(self._ids[:, :most], ((0, 0), (0, max(most - columns, 0))), constant_values=-1)
        self._known, self.held = np.minimum(self._known, lengths), np.minimum(self.held, lengths)
