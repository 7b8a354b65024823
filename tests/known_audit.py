"""`orca-guard audit` in small, for tests that disturb it: an oracle that takes its time, and no options but these.

python -m tests.known_audit (--out FOLDER --run NAME | --resume RUN) [--largest BYTES]
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from orca_guard.audit import Audit, Rank, begin, close, resume, run
from orca_guard.errors import OrcaGuardError
from orca_guard.freezing import freeze
from orca_guard.host import Host
from orca_guard.journal.bundle import RunStore
from tests.auditing import MODELS, arm, host, request

PAUSE_S = 0.005
REQUEST = request(arm("slow"), arm("slow-too", model="slow", no_guards=["length"]))


def slow(prompt: str) -> str:
    """The oracle, after a while."""
    time.sleep(PAUSE_S)
    return MODELS["oracle"].writes(prompt)


def main() -> int:
    """Begin or go on, to the seal."""
    parser = argparse.ArgumentParser()
    for option in ("--out", "--run", "--resume"):
        parser.add_argument(option)
    parser.add_argument("--largest", type=int, help="no file may grow beyond so many bytes, as on a full disk")
    asked = parser.parse_args()
    if asked.largest:
        limit_files(asked.largest)
    by = host({"slow": replace(MODELS["oracle"], name="slow", writes=slow)})
    try:
        audit = resume(Path(asked.resume), by, step=lambda *_: None) if asked.resume else begun(asked, by)
        run(audit, by, place=Rank(), told=lambda *_: None)
        close(audit, place=Rank())
    except OrcaGuardError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def begun(asked: argparse.Namespace, by: Host) -> Audit:
    """The same plan every time."""
    return begin(REQUEST, freeze(REQUEST, by), store=RunStore(Path(asked.out)), name=asked.run)


def limit_files(size: int) -> None:
    """As a disk that is full: a write that would go further is cut short, and the next one fails."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


if __name__ == "__main__":
    sys.exit(main())
