"""Texts by their addresses, found in their files again when they are asked for: memory holds two numbers a text."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Self

import msgspec

from orca_guard.errors import BadInput
from orca_guard.journal.chain import Fault
from orca_guard.journal.reading import TORN, raw_lines
from orca_guard.journal.texts import SALT, address_of

_OFFSET_BITS = 48
_OFFSETS = (1 << _OFFSET_BITS) - 1
_MOST_FILES = 1 << (64 - _OFFSET_BITS)
_OPEN = 64
_SHORT = 256
_KEPT = 4096


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    digest: str
    salt: str
    text: str


_decoder = msgspec.json.Decoder(_Row)


class TextIndex:
    """Every text of a bundle whose address is its own.

    Args:
        files: `texts-R.jsonl` by rank.

    Attributes:
        count: texts that can be found.
        faults: of rows that do not match their addresses.
        torn: of last rows that a cut left without an end.
        missing: how often a record names a text that is not here.
        asked: how often records name any.

    Raises:
        BadInput: a file cannot be read.
    """

    def __init__(self, files: Mapping[int, Path]) -> None:
        self._files = tuple(files.values())
        if len(self._files) > _MOST_FILES:
            raise BadInput(f"there are {len(self._files)} files of texts, and {_MOST_FILES} can be read")
        self.faults: list[Fault] = []
        self.torn: list[Fault] = []
        self.missing = 0
        self.asked = 0
        self._open: dict[int, BinaryIO] = {}
        self._short: dict[str, str] = {}
        self._keys, self._places = _sorted(self._rows())
        self.count = len(self._keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def mention(self, addresses: Iterable[str | None]) -> None:
        """Count texts that a record names, without reading them; half of an address tells whether it is here."""
        for address in addresses:
            if address is not None:
                self.asked += 1
                if address not in self._short:
                    key, at = self._find(address)
                    self.missing += at == self.count or self._keys[at] != key

    def get(self, address: str) -> str | None:
        """The text, or None where it was taken out."""
        if address in self._short:
            return self._short[address]
        key, at = self._find(address)
        while at < self.count and self._keys[at] == key:
            row = _decoder.decode(self._line(self._places[at]))
            if row.digest == address:
                self._keep(row)
                return row.text
            at += 1
        return None

    # --- finding -------------------------------------------------------------------------------

    def _find(self, address: str) -> tuple[int, int]:
        key = _key(address)
        return key, bisect_left(self._keys, key)

    def _keep(self, row: _Row) -> None:
        """The same letters and numbers are read again and again."""
        if len(row.text) < _SHORT:
            if len(self._short) >= _KEPT:
                self._short.clear()
            self._short[row.digest] = row.text

    def _line(self, place: int) -> bytes:
        number, offset = place >> _OFFSET_BITS, place & _OFFSETS
        if number not in self._open:
            if len(self._open) >= _OPEN:
                self._close()
            self._open[number] = self._files[number].open("rb")
        file = self._open[number]
        file.seek(offset)
        return file.readline()

    def _close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()

    # --- reading -------------------------------------------------------------------------------

    def _rows(self) -> Iterator[tuple[int, int]]:
        """Key and place of every sound row."""
        for number, path in enumerate(self._files):
            offset = 0
            for line, raw in enumerate(raw_lines(path), 1):
                if not raw.endswith(b"\n"):
                    self.torn.append(Fault(path.name, line, TORN))
                elif (digest := self._checked(raw, path, line)) is not None:
                    yield _key(digest), number << _OFFSET_BITS | offset
                offset += len(raw)

    def _checked(self, raw: bytes, path: Path, line: int) -> str | None:
        try:
            row = _decoder.decode(raw)
            salt = bytes.fromhex(row.salt)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self.faults.append(Fault(path.name, line, f"is no text: {error}"))
            return None
        if len(salt) == SALT and address_of(row.text, salt=salt) == row.digest:
            return row.digest
        self.faults.append(Fault(path.name, line, "the text does not match its address: it was changed"))
        return None


def _key(address: str) -> int:
    return int(address[-16:], 16)


def _sorted(pairs: Iterator[tuple[int, int]]) -> tuple[array[int], array[int]]:
    import numpy as np  # noqa: PLC0415  # takes a tenth of a second

    keys, places = array("Q"), array("Q")
    for key, place in pairs:
        keys.append(key)
        places.append(place)
    rows = np.array([keys, places])[:, np.argsort(keys)]
    return array("Q", rows[0].tobytes()), array("Q", rows[1].tobytes())
