"""Every kernel against what torch computes, over shapes of chance."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from orca_guard.types import Score
from tests.plugins.orca_guard_hf.conftest import ask, open_model
from tests.plugins.orca_guard_hf.interpreting import kernels

__all__ = ["kernels"]

TOLERANCES = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
dtypes = st.sampled_from(list(TOLERANCES))
widths = st.integers(1, 20)
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Case:
    """Tokens over slots, of which only what they may see is a number."""

    query: Tensor
    key: Tensor
    value: Tensor
    slots: Tensor
    positions: Tensor


@st.composite
def cases(draw: st.DrawFn) -> Case:
    key_heads, group, count = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 4))
    width, values, columns = draw(widths), draw(widths), draw(st.sampled_from([1, 2, 127, 128, 129, 300]))
    where = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, columns - 1)), min_size=1, max_size=3))
    dtype, chance = draw(dtypes), torch.Generator().manual_seed(draw(st.integers(0, 99)))
    slots, positions = (torch.tensor(part) for part in zip(*where, strict=True))

    def numbers(*shape: int) -> Tensor:
        return torch.randn(shape, generator=chance).to(dtype)

    query = numbers(1, key_heads * group, len(where), width)
    if draw(st.booleans()):  # as a projection leaves it, or with its numbers far apart
        query = query.transpose(1, 2).contiguous().transpose(1, 2)
    elif draw(st.booleans()):
        query = query.transpose(2, 3).contiguous().transpose(2, 3)
    tables = numbers(count, key_heads, columns, width), numbers(count, key_heads, columns, values)
    for slot in range(count):
        seen = max((p + 1 for s, p in where if s == slot), default=0)
        for table in tables:
            table[slot, :, seen:] = float("nan")
    return Case(query, *tables, slots, positions)


def attended(case: Case, token: int, *, scale: float) -> Tensor:
    """What one token sees, (heads, value width), in double precision."""
    slot, seen = case.slots[token], int(case.positions[token]) + 1
    group = case.query.shape[1] // case.key.shape[1]
    key, value = (table[slot, :, :seen].double().repeat_interleave(group, 0) for table in (case.key, case.value))
    score = scale * case.query[0, :, token, None].double() @ key.transpose(1, 2)
    return (score.softmax(-1) @ value)[:, 0]


@few
@given(case=cases(), scale=st.floats(0.05, 2))
def test_attention_over_slots(kernels: ModuleType, case: Case, scale: float) -> None:
    found = kernels.attend_each(
        case.query, case.key, case.value, slots=case.slots, positions=case.positions, scale=scale
    )
    heads, tokens = case.query.shape[1:3]
    assert (found.shape, found.dtype) == ((1, heads, tokens, case.value.shape[-1]), case.value.dtype)
    tolerance = TOLERANCES[case.value.dtype]
    for token in range(tokens):
        wanted = attended(case, token, scale=scale)
        torch.testing.assert_close(found[0, :, token].double(), wanted, rtol=tolerance, atol=tolerance)


def test_scores_of_any_size_stay_numbers(kernels: ModuleType) -> None:
    key = torch.full((1, 1, 130, 4), -300.0)
    key[0, 0, 129] = 300.0
    found = kernels.attend_each(
        torch.full((1, 1, 1, 4), 300.0),
        key,
        torch.arange(130.0).view(1, 1, 130, 1),
        slots=torch.tensor([0]),
        positions=torch.tensor([129]),
        scale=1.0,
    )
    assert found.flatten().tolist() == [129.0]


@few
@given(
    heads=st.integers(1, 3), slots=st.integers(1, 3), columns=st.integers(1, 9), sizes=st.tuples(widths, widths),
    data=st.data(),
)  # fmt: skip
def test_keys_and_values_are_put_where_they_belong_and_nowhere_else(
    kernels: ModuleType, *, heads: int, slots: int, columns: int, sizes: tuple[int, int], data: st.DataObject
) -> None:
    everywhere = [(slot, column) for slot in range(slots) for column in range(columns)]
    places = data.draw(st.lists(st.sampled_from(everywhere), unique=True, min_size=1, max_size=6))
    at, dtype = [torch.tensor(part) for part in zip(*places, strict=True)], data.draw(dtypes)
    tables, states = [], []
    for width in sizes:
        tables.append(torch.zeros(slots, heads, columns, width, dtype=dtype))
        new = torch.randn(1, len(places), heads, width).to(dtype).transpose(1, 2)
        states.append(new.transpose(2, 3).contiguous().transpose(2, 3) if data.draw(st.booleans()) else new)
    wanted = [table.clone() for table in tables]
    for table, new in zip(wanted, states, strict=True):
        table[at[0], :, at[1]] = new[0].transpose(0, 1)
    kernels.put_each(tuple(tables), tuple(states), slots=at[0], positions=at[1])
    assert all(torch.equal(found, table) for found, table in zip(tables, wanted, strict=True))


@few
@given(
    shape=st.lists(st.integers(1, 4), max_size=3), width=st.integers(1, 40), dtype=dtypes, weight=st.floats(0.1, 3),
    far=st.booleans(),
)  # fmt: skip
def test_norms_round_where_transformers_does(
    kernels: ModuleType, shape: list[int], width: int, dtype: Any, weight: float, *, far: bool
) -> None:
    from transformers.models.llama.modeling_llama import LlamaRMSNorm

    make: Any = LlamaRMSNorm
    norm = make(width, eps=1e-6).to(dtype)
    norm.weight.data = (torch.randn(width) * weight).to(dtype)
    states = torch.randn(*shape, width).to(dtype)
    states = states.movedim(-1, 0).contiguous().movedim(0, -1) if far else states
    found, wanted = kernels.norm_rows(states, norm.weight.data, 1e-6), norm(states)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    tolerance = {torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}[dtype]  # two units in the last place
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


def test_nothing_to_do_is_done(kernels: ModuleType) -> None:
    assert kernels.norm_rows(torch.zeros(0, 8), torch.ones(8), 1e-6).shape == (0, 8)
    none = torch.zeros(0, dtype=torch.long)
    table = torch.zeros(1, 1, 4, 8)
    found = kernels.attend_each(torch.zeros(1, 2, 0, 8), table, table, slots=none, positions=none, scale=1.0)
    assert found.shape == (1, 2, 0, 8)


@pytest.mark.parametrize("dtype", list(TOLERANCES))
def test_slots_read_by_kernels_as_without(
    kernels: ModuleType, tiny: Any, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole network: prompts of several texts at once, then token by token, where a slot was another text's."""
    from orca_guard_hf import slots
    from orca_guard_hf.abreast import Run
    from orca_guard_hf.slots import Slots

    class Uncaptured:
        def read(self, *_: Any) -> None:
            return None

    opened = open_model(tiny, dtype=str(dtype).removeprefix("torch."))
    ask(opened, Score(context="the one", continuations=(" of", " who is")))  # so that its cache is known
    network = opened.network
    steps = [
        [Run(slot=1, start=0, tokens=(5, 9, 30)), Run(slot=0, start=0, tokens=(7,))],
        [
            Run(slot=0, start=1, tokens=(8,)),
            Run(slot=1, start=3, tokens=(11, 12)),
            Run(slot=2, start=0, tokens=(40, 41)),
        ],
        [Run(slot=1, start=0, tokens=(33, 34))],
    ]
    plain = Slots(network, count=3)
    monkeypatch.setattr(slots, "kernels_serve", lambda _: True)
    monkeypatch.setattr(slots, "replays_of", lambda *_: Uncaptured())
    by_kernel = Slots(network, count=3)
    assert by_kernel.by_kernel
    for one in (plain, by_kernel):
        one.fit(dict.fromkeys(range(3), 8), longest=8)
    for runs in steps:
        found, wanted = (one.read(runs).float().log_softmax(-1) for one in (by_kernel, plain))
        tolerance = {torch.float32: 1e-4, torch.float16: 0.1, torch.bfloat16: 0.8}[dtype]
        assert (found - wanted).abs().max() < tolerance
