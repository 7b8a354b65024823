"""How long a report on a large bundle takes, and how much memory, at two sizes: memory must hardly grow with it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from multiprocessing import Process
from pathlib import Path
from runpy import run_path

from orca_guard.journal.bundle import Bundle

WAYS = ((), ("--no-verify",))


def main() -> None:
    """Make the bundles if they are not there, and report on each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--folder", type=Path, default=Path("build/verify"), help="where bundles are made and kept")
    options = parser.parse_args()
    for records in options.records:
        folder = options.folder / str(records)
        if not (folder / "seal.json").exists():
            making = Process(target=made, args=(folder, records))  # its memory is not to count for what comes after
            making.start()
            making.join()
        for way in WAYS:
            seconds, cpu, most = measured(folder, way)
            told = " ".join(way) or "verified first"
            print(f"{records:7} records, {told:14}: {seconds:5.1f} s, {cpu:5.1f} s of processor, {most:4.0f} MiB")


def made(folder: Path, records: int) -> None:
    """A bundle, as `verify.py` makes it."""
    run_path(str(Path(__file__).parent / "verify.py"))["make"](Bundle(folder), records)


def measured(folder: Path, way: tuple[str, ...]) -> tuple[float, float, float]:
    """Seconds, seconds of processor, and MiB of memory at most, of one report."""
    command = [str(Path(sys.executable).parent / "orca-guard"), "report", str(folder), "--format", "html", *way]
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--out", str(folder.with_suffix(".html"))], stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"the report ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    main()
