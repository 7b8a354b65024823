"""Kills audits of the embedded model at random moments, goes on with them, and compares what they find.

Every kill is SIGKILL to a real `orca-guard audit --suite basics`. One in four comes after a random time, the others
when a random number of bytes is on disk, so that the short moments in which something is written are met too. A run is
gone on with until it is sealed; then every record must be that of a run which nobody disturbed.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMAND = (str(Path(sys.executable).parent / "orca-guard"), "audit")
VOLATILE = {"n", "prev", "seconds"}
POLL_S = 0.001

Moment = Callable[[float], bool]
"""Seconds since the process began → whether it is to be killed now."""


@dataclass(frozen=True)
class Audits:
    """How runs of one plan are begun and gone on with.

    Attributes:
        store: folder of the runs.
        first: command that begins one, without `--out` and `--run`.
        again: command that goes on with one, without `--resume`.
    """

    store: Path
    first: tuple[str, ...] = (*COMMAND, "--suite", "basics")
    again: tuple[str, ...] = COMMAND

    def begin(self, name: str) -> subprocess.Popen[str]:
        """From the start."""
        return _started(*self.first, "--out", str(self.store), "--run", name)

    def resume(self, folder: Path) -> subprocess.Popen[str]:
        """From where it was cut."""
        return _started(*self.again, "--resume", str(folder))


@dataclass
class Tally:
    """What happened so far.

    Attributes:
        kills: processes that were killed.
        where: what was on disk when they were, and how often.
        runs: sealed in the end.
        again: runs begun again, because nothing of them was there to go on with.
        stuck: runs that could be neither gone on with nor begun again.
        different: records and seals that are not those of the undisturbed run.
        torn: lines that resuming cut off.
    """

    kills: int = 0
    where: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    again: int = 0
    stuck: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    torn: int = 0


def main() -> int:
    """Disturb runs until there were as many kills as asked for; 1 if anything is lost or different."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", nargs="?", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, help="keep the runs in this folder, which must not exist yet")
    asked = parser.parse_args()
    store = asked.out or Path(tempfile.mkdtemp(prefix="kill-audits-"))
    try:
        tally, seconds = disturb(Audits(store), kills=asked.kills, seed=asked.seed)
    finally:
        if not asked.out:
            shutil.rmtree(store, ignore_errors=True)
    print(summary(tally, seconds))
    return 1 if tally.stuck or tally.different else 0


def disturb(audits: Audits, *, kills: int, seed: int = 0) -> tuple[Tally, float]:
    """One run in peace, then others until enough kills are spent; returns what happened, and the first one's seconds.

    Raises:
        RuntimeError: the run that nobody disturbed did not end well.
    """
    started = time.monotonic()
    with audits.begin("peace") as process:
        _, said = process.communicate()
    seconds, peace = time.monotonic() - started, audits.store / "peace"
    if not ended_well(process, peace):
        raise RuntimeError(said)
    tally, moments = Tally(), Moments(random.Random(seed), seconds=seconds, size=on_disk(peace))  # noqa: S311
    while tally.kills < kills:
        folder = audits.store / f"run-{tally.runs + len(tally.stuck) + 1}"
        if why := _disturbed(audits, folder, tally, moments, kills):
            tally.stuck.append(f"{folder.name} ({where(folder)}): {why}")
        else:
            tally.runs += 1
            tally.different += differences(peace, folder)
            tally.torn += sum(row["dropped"] for row in lines(folder) if row["kind"] == "resumed")
    return tally, seconds


def _disturbed(audits: Audits, folder: Path, tally: Tally, moments: Moments, kills: int) -> str:
    """Begin a run and go on with it, killed again and again, until it is sealed; returns why it cannot be, if so."""
    while not (folder / "seal.json").exists():
        begun = (folder / "plan.json").exists()
        with audits.resume(folder) if begun else audits.begin(folder.name) as process:
            dead = tally.kills < kills and killed(process, moments.next(folder))
            _, said = process.communicate()
        if dead:
            tally.kills += 1
            tally.where[where(folder)] += 1
        elif ended_well(process, folder):
            return ""
        elif begun or not folder.exists():
            return said.strip()
        else:
            tally.again += 1
            shutil.rmtree(folder)  # without a plan there is nothing to go on with, and nothing to lose
    return ""


