"""Seconds of one piece of work, and what went through the network meanwhile."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Clock:
    """Processor and wall seconds, tokens through the layers, and rows through the output layer."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {"tokens": 0, "rows": 0}

    def count(self, model: Any) -> None:
        """Watch a network's embedding and output layer."""
        embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
        embedding.register_forward_hook(lambda _m, _i, out: self._add("tokens", out.numel() // out.shape[-1]))
        if head is not None:
            head.register_forward_hook(lambda _m, _i, out: self._add("rows", out.numel() // out.shape[-1]))

    def _add(self, what: str, number: int) -> None:
        self.found[what] += number

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time this; counts begin anew."""
        self.found |= {"tokens": 0, "rows": 0}
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.found |= {"seconds": time.process_time() - cpu, "wall": time.perf_counter() - wall}

    def hand_over(self, values: Any) -> None:
        """Write everything, with the results of the work, to the file named by the last argument."""
        Path(sys.argv[-1]).write_text(json.dumps({**self.found, "peak": peak_bytes(), "values": values}), "utf-8")


def peak_bytes() -> int:
    """The most memory that this process has held.

    From Linux's own record where there is one: what `getrusage` says begins with what the parent held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
