"""What a run has found is kept, so that one that was cut goes on, and nothing that is known is found out again."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).parents[2]


class Kept:
    """Findings in a folder, each a file, named by a digest of all that it depends on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def once(self, key: object, find: Callable[[], T]) -> T:
        """What is kept under a key; found now, and kept, where there is nothing."""
        if not self._path(key).exists():
            self.keep(key, find())
        found: T = json.loads(self._path(key).read_text("utf-8"))
        return found

    def keep(self, key: object, found: Any) -> None:
        """In place of what there may be."""
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._path(key).with_suffix(".part")
        part.write_text(json.dumps(found), "utf-8")
        part.replace(self._path(key))

    def forget(self, key: object) -> None:
        """The next time it is found anew."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: object) -> Path:
        return self._folder / f"{sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]}.json"


def digest_of(*paths: Path) -> str:
    """Of what stands in files, in the order of their names."""
    return sha256(b"".join(path.read_bytes() for path in sorted(paths))).hexdigest()[:12]


def engine() -> str:
    """The state of the engine's code."""
    return digest_of(*(ROOT / "plugins/orca_guard_hf").glob("*.py"))


def bench() -> str:
    """The state of this benchmark's code."""
    return digest_of(*(ROOT / "benchmarks/engine").glob("*.py"))
