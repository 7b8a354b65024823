"""Bytes that are on disk when a call returns: files put in place whole, and files that one process appends to."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from orca_guard.errors import BadInput

PATIENCE = 0.3
"""Seconds to wait for another's lock: `is_locked` holds one for an instant to see whether it can be had."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_EVIDENCE = re.compile(
    r"(plan|request|seal|seal\.intoto)\.json|seal\.sig|(items|statements|(journal|texts|labels)-.*)\.jsonl"
)
_PASSING = {*_FULL, errno.EIO}
"""What may be better the next time; all else is as the place is."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of whatever the disk refuses which file it was and what to do."""
    try:
        yield
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}. {_advice(error)}") from error


def _advice(error: OSError) -> str:
    if error.errno not in _PASSING:
        return "Name another place, or see to it that this one can be written."
    room = "make room and " if error.errno in _FULL else ""
    return f"What is there is safe: {room}run the same command again to go on."


def write_whole(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Put a file in place whole, or leave the old one as it is.

    Args:
        path: in a folder that exists.
        data: everything in it.
        mode: permissions, of which the process's mask takes some away.

    Raises:
        BadInput: it cannot be written.
    """
    with writing(path):
        _replace(path, [data], mode)


def write_out(path: Path, data: bytes) -> None:
    """Write what somebody asked for where he says: whole into a file or what a link names, or into a pipe or device.

    Raises:
        BadInput: it cannot be written, or a run's own evidence lies there.
    """
    path = path.resolve() if path.is_symlink() else path
    if _EVIDENCE.fullmatch(path.name) and path.with_name("plan.json").exists():
        raise BadInput(f"{path} is a part of a run, and stays. Name another file.")
    if not path.exists() or path.is_file():
        write_whole(path, data)
        return
    with writing(path), FileIO(os.open(path, os.O_WRONLY), "wb") as file:
        _write(file, data)


def _replace(path: Path, pieces: Iterable[bytes], mode: int) -> None:
    new = path.with_name(f".{path.name}.new")
    try:
        with FileIO(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            for piece in pieces:
                _write(file, piece)
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def append(file: FileIO, data: bytes) -> None:
    """Write and wait until it is on disk. Unbuffered, so that nothing is left to fail when it is closed."""
    _write(file, data)
    os.fsync(file.fileno())


def _write(file: FileIO, data: bytes) -> None:
    """What a full disk cuts short is tried again, so that it says itself what is wrong."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def lock_of(path: Path) -> FileLock:
    """The lock that whoever writes a file holds."""
    return FileLock(path.with_name(f".{path.name}.lock"), timeout=PATIENCE)


def is_locked(path: Path) -> bool:
    """Whether a process is writing the file."""
    lock = lock_of(path)
    if not Path(lock.lock_file).exists():
        return False
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False  # a copy that nobody may write


class AppendFile:
    """A file that this process alone appends to, whole pieces, each on disk before the next.

    After a failure it is shut: what was written in part is cut off when it is opened the next time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = lock_of(path)
        self._file: FileIO | None = None

    def open(self) -> Self:
        """Take the lock and make the file if there is none.

        Raises:
            BadInput: it cannot be written, or another process is writing it.
        """
        with writing(self.path):
            try:
                self._lock.acquire()
            except Timeout:
                raise BadInput(f"another process is writing {self.path}") from None
            try:
                self._file = FileIO(self.path, "ab")
                sync_folder(self.path.parent)
            except BaseException:
                self.close()
                raise
        return self

    def close(self) -> None:
        """Shut the file and let others have it."""
        if self._file:
            self._file.close()
        self._file = None
        self._lock.release()

    def cut(self, size: int) -> None:
        """Keep the first `size` bytes. Raises `BadInput`."""
        file = self._opened()
        with writing(self.path):
            os.ftruncate(file.fileno(), size)
            os.fsync(file.fileno())

    def rewrite(self, pieces: Iterable[bytes]) -> None:
        """Put other contents in its place, whole. Raises `BadInput`."""
        self._opened().close()
        with writing(self.path):
            _replace(self.path, pieces, 0o666)
            self._file = FileIO(self.path, "ab")

    def append(self, data: bytes) -> None:
        """Add to its end; when this returns it is on disk. Raises `BadInput`."""
        file = self._opened()
        try:
            with writing(self.path):
                append(file, data)
        except BaseException:
            self.close()
            raise

    def _opened(self) -> FileIO:
        if self._file is None:
            raise BadInput(f"{self.path} is not open; after a failure, run the same command again to go on")
        return self._file
