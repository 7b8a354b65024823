"""Rows of published files: each is taken, taken after a named repair, or rejected for a named reason, and counted.

What is wrong with a row concerns that row. What is wrong with a file (it is damaged, a column is missing, a line is far
longer than any of text) concerns all of it, and nothing of it is used.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Generic, TypeAlias, TypeVar, cast

from orca_guard.errors import BadInput
from orca_guard.items import Rejected

T = TypeVar("T")

LONGEST_LINE = 1 << 24
"""Bytes of one line, or one value of a CSV file. No text that is asked of a model comes near."""

LARGEST_DOCUMENT = 1 << 26
"""Bytes of a JSON file, unpacked: it is read as a whole. Files of lines may have any size."""

_GZIP = b"\x1f\x8b"


class RowFault(Exception):
    """What is wrong with one row, as a reason that other rows may share: it names no value."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it stands in a file: its number, from 1, and its values by column."""

    number: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Taken(Generic[T]):
    """A row that was understood, and what had to be repaired for that."""

    value: T
    repairs: tuple[str, ...] = ()


Parsed: TypeAlias = Taken[T] | Rejected


@dataclass(slots=True)
class Account:
    """How many rows there are, and what became of them.

    Attributes:
        taken: rows that were understood.
        rejected: reason → rows.
        repaired: repair → rows among those taken.
    """

    taken: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        """All of them."""
        return self.taken + self.rejected.total()

    def add(self, row: Parsed[Any]) -> None:
        """One more."""
        if isinstance(row, Rejected):
            self.rejected[row.reason] += 1
        else:
            self.taken += 1
            self.repaired.update(row.repairs)


def parsed(rows: Iterable[Row | Rejected], parse: Callable[[Mapping[str, Any]], Taken[T]]) -> Iterator[Parsed[T]]:
    """Every row by `parse`, which raises `RowFault` for one that cannot be used."""
    for row in rows:
        if isinstance(row, Rejected):
            yield row
            continue
        try:
            yield parse(row.fields)
        except RowFault as fault:
            yield Rejected(row.number, str(fault))


def distinct(rows: Iterable[Parsed[T]]) -> Iterator[Parsed[T]]:
    """Rows of a set that has no ids, where one that says the same as an earlier one in every column is rejected."""
    seen = set()
    for number, row in enumerate(rows, 1):
        if isinstance(row, Taken):
            if row.value in seen:
                yield Rejected(number, "it repeats an earlier row")
                continue
            seen.add(row.value)
        yield row


def text(fields: Mapping[str, Any], column: str) -> str:
    """The text in a column. Raises `RowFault` where there is none, or nothing but blanks."""
    value = fields[column]
    if not isinstance(value, str) or not value.strip():
        raise RowFault(f"{column} is no text")
    return value


# --- files as rows -----------------------------------------------------------------------------


def table(path: Path, columns: Collection[str], *, separator: str = ",") -> Iterator[Row | Rejected]:
    """Rows of a CSV or TSV file with a header.

    Args:
        path: perhaps packed by gzip, whatever its name.
        columns: those that there must be.
        separator: of values; quotes are understood with a comma only, as no published TSV file has them.

    Raises:
        BadInput: the file is damaged, or a column is missing.
    """
    reader = csv.reader(
        lines(path), delimiter=separator, strict=True, quoting=csv.QUOTE_MINIMAL if separator == "," else csv.QUOTE_NONE
    )
    before = csv.field_size_limit(LONGEST_LINE)
    try:
        header = next(reader, [])
        _check_columns(path, header, columns)
        for number, values in enumerate(reader, 1):
            if len(values) == len(header):
                yield Row(number, dict(zip(header, values, strict=True)))
            elif values:
                yield Rejected(number, "it has another number of values than the header")
    except csv.Error as error:
        raise BadInput(f"{path}, near line {reader.line_num}: {error}") from error
    finally:
        csv.field_size_limit(before)


def json_lines(path: Path, columns: Collection[str]) -> Iterator[Row | Rejected]:
    """Rows of a file with one JSON object a line. Raises as `table` does; a column may miss in no row."""
    for number, line in enumerate(lines(path), 1):
        if line.strip():
            yield _object(path, number, _decoded(line, f"{path}, line {number}"), columns)


def json_array(path: Path, columns: Collection[str], *, within: str = "") -> Iterator[Row | Rejected]:
    """Rows of a file that is one JSON array of objects, or an object with one at a key. Raises as `json_lines` does."""
    with _opened(path) as stream:
        data = _guarded(path, lambda: stream.read(LARGEST_DOCUMENT + 1))
    if len(data) > LARGEST_DOCUMENT:
        raise BadInput(f"{path}: longer than {LARGEST_DOCUMENT} bytes; this is not the published file")
    rows = _decoded(_text(path, data), str(path))
    if within and isinstance(rows, dict):
        rows = rows.get(within)
    if not isinstance(rows, list):
        raise BadInput(f"{path}: no JSON array")
    for number, row in enumerate(rows, 1):
        yield _object(path, number, row, columns)


def plain_lines(path: Path, column: str = "text") -> Iterator[Row | Rejected]:
    """A row a line of text, without its end. Raises as `table` does."""
    for number, line in enumerate(lines(path), 1):
        yield Row(number, {column: line.rstrip("\r\n")})


def lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file with their ends, unpacked where it is gzip, without a byte order mark.

    Raises:
        BadInput: it cannot be read or unpacked, a line is no UTF-8 or longer than `LONGEST_LINE`.
    """
    with _opened(path) as stream:
        number = 0
        while line := _guarded(path, lambda: stream.readline(LONGEST_LINE + 1)):
            number += 1
            if len(line) > LONGEST_LINE:
                raise BadInput(
                    f"{path}, line {number}: longer than {LONGEST_LINE} bytes; this is not the published file"
                )
            yield _text(path, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, number)


# --- the inside --------------------------------------------------------------------------------


def _opened(path: Path) -> IO[bytes]:
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == _GZIP
        return cast("IO[bytes]", gzip.open(path, "rb")) if packed else path.open("rb")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def _guarded(path: Path, read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except EOFError as error:
        raise BadInput(f"{path}: it ends before what was packed does; copy it again") from error
    except (OSError, zlib.error) as error:
        raise BadInput(f"{path}: it cannot be read or unpacked: {error}; copy it again") from error


def _text(path: Path, data: bytes, line: int = 1) -> str:
    try:
        return data.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}, line {line}: not UTF-8: {error.reason} at byte {error.start}") from error


def _decoded(source: str, where: str) -> Any:
    try:
        return json.loads(source, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: not valid JSON: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that says a key twice has lost a value before anybody sees it."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return fields


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _object(path: Path, number: int, row: Any, columns: Collection[str]) -> Row:
    if not isinstance(row, dict):
        raise BadInput(f"{path}, row {number}: not an object")
    _check_columns(path, row, columns)
    return Row(number, row)


def _check_columns(path: Path, found: Collection[str], wanted: Collection[str]) -> None:
    missing = [column for column in wanted if column not in found]
    if missing:
        there = ", ".join(found) or "nothing"
        raise BadInput(f"{path}: no column {', '.join(missing)}; there is {there}. This is not the published file.")
    if len(set(found)) != len(found):
        raise BadInput(f"{path}: two columns have one name")
