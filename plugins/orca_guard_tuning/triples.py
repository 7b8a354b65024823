"""Triples: what a student is trained on, as JSONL, a row a triple of system message, user's turn and answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any, Self

import msgspec
from filelock import FileLock

from orca_guard.errors import BadInput, ConfigurationChanged, suggest
from orca_guard.identity import differences, digest_of
from orca_guard.rows import append, replace_whole, taken
from orca_guard.types import Message


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pass of a strategy that asks more than once: what it asked, and what the teacher wrote."""

    user: str
    answer: str


class Erased(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What prompt erasing took away, kept for study: nothing here is ever trained on."""

    system: str
    passes: tuple[Turn, ...] = ()


class Triple(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One row.

    Attributes:
        system: the system message; empty is none.
        user: the user's turn, with its documents and choices.
        answer: everything the teacher wrote; of several passes, all of them, a line after the other.
        id: unique in its file.
        category: of the prompt.
        strategy: the answer was written under.
        history: turns between the system message and the user's.
        passes: of a strategy that asks more than once, each with its own prompt. While they are there, they are what is
            trained on, because that is how the strategy will ask.
        gold: accepted answers, where known.
        right: whether the answer is one of them; None where nobody knows.
        fault: why there is no answer to train on, such as `truncated` or `blocked`.
        tokens: that the teacher wrote, where known.
        cached: how many of the teacher's replies were kept from an earlier time, and not written for this row.
        asked: digest of the prompt and the strategy, so that what has changed is asked again.
        erased: what prompt erasing took away.
    """

    system: str
    user: str
    answer: str
    id: str = ""
    category: str = ""
    strategy: str = ""
    history: tuple[Message, ...] = ()
    passes: tuple[Turn, ...] = ()
    gold: tuple[str, ...] = ()
    right: bool | None = None
    fault: str = ""
    tokens: int = 0
    cached: int = 0
    asked: str = ""
    erased: Erased | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing was asked or nothing was answered: blanks are nothing."""
        return not (self.user.strip() and self.answer.strip())

    def conversations(self) -> Iterator[list[Message]]:
        """What is trained on: conversations whose last turn is learned."""
        opening = [Message("system", self.system)] if self.system else []
        for turn in self.passes or (Turn(self.user, self.answer),):
            yield [*opening, *self.history, Message("user", turn.user), Message("assistant", turn.answer)]


def read_triples(path: Path) -> list[Triple]:
    """Every row of a file.

    Raises:
        BadInput: it cannot be read, holds nothing, or a row is no triple; its line is named.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    found = [_triple(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise BadInput(f"{path} holds no triples")
    return found


def _triple(line: bytes, where: str) -> Triple:
    try:
        return msgspec.json.decode(line, type=Triple)
    except msgspec.ValidationError as error:
        raise BadInput(f"{where}: {_explained(line, str(error))}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"{where}: not valid JSON: {error}") from error


def _explained(line: bytes, message: str) -> str:
    """The decoder's message, or a better one: it stops at the first wrong value, and does not see what comes after."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not valid JSON: {error}"
    known = Triple.__struct_fields__
    unknown = next((key for key in row if key not in known), None) if isinstance(row, dict) else None
    return f"unknown key {unknown!r}{suggest(unknown, known)}" if unknown else message


def line_of(triple: Triple) -> bytes:
    """A row, with its line end."""
    return msgspec.json.encode(triple) + b"\n"


def write_triples(path: Path, triples: Iterable[Triple]) -> int:
    """Put a file in place whole, or leave the old one as it is; how many rows it has.

    Raises:
        BadInput: it cannot be written.
    """
    lines = [line_of(triple) for triple in triples]
    write_whole(path, b"".join(lines))
    return len(lines)


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in place whole, with its folder. Raises `BadInput`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_whole(path, data)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error


class TripleFile:
    """Triples as they are collected, bound to what collects them by a file beside: a killed run goes on from there.

    Rows that were asked otherwise than now (`Triple.asked`) are dropped when it is opened, and so is a torn last line.
    Rows of prompts that are not among those asked for now stay.

    Args:
        path: of the file.
        asked: of every triple that is wanted its id and digest.
        identity: of the teacher and everything that decides its answers.

    Raises:
        ConfigurationChanged: the rows there come from another teacher.
        BadInput: it cannot be written, is in use, or is a file of something else.
    """

    def __init__(self, path: Path, *, asked: dict[str, str], identity: dict[str, Any]) -> None:
        self.path = path
        self._asked = asked
        self._identity: dict[str, Any] = json.loads(json.dumps(identity))
        self._beside = path.with_name(f"{path.name}.teacher.json")
        self._lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
        self._file: FileIO | None = None
        self.done: dict[str, Triple] = {}
        self.again = 0

    def __enter__(self) -> Self:
        with taken(self.path, self._lock):
            self._open()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._file:
                self._file.close()
        finally:
            self._lock.release()

    def _open(self) -> None:
        data = self.path.read_bytes()
        if data:
            self._check()
        whole = data[: data.rfind(b"\n") + 1]
        rows = [_triple(line, str(self.path)) for line in whole.split(b"\n") if line.strip()]
        kept = [row for row in rows if self._asked.get(row.id, row.asked) == row.asked]
        self.again = len(rows) - len(kept)
        self.done = {row.id: row for row in kept if row.id in self._asked}
        if len(kept) < len(rows) or whole != data:
            write_triples(self.path, kept)
        write_whole(self._beside, json.dumps(self._identity, indent=1, ensure_ascii=False).encode())
        self._file = FileIO(self.path, "ab")

    def _check(self) -> None:
        try:
            stored = json.loads(self._beside.read_bytes())
        except (OSError, ValueError):
            raise BadInput(
                f"{self.path} exists, and {self._beside.name} does not say which teacher wrote it. "
                "Choose another --out, or remove the file."
            ) from None
        if digest_of(stored) != digest_of(self._identity):
            raise ConfigurationChanged(
                f"{self.path} holds answers of another teacher. Choose another --out, or go back. What changed:",
                differences(stored, self._identity),
            )

    def write(self, triple: Triple) -> None:
        """Append a row; when this returns it is on disk."""
        assert self._file is not None, "the file is open"
        try:
            append(self._file, line_of(triple))
        except OSError as error:
            raise BadInput(
                f"cannot write {self.path}: {error.strerror}. What is there is safe: "
                "make room and run the same command again to go on."
            ) from error
        self.done[triple.id] = triple
