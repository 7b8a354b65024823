"""What a captured forward is given, and when there is none; the forwards themselves are for test_gpu.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orca_guard_hf import replaying
from orca_guard_hf.abreast import Run
from orca_guard_hf.replaying import Replays, laid_out, size_for

SPARE = 9
runs = st.lists(
    st.builds(
        Run,
        slot=st.integers(0, SPARE - 1),
        start=st.integers(0, 40),
        tokens=st.lists(st.integers(0, 99), min_size=1, max_size=6).map(tuple),
    ),
    max_size=8,
)


@given(st.integers(0, 700))
def test_a_graph_has_room_and_is_not_much_too_large(tokens: int) -> None:
    size = size_for(tokens)
    assert (size is None) is (tokens > 512)
    assert size is None or tokens <= size < max(2 * tokens, 2)


@given(runs=runs, more=st.integers(0, 9))
def test_every_token_goes_to_its_slot_and_what_is_left_to_the_spare_one(runs: list[Run], more: int) -> None:
    tokens = [
        (token, run.slot, position)
        for run in runs
        for token, position in zip(run.tokens, range(run.start, run.end), strict=True)
    ]
    size = len(tokens) + more
    given = laid_out(runs, size, spare=SPARE)
    assert given.shape == (4, size)
    assert given[:3, : len(tokens)].T.tolist() == [list(row) for row in tokens]
    assert given[:3, len(tokens) :].T.tolist() == [[0, SPARE, 0]] * more
    ends = np.cumsum([len(run.tokens) for run in runs], dtype=int) - 1
    assert given[3].tolist() == [*ends.tolist(), *[0] * (size - len(runs))]


class Network:
    """A network of which only what it has forwarded is looked at."""

    device = torch.device("cpu")
    forwarded = 0


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the graphs that were made; one of 4 tokens cannot be, and of 8 there is no memory for it."""
    sizes: list[int] = []

    class Graph:
        def __init__(self, _network: Any, _slots: Any, size: int) -> None:
            if size == 4:
                raise RuntimeError("operation not permitted when stream is capturing")
            if size == 8:
                raise torch.OutOfMemoryError("none left")
            sizes.append(size)

        def replay(self, runs: Sequence[Run], _ids: Any) -> torch.Tensor:
            return torch.zeros(len(runs), 1)

    monkeypatch.setattr(replaying, "_Graph", Graph)
    return sizes


def run_of(tokens: int) -> Run:
    return Run(slot=0, start=0, tokens=(1,) * tokens)


def replays() -> tuple[Replays, Network]:
    network = Network()
    slots: Any = None
    return Replays(network, slots), network  # type: ignore[arg-type]


def test_a_graph_is_made_once_a_size_and_only_real_tokens_count(made: list[int]) -> None:
    found, network = replays()
    for runs in ([run_of(1)], [run_of(9)], [run_of(5), run_of(11)], [run_of(1)]):
        out = found.read(runs)
        assert out is not None
        assert len(out) == len(runs)
    assert (made, network.forwarded) == ([1, 16], 1 + 9 + 16 + 1)


def test_too_many_tokens_are_read_without_a_graph_and_others_with_one(made: list[int]) -> None:
    found, network = replays()
    assert found.read([run_of(513)]) is None
    assert found.read([run_of(512)]) is not None
    assert (made, network.forwarded) == ([512], 512)


def test_a_network_that_cannot_be_captured_is_not_asked_again(made: list[int]) -> None:
    found, network = replays()
    assert found.read([run_of(3)]) is None
    assert found.read([run_of(1)]) is None
    assert (made, network.forwarded) == ([], 0)


def test_too_little_memory_is_not_taken_for_a_network_that_cannot_be_captured(made: list[int]) -> None:
    found, _ = replays()
    with pytest.raises(torch.OutOfMemoryError):
        found.read([run_of(7)])
    assert found.read([run_of(1)]) is not None
