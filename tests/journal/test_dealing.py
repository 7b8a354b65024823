"""Items dealt out to processes: every one once, and like work for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.journal.dealing import Weight, dealt, weighed, work

worlds = st.integers(2, 9)
lengths = st.lists(st.integers(0, 5_000), max_size=60)


@st.composite
def clustered(draw: st.DrawFn) -> list[Weight]:
    """Items of a few clusters, each with a beginning of its own length."""
    shared = draw(st.lists(st.integers(0, 900), min_size=1, max_size=5))
    of = draw(st.lists(st.tuples(st.integers(0, len(shared) - 1), st.integers(0, 300)), max_size=40))
    return [Weight(shared[cluster] + own, shared[cluster], cluster) for cluster, own in of]


def loads(shares: Mapping[int, Sequence[int]], weights: Sequence[Weight], world: int) -> list[int]:
    return [work(weights[place] for place in shares.get(rank, ())) for rank in range(world)]


@given(weights=st.one_of(lengths.map(lambda found: [Weight(n) for n in found]), clustered()), world=worlds, turn=worlds)
def test_every_item_is_dealt_once(weights: list[Weight], world: int, turn: int) -> None:
    shares = dealt(weights, world, turn=turn)
    assert sorted(place for places in shares.values() for place in places) == list(range(len(weights)))
    assert all(0 <= rank < world and list(places) == sorted(places) != [] for rank, places in shares.items())
    assert shares == dealt(weights, world, turn=turn)


@given(found=lengths, world=worlds, turn=worlds)
def test_shares_differ_by_one_item_at_most(found: list[int], world: int, turn: int) -> None:
    shares = dealt([Weight(n) for n in found], world, turn=turn)
    counts = [len(shares.get(rank, ())) for rank in range(world)]
    assert max(counts) - min(counts) <= 1
    ways: list[Callable[[int], int]] = [lambda n: n, lambda n: n**2, lambda n: int(n > 100)]
    for grows in ways:  # whatever it is that grows with length
        of_ranks = [sum(grows(found[place]) for place in shares.get(rank, ())) for rank in range(world)]
        assert max(of_ranks) - min(of_ranks) <= max(map(grows, found), default=0)


@given(weights=clustered(), world=worlds)
def test_what_begins_alike_is_divided_only_where_the_longest_share_is_shorter_for_it(
    weights: list[Weight], world: int
) -> None:
    shares = dealt(weights, world)
    singly = dealt([Weight(w.length) for w in weights], world)
    of = [{rank for rank, places in shares.items() if place in places} for place in range(len(weights))]
    whole = all(of[a] == of[b] for a, w in enumerate(weights) for b, x in enumerate(weights) if w.shared and w == x)
    assert max(loads(shares, weights, world)) <= max(loads(singly, weights, world))
    assert whole or max(loads(shares, weights, world)) == max(loads(singly, weights, world))


@pytest.mark.parametrize(("shared", "together"), [(900, True), (20, False)])
def test_a_long_passage_keeps_its_questions_together_and_a_short_one_does_not(shared: int, *, together: bool) -> None:
    passages = [Weight(shared + own, shared, passage) for passage in "ab" for own in (300, 40, 30, 20)]
    passages += [Weight(60)] * 2 if together else [Weight(200, 0)] * 3
    shares = dealt(passages, 2)
    of = [next(rank for rank, places in shares.items() if place in places) for place in range(8)]
    assert (len(set(of[:4])) == len(set(of[4:])) == 1) is together


def test_nobody_has_the_longest_item_of_every_round() -> None:
    weights = [Weight(n) for n in (9, 4, 2, 1)]
    assert {next(r for r, places in dealt(weights, 2, turn=turn).items() if 0 in places) for turn in (0, 1)} == {0, 1}


def test_what_a_round_shares_weighs_once() -> None:
    texts = [b"Shots. Passage one. Who?", b"Shots. Passage one. Where to?", b"Shots. Nothing."]
    header = len(b"Shots. ")
    weights = weighed(texts, ["a", "a", ""])
    assert [w.length for w in weights] == [len(text) - header for text in texts]
    assert [w.shared for w in weights] == [len(b"Passage one. Wh")] * 2 + [0]
    assert work(weights) == len(b"Passage one. Who?ere to?Nothing.")
    assert weighed([b"alone"], ["a"]) == [Weight(5, 0, "a")]


@given(st.lists(st.tuples(st.binary(max_size=4), st.sampled_from(["", "a", "b"])), max_size=8))
def test_nothing_weighs_less_than_what_it_shares(found: list[tuple[bytes, str]]) -> None:
    for weight in weighed([text for text, _ in found], [cluster for _, cluster in found]):
        assert 0 <= weight.shared <= weight.length
