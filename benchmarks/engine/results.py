"""What was measured, as it is written down: lines of one machine and its versions, each with when it was measured."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

from benchmarks.engine.kept import engine

OURS, PEERS = ("torch", "transformers", "tokenizers"), ("lm_eval", "detoxify")
SAME = ("processor", "python", "packages")
"""Conditions that all lines of a table share."""
LINE = ("work", "model", "dtype", "peer")
"""What tells a line from another."""


class Elsewhere(Exception):  # it reads as what happened
    """Lines of another machine, or of other versions."""


def here(peer: Path) -> dict[str, Any]:
    """This machine, and the versions of what is measured on it; `peer` is the peers' Python."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    sites = [str(site) for site in peer.parents[1].glob("lib/python*/site-packages")]
    installed = {found.name: found.version for found in distributions(path=sites) if found.name in PEERS}
    return {
        "processor": f"{model}, {os.cpu_count()} cores, one thread",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in OURS}
        | {name: installed.get(name) or version(name) for name in PEERS},
        "engine": engine(),
    }


def now(peak: Mapping[str, float], rounds: int) -> dict[str, Any]:
    """When a line begins to be measured, and how: what it carries."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "rounds": rounds,
        "peak": dict(peak),
        "load": os.getloadavg()[0],
        "engine": engine(),
    }


class Results:
    """A file of lines. New ones take the place of those of the same name; the others stay.

    Attributes:
        lines: in the order of `names`.
    """

    def __init__(self, path: Path, conditions: Mapping[str, Any], *, names: Sequence[Sequence[str]]) -> None:
        """`names` has every line that can be measured, by what tells it from others.

        Raises:
            Elsewhere: the file holds lines of another machine or of other versions.
        """
        self._path = path
        self._conditions = dict(conditions)
        self._order = {tuple(name): number for number, name in enumerate(names)}
        self._all: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        before = self._all.get("conditions", conditions)
        apart = [name for name in SAME if before.get(name) != conditions.get(name)]
        if apart and self._all.get("results"):
            told = "; ".join(f"{name}: {before.get(name)} there, {conditions.get(name)} here" for name in apart)
            raise Elsewhere(told)
        self.lines: list[dict[str, Any]] = list(self._all.get("results", ()))

    def gone(self) -> list[str]:
        """Lines that nothing measures any more; they are left out when the file is written."""
        return [", ".join(_name(line)) for line in self.lines if _name(line) not in self._order]

    def drop(self, pattern: str) -> None:
        """Forget lines whose names match; the file is written when the next ones are put."""
        self.lines = [line for line in self.lines if not re.search(pattern, " ".join(_name(line)))]

    def put(self, lines: Sequence[dict[str, Any]]) -> None:
        """Take lines in, in their places, and write the file."""
        new = {_name(line): line for line in lines}
        known = {_name(line): line for line in self.lines if _name(line) in self._order} | new
        self.lines = [known[name] for name in sorted(known, key=lambda name: self._order.get(name, len(self._order)))]
        _write(self._path, self._all | {"conditions": self._conditions, "results": self.lines})


def section(path: Path, name: str, found: Any) -> None:
    """Put what is no line of the table into the same file, under a name of its own."""
    before = json.loads(path.read_text("utf-8")) if path.exists() else {}
    _write(path, before | {name: found})


def _write(path: Path, found: Mapping[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    part.replace(path)


def _name(line: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(line[part]) for part in LINE)
