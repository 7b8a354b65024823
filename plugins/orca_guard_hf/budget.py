"""How many tokens go through the network at once: from memory at first, halved whenever it runs out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch

T = TypeVar("T")
log = logging.getLogger("orca_guard")

_SCRATCH = 512 << 20
"""Bytes that the scores over the vocabulary and the masks of one forward may take beside weights and cache."""
_BYTES = 10
"""Of one score while it is worked on: half precision once, single precision twice. On GPUs that is done in portions."""
_GPU, _LEAST = 4096, 8
ANSWERING, SCORING = 320, 768
"""Tokens beyond which a CPU gains nothing, where texts grow and where a tree is read."""
_BLOCK = 31 << 20
"""Bytes just below what glibc always asks the system for, 32 MiB."""


class Budget:
    """A number of tokens that only gets smaller.

    Attributes:
        tokens: most at once.
    """

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def halve(self, error: BaseException) -> None:
        """Half as many from now on. Raises the error again where that helps no more."""
        if self.tokens <= _LEAST:
            raise error
        self.tokens = max(self.tokens // 2, _LEAST)
        log.warning("Out of memory: going on with at most %d tokens at once.", self.tokens)

    def within(self, run: Callable[[int], T]) -> T:
        """`run(tokens)`, again with half as many as often as memory runs out."""
        while True:
            tokens = self.tokens
            try:
                return run(tokens)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                failed: BaseException = error.with_traceback(None)  # its frames hold the tensors that did not fit
            self.halve(failed)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def budget_for(config: Any, device: torch.device, dtype: torch.dtype, *, on_cpu: int) -> Budget:
    """What a forward of this model can take on this device, on a CPU at most so many tokens."""
    vocabulary = int(getattr(config.get_text_config(), "vocab_size", 0) or 1)
    most, size = (_GPU, dtype.itemsize) if device.type == "cuda" else (on_cpu, _BYTES)
    return Budget(max(min(most, _SCRATCH // (size * vocabulary)), _LEAST))


def cache_bytes(device: torch.device) -> int:
    """What keys and values of answers under way may take: a quarter of an accelerator's memory, an eighth of a CPU's.

    Of all there is and not of what is free, so that the same work is batched alike whenever it is done.
    """
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory) // 4
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 8


def keep_freed_memory() -> None:
    """Let the C library keep what forwards give back, up to twice as much, and hand it out again.

    By itself glibc returns blocks of some hundred KiB to the system at once, and every forward then waits for the
    system to clear its pages: a fifth of all time on a CPU. It keeps blocks up to the largest that it has seen freed.
    """
    np.empty(_BLOCK, dtype=np.uint8)


def is_out_of_memory(error: BaseException) -> bool:
    """Torch says it in one way on accelerators and in another on a CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and ("out of memory" in str(error) or "allocate memory" in str(error))
