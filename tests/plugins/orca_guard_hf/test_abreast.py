from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from orca_guard_hf.abreast import Group, Run, abreast

WIDTH = 4
CPU = torch.device("cpu")


def group_of(heads: int, *, first: int = 0, count: int = 3, dtype: torch.dtype = torch.float32) -> Group:
    sample = ((torch.zeros(1, heads, 1, WIDTH, dtype=dtype), torch.zeros(1, heads, 1, WIDTH, dtype=dtype)),) * 2
    return Group(sample, first=first, count=count)


@settings(deadline=None, max_examples=40)
@given(lengths=st.lists(st.integers(1, 300), min_size=2, max_size=6), longest=st.sampled_from([0, 64, 300]))
def test_tables_that_grow_and_shrink_keep_what_fits_and_are_zero_beyond(lengths: list[int], longest: int) -> None:
    group = group_of(2)
    kept = lengths[0]
    group.fit(kept, longest=longest)
    texts = torch.randn(2, 2, 3, 2, kept, WIDTH)
    for pair, values in zip(group.layers, texts, strict=True):
        for table, value in zip(pair, values, strict=True):
            table[:, :, :kept] = value
    for length in lengths[1:]:
        group.fit(length, longest=longest)
        kept = min(kept, group.length)
        assert length <= group.length
        for pair, values in zip(group.layers, texts, strict=True):
            for table, value in zip(pair, values, strict=True):
                assert torch.equal(table[:, :, :kept], value[:, :, :kept])
                assert not table[:, :, kept:].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("heads", "shared"), [(4, 4), (4, 2), (4, 1)])
def test_every_token_looks_at_its_own_text_whatever_its_group(heads: int, shared: int, dtype: torch.dtype) -> None:
    """In single precision to the last digits, as one text alone has it."""
    torch.manual_seed(heads + shared)
    groups = [group_of(shared, dtype=dtype), group_of(shared, first=3, count=2, dtype=dtype)]
    texts = {0: 9, 2: 40, 3: 70, 4: 5}
    for group, length in zip(groups, (40, 70), strict=True):
        group.fit(length)
    past = {slot: torch.randn(2, shared, length, WIDTH).to(dtype) for slot, length in texts.items()}
    runs = [Run(0, 8, (1,)), Run(2, 39, (1,)), Run(3, 69, (1,)), Run(4, 0, (1, 1, 1, 1, 1))]
    where = [groups[0], groups[0], groups[1], groups[1]]
    for run, group in zip(runs, where, strict=True):
        for table, text in zip(group.layers[1], past[run.slot], strict=True):
            table[run.slot - group.slots.start, :, : run.start] = text[:, : run.start]
    layout = abreast(runs, [0, 1, 2, 3], where, device=CPU)
    query = torch.randn(1, heads, 8, WIDTH).to(dtype)
    new = torch.cat([past[run.slot][:, :, run.start : run.end] for run in runs], 2)
    layout.write(1, new[:1], new[1:])
    found = layout.attend(query, new[:1], new[1:], scale=0.5)
    at = 0
    for run in runs:
        key, value = (part.repeat_interleave(heads // shared, 0)[None].float() for part in past[run.slot])
        size = len(run.tokens)
        mask = torch.arange(run.end)[None] <= torch.arange(run.start, run.end)[:, None]
        asked = query[:, :, at : at + size].float()
        right = functional.scaled_dot_product_attention(asked, key, value, attn_mask=mask, scale=0.5)
        tolerance = 1e-5 if dtype == torch.float32 else 4e-2
        assert torch.allclose(found[:, :, at : at + size].float(), right, atol=tolerance)
        at += size
