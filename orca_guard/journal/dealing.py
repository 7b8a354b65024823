"""Who records which items, where several processes do: like work for each, and what begins alike stays together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias


class Weight(NamedTuple):
    """What asking an item comes to, as far as its texts say that.

    Attributes:
        length: bytes of what is asked, without what all items of the benchmark begin with.
        shared: of those, with how many all items of its cluster begin.
        cluster: of items that may begin alike; None is a cluster of its own.
    """

    length: int
    shared: int = 0
    cluster: Hashable = None


_Lots: TypeAlias = Iterable[Sequence[int]]
_Shares: TypeAlias = Mapping[int, Sequence[int]]


def weighed(texts: Sequence[bytes], clusters: Sequence[str]) -> list[Weight]:
    """What the items of a benchmark weigh.

    Args:
        texts: what is asked, an item each.
        clusters: of the items; empty is a cluster of its own.
    """
    header = _common(texts) if len(texts) > 1 else 0
    together: defaultdict[str, list[bytes]] = defaultdict(list)
    for text, cluster in zip(texts, clusters, strict=True):
        together[cluster].append(text)
    shared = {cluster: _common(found) - header for cluster, found in together.items() if cluster and len(found) > 1}
    return [
        Weight(len(text) - header, shared.get(cluster, 0), cluster or None)
        for text, cluster in zip(texts, clusters, strict=True)
    ]


def _common(texts: Sequence[bytes]) -> int:
    """With how many bytes all of them begin: as many as the first and the last in order have in common."""
    low, high = min(texts), max(texts)
    differ = (n for n, (one, other) in enumerate(zip(low, high, strict=False)) if one != other)
    return next(differ, min(len(low), len(high)))


def work(items: Iterable[Weight]) -> int:
    """What items come to that are asked together: what a cluster shares is read once."""
    found = list(items)
    return sum(w.length - w.shared for w in found) + sum({w.cluster: w.shared for w in found if w.shared}.values())


def dealt(weights: Sequence[Weight], world: int, *, turn: int = 0) -> _Shares:
    """Process → places of the items it records, in order; of processes that have any.

    Items are sorted by length and dealt out in turn, back and forth. So all have as many, give or take one, and like
    work, whatever it is that grows with length: the longest share is longer than the shortest by one item at most.
    Items that begin alike are dealt as one, unless the longest share is shorter without.

    Args:
        weights: of consecutive items.
        world: how many processes there are.
        turn: which of them comes first, counted round and round, so that none has the longest item always.
    """
    if world == 1:
        return {0: range(len(weights))}
    ways = (_in_turn(lots, weights, world, turn) for lots in (_alike(weights), [[n] for n in range(len(weights))]))
    return min(ways, key=lambda shares: _longest(shares, weights))


def _alike(weights: Sequence[Weight]) -> Iterator[list[int]]:
    """Places of items that begin alike, together, by the first of them."""
    lots: dict[Hashable, list[int]] = {}
    for place, weight in enumerate(weights):
        lots.setdefault(weight.cluster if weight.shared else (place,), []).append(place)
    return iter(lots.values())


def _in_turn(lots: _Lots, weights: Sequence[Weight], world: int, turn: int) -> _Shares:
    shares: dict[int, list[int]] = {}
    longest_first = sorted(lots, key=lambda lot: -work(weights[place] for place in lot))
    for number, lot in enumerate(longest_first):
        lap, step = divmod(number, world)
        shares.setdefault(((world - 1 - step if lap % 2 else step) + turn) % world, []).extend(lot)
    return {rank: sorted(places) for rank, places in shares.items()}


def _longest(shares: _Shares, weights: Sequence[Weight]) -> int:
    return max((work(weights[place] for place in places) for places in shares.values()), default=0)
