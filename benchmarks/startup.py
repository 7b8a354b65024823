"""How soon `orca-guard --help` answers, against a bare `import click`, in alternating runs on the same machine."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import click'": [sys.executable, "-c", "import click"],
    "orca-guard --help": [str(Path(sys.executable).parent / "orca-guard"), "--help"],
    "orca-guard run --help": [str(Path(sys.executable).parent / "orca-guard"), "run", "--help"],
    "orca-guard plugins": [str(Path(sys.executable).parent / "orca-guard"), "plugins"],
}
PEER = "python -c 'import click'"


def seconds(command: list[str]) -> float:
    """Wall time of one run, which has to succeed."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Every command once to warm the file cache, then all of them in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="of each command")
    runs = parser.parse_args().runs
    for command in COMMANDS.values():
        seconds(command)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    peer = statistics.median(times[PEER])
    print(f"{runs} runs of each, in turn; milliseconds")
    print(f"{'':26}{'median':>8}{'least':>8}{'most':>8}{'ratio':>8}")
    for name, taken in times.items():
        median = statistics.median(taken)
        figures = "".join(f"{1000 * value:8.0f}" for value in (median, min(taken), max(taken)))
        print(f"{name:26}{figures}{median / peer:8.2f}")


if __name__ == "__main__":
    main()
