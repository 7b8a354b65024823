"""Answers kept between runs, by what decides them: the model's identity and the request, never a name."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from orca_guard.contracts import Model, Reported, Target
from orca_guard.drive import closable
from orca_guard.errors import BadInput
from orca_guard.identity import digest_of
from orca_guard.types import Embed, Embedding, Generate, Generation, Request, Score, Scores

log = logging.getLogger("orca_guard")

Kept: TypeAlias = Generation | Scores | Embedding
_KINDS: Mapping[str, type[Kept]] = {kind.__name__: kind for kind in (Generation, Scores, Embedding)}
_CACHED = (Generate, Score, Embed)
"""Classifiers are named by a path, and tokens are followed to see them with one's own eyes: neither is kept."""
_PASSING = ("target", "deadline", "stream", "name", "final")
"""What a request says that does not decide its answer."""
_FORMAT = 1
_PATIENCE_S = 60.0
_TABLE = (
    "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, kind TEXT NOT NULL, reply BLOB NOT NULL, digest TEXT)"
)


class AnswerCache:
    """A folder of answers that several processes and threads may use at once.

    Args:
        folder: made if it is not there.

    Raises:
        BadInput: it cannot be made, or what is in it is no cache.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"answers-{_FORMAT}.sqlite"
        self._local = threading.local()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._connection()
        except (OSError, sqlite3.Error) as error:
            why = getattr(error, "strerror", None) or error
            raise BadInput(f"the cache in {folder} cannot be used: {why}. Name another folder.") from error

    def over(self, model: Model) -> Target:
        """The model, asked only for what is not there yet."""
        return Remembering(model, self, identity=digest_of(dict(model.identity)))

    def get(self, key: str) -> Kept | None:
        """What is kept under a key, marked as such; nothing where it is damaged."""
        try:
            row = self._connection().execute("SELECT kind, reply, digest FROM answers WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            log.warning("The cache %s cannot be read: %s.", self._path, error)
            return None
        if row is None or row[2] != digest_of([key, row[0], bytes(row[1]).hex()]):
            return None
        return replace(msgspec.msgpack.decode(row[1], type=_KINDS[row[0]]), cached=True)

    def put(self, key: str, reply: Kept) -> None:
        """Keep a reply, unless one is kept already. What cannot be written is not kept."""
        kind, data = type(reply).__name__, msgspec.msgpack.encode(reply)
        row = (key, kind, data, digest_of([key, kind, data.hex()]))
        try:
            with self._connection() as connection:
                connection.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            log.warning("The cache %s cannot be written: %s.", self._path, error)

    def _connection(self) -> sqlite3.Connection:
        """One for each thread. Readers and a writer do not wait for each other; writers wait for their turn."""
        if not hasattr(self._local, "connection"):
            connection = sqlite3.connect(self._path, timeout=_PATIENCE_S)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            with connection:
                connection.execute(_TABLE)
            self._local.connection = connection
        found: sqlite3.Connection = self._local.connection
        return found


@dataclass(frozen=True, slots=True)
class Remembering:
    """A target before a model: what is kept is answered at once, and what the model answers is kept."""

    model: Model
    cache: AnswerCache
    identity: str

    def run(self, requests: Iterable[Request]) -> Iterator[Reported]:
        """As the model does. Failures and answers that time cut short are not kept."""
        misses = _Misses(iter(requests), self)
        while True:
            with closing(closable(self.model.run(misses))) as replies:
                for request, reply in replies:
                    yield from misses.found()
                    self._keep(request, reply)
                    yield request, reply
            if not misses.hits and not misses.taken:
                return
            misses.taken = 0
            yield from misses.found()

    def known(self, request: Request) -> Kept | None:
        """The reply that is kept for a request."""
        return self.cache.get(self._key(request)) if isinstance(request, _CACHED) else None

    def _keep(self, request: Request, reply: Any) -> None:
        if isinstance(request, _CACHED) and isinstance(reply, Kept) and getattr(reply, "finish", "") != "deadline":
            self.cache.put(self._key(request), reply)

    def _key(self, request: Request) -> str:
        asked = {name: value for name, value in asdict(request).items() if name not in _PASSING}
        return digest_of({"format": _FORMAT, "model": self.identity, "kind": type(request).__name__, "asked": asked})


class _Misses(Iterator[Request]):
    """The requests that are not kept; those that are lie in `hits` with their replies."""

    def __init__(self, source: Iterator[Request], before: Remembering) -> None:
        self.hits: deque[tuple[Request, Kept]] = deque()
        self.taken = 0
        self._source = source
        self._before = before

    def __next__(self) -> Request:
        for request in self._source:
            self.taken += 1
            if (reply := self._before.known(request)) is None:
                return request
            self.hits.append((request, reply))
        raise StopIteration

    def found(self) -> Iterator[Reported]:
        """What has been found since."""
        while self.hits:
            yield self.hits.popleft()