def ended_well(process: subprocess.Popen[str], folder: Path) -> bool:
    """Whether a run is sealed, and its process says that it was measured, whatever no gate made of it."""
    return process.returncode in {0, 3} and (folder / "seal.json").exists()


# --- processes ---------------------------------------------------------------------------------


def _started(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@dataclass(frozen=True)
class Moments:
    """When to kill: one time in four after some seconds, else once some more bytes are on disk.

    Attributes:
        chance: decides.
        seconds: that an undisturbed run takes.
        size: bytes that it leaves.
    """

    chance: random.Random
    seconds: float
    size: int

    def next(self, folder: Path) -> Moment:
        """For a process that works on this run."""
        if self.chance.random() < 0.25:  # noqa: PLR2004  # one in four
            after = self.chance.uniform(0.0, self.seconds)
            return lambda passed: passed >= after
        there = on_disk(folder)
        wanted = there + self.chance.randint(1, max(self.size - there, 1))
        return lambda _: on_disk(folder) >= wanted


def killed(process: subprocess.Popen[str], now: Moment) -> bool:
    """Kill the process when its moment has come; False if it ended before."""
    started = time.monotonic()
    while process.poll() is None:
        if now(time.monotonic() - started):
            process.kill()
            break
        time.sleep(POLL_S)
    return process.wait() == -signal.SIGKILL


# --- what is on disk ---------------------------------------------------------------------------


def on_disk(folder: Path) -> int:
    """Bytes of all files of a run."""
    total = 0
    for path in folder.iterdir() if folder.exists() else ():
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # it was put in place under its own name meanwhile
            continue
    return total


def where(folder: Path) -> str:
    """How far a run has come, by its files."""
    if (folder / "seal.json").exists():
        return "after the seal"
    if (folder / "journal-0.jsonl").exists():
        whole = (folder / "journal-0.jsonl").read_bytes().endswith(b"\n")
        return "between records" if whole else "within a line"
    if (folder / "plan.json").exists():
        return "after the plan"
    return "before the plan" if folder.exists() else "before the folder"


def lines(folder: Path) -> Iterator[dict[str, Any]]:
    """Every line of the journal."""
    return (json.loads(line) for line in (folder / "journal-0.jsonl").read_text("utf-8").splitlines())


def differences(peace: Path, folder: Path) -> list[str]:
    """Records, figures and results that are not the same; texts are, if their addresses are."""
    old, new = _records(peace), _records(folder)
    told = [f"{folder.name}: {key}" for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    seals = [json.loads((one / "seal.json").read_bytes()) for one in (peace, folder)]
    return told + [
        f"{folder.name}: {key}" for key in ("results", "figures", "verdict") if seals[0][key] != seals[1][key]
    ]


def _records(folder: Path) -> dict[str, Any]:
    """What every record says, by what it is of; one that is there twice is a list of both."""
    found: dict[str, Any] = {}
    for row in lines(folder):
        if row["kind"] == "item":
            key = f"{row['benchmark']}/{row['item']} under {row['subject']}"
            said = {name: value for name, value in row.items() if name not in VOLATILE}
            found[key] = [found[key], said] if key in found else said
    return found


def summary(tally: Tally, seconds: float) -> str:
    """For people."""
    places = ", ".join(f"{count} {place}" for place, count in tally.where.most_common())
    told = [
        f"an undisturbed run: {seconds:.1f} s",
        f"kills: {tally.kills} ({places})",
        f"runs sealed in the end: {tally.runs}, of which {tally.again} had to be begun again from nothing",
        f"journal lines that were cut off and made again: {tally.torn}",
        f"runs that could not be gone on with: {len(tally.stuck)} {'; '.join(tally.stuck)}",
        f"scores that differ: {len(tally.different)} {'; '.join(tally.different[:5])}",
    ]
    return "\n".join(told)


if __name__ == "__main__":
    sys.exit(main())
