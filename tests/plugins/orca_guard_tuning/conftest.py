"""What every test of tuning relies on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from accelerate.state import AcceleratorState


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small networks are faster on one, and other processes may want the rest."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _own_accelerator() -> Iterator[None]:
    """accelerate keeps one state a process; a command has a process of its own."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
