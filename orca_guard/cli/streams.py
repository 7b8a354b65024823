"""The standard streams: one that is closed or full is an error like any other, and nothing acts on a terminal."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from typing import TYPE_CHECKING, Any, TextIO

import click

from orca_guard.errors import BadInput

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """The text without characters that act on a terminal."""
    return _ACTING.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def complain(text: str) -> None:
    """Text on stderr, plain."""
    click.echo(plain(text), err=True)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON to be read by people too: in Unicode, but what acts on a terminal is escaped."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _ACTING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


# --- writing -----------------------------------------------------------------------------------


class ReaderGone(Exception):
    """Whoever read our output has gone: nothing is left to say, and nothing to complain about."""


class Output(FileIO):
    """Standard output that fails once, with an error of ours, and then takes everything without a word.

    click and rich end the process with exit code 1 when they see that a pipe broke; so they do not get to see it.
    """

    failed = False

    def write(self, data: ReadableBuffer, /) -> int:
        """Raises `ReaderGone`, or `BadInput` for a place that takes no more."""
        if self.failed:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as error:
            self.failed = True
            if error.errno == errno.EPIPE:
                raise ReaderGone from error
            raise BadInput(f"cannot write to stdout: {error.strerror}. Send it somewhere else.") from error


class Complaints(FileIO):
    """Standard error: where it cannot be written nobody can be told, and the work goes on."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Never raises."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def stand_in() -> None:
    """Put these in the place of the process's standard streams.

    A stream that is closed becomes a file that cannot be used. So its use is an error, and its number goes to no file
    that is opened later.
    """
    if sys.stdin is None:
        sys.stdin = TextIOWrapper(BufferedReader(FileIO(os.open(os.devnull, os.O_WRONLY))), encoding="utf-8")
    sys.stdout = _written(sys.stdout, Output)
    sys.stderr = _written(sys.stderr, Complaints)


def _written(old: TextIO | None, kind: type[FileIO]) -> TextIO:
    if old is None:
        unusable = kind(os.open(os.devnull, os.O_RDONLY), "w")
        return TextIOWrapper(BufferedWriter(unusable), encoding="utf-8")
    buffer = BufferedWriter(kind(old.fileno(), "w", closefd=False))
    return TextIOWrapper(buffer, encoding=old.encoding, errors=old.errors, line_buffering=bool(old.line_buffering))


class Lines(logging.Handler):
    """Log records on stderr: a warning is one line, an error keeps its traceback, and so does everything with --debug.

    Args:
        traced: the level from which on tracebacks are shown.
    """

    def __init__(self, *, traced: int) -> None:
        super().__init__()
        self._traced = traced
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        try:
            traced = record.exc_info is not None and record.levelno >= self._traced
            complain(self.format(record) if traced else " ".join(f"{record.name}: {record.getMessage()}".split()))
        except Exception:  # noqa: BLE001  # a record that cannot be formatted stops nothing
            self.handleError(record)


# --- reading -----------------------------------------------------------------------------------


def decoded(data: bytes, source: str) -> str:
    """The text in these bytes; `source` says where they come from. Raises `BadInput`."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{source} is not UTF-8 text: byte {data[error.start]:#04x} at {error.start}") from error


def whole(text: str, source: str) -> str:
    """The text itself, unless Python made half characters of bytes that are no UTF-8. Raises `BadInput`."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadInput(f"{source} is not UTF-8 text")
    return text


def read_all() -> str:
    """All of stdin. Raises `BadInput`."""
    try:
        return decoded(sys.stdin.buffer.read(), "stdin")
    except OSError as error:
        raise _unreadable(error) from error


def read_lines(prompt: str) -> Iterator[str]:
    """Line after line of stdin, each after a prompt where it is a terminal. Raises `BadInput`."""
    try:
        yield from _typed(prompt) if sys.stdin.isatty() else _piped()
    except OSError as error:
        raise _unreadable(error) from error


_LONGEST = 4095
"""Bytes of a line that a terminal hands over by itself; what is typed beyond them is lost."""


def _typed(prompt: str) -> Iterator[str]:
    with suppress(ImportError):
        import readline  # noqa: F401, PLC0415  # `input` then takes lines of any length, where both ends are terminals
    bounded = sys.modules.get("readline") is None or not sys.stdout.isatty()
    while True:
        try:
            line = input(prompt)
        except EOFError:
            return
        except UnicodeDecodeError as error:
            raise BadInput("stdin is not UTF-8 text") from error
        if bounded and len(os.fsencode(line)) >= _LONGEST:
            raise BadInput(f"the terminal cuts lines at {_LONGEST} bytes, and this one was. Put the text into a file")
        yield whole(line, "stdin")


def _piped() -> Iterator[str]:
    """In bytes, because how Python decodes stdin depends on the locale."""
    for number, line in enumerate(iter(sys.stdin.buffer.readline, b""), 1):
        yield decoded(line, f"line {number} of stdin").rstrip("\r\n")


def _unreadable(error: OSError) -> BadInput:
    return BadInput(f"cannot read stdin: {error.strerror}. Give a PROMPT, or pipe one in.")
