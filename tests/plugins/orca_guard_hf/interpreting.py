"""Kernels for a GPU, run on the CPU by Triton's interpreter."""

from __future__ import annotations

import os
from types import ModuleType

import pytest
import torch

LEAST = "3.7.1"
"""Interpreters of earlier versions do not go with the numpy of today."""


@pytest.fixture(scope="module")
def kernels() -> ModuleType:
    """The kernels, interpreted.

    Triton is no package of the tests' own: it takes 200 MB to download and much more on disk. `make test-kernels`
    installs it and runs what asks for this.
    """
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device, on which test_gpu.py runs the kernels themselves")
    pytest.importorskip("triton", minversion=LEAST, reason=f"Triton {LEAST} is not installed: make test-kernels")
    assert os.environ.get("TRITON_INTERPRET") == "1", "tests/conftest.py sets it before anything imports Triton"
    from orca_guard_hf import kernels as interpreted

    return interpreted
