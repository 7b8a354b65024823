"""What it costs to run a guard in a process of its own: starting it, and every batch, against the same guard inside."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from orca_guard.isolation import isolated
from orca_guard.types import Exhibit, Question
from orca_guard_hygiene.control_characters import ControlCharacters

TEXT = "The Old Mill opened in 1921. It stands by the river. "


def milliseconds(call: Callable[[], Any]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    """Batches of several sizes, inside and outside in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50, help="of each batch")
    runs = parser.parse_args().runs
    guard: Any = ControlCharacters()
    starts = [milliseconds(lambda: isolated(guard, timeout_s=30)) for _ in range(5)]
    outside: Any = isolated(guard, timeout_s=30)
    print(f"{runs} runs of each, in turn; medians in milliseconds")
    print(f"starting a process: {statistics.median(starts):.0f}")
    print(f"{'texts':>8}{'characters':>12}{'inside':>10}{'outside':>10}{'added':>10}")
    for texts, length in ((1, 1), (1, 20), (32, 20), (1, 20_000)):
        exhibit = Exhibit(text=TEXT * length, stage="input", part="user", question=Question.of("?"))
        batch = [exhibit] * texts
        pairs = [(milliseconds(lambda: guard.judge(batch)), milliseconds(lambda: outside.judge(batch)))  # noqa: B023  # called at once
                 for _ in range(runs)]  # fmt: skip
        inside, apart = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(f"{texts:8}{len(exhibit.text):12}{inside:10.3f}{apart:10.3f}{apart - inside:10.3f}")


if __name__ == "__main__":
    main()
