"""Looks up the texts that a report shows, all of them in one pass over the run's texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from orca_guard.errors import BadInput
from orca_guard.items import Item, item_of
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.reading import raw_lines
from orca_guard.journal.texts import SALT, address_of

_BEFORE = len(b'{"digest":"')
_ADDRESS = len("sha256:") + 64


class _Row(msgspec.Struct):
    digest: str
    salt: str
    text: str


def texts_at(bundle: Bundle, addresses: Iterable[str]) -> dict[str, str]:
    """Address → text, of those that are there and are what their address says.

    Rows are canonical JSON, so the address stands at the same place in each: most rows are passed over unread.

    Raises:
        BadInput: a file cannot be read.
    """
    wanted = {address.encode() for address in addresses}
    found: dict[str, str] = {}
    for path in bundle.all_texts().values():
        for raw in raw_lines(path):
            if raw[_BEFORE : _BEFORE + _ADDRESS] in wanted and (row := _sound(raw)):
                found[row.digest] = row.text
    return found


def _sound(raw: bytes) -> _Row | None:
    try:
        row = msgspec.json.decode(raw, type=_Row)
        salt = bytes.fromhex(row.salt)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return row if len(salt) == SALT and address_of(row.text, salt=salt) == row.digest else None


def item_at(texts: Mapping[str, str], address: str) -> Item | None:
    """The item in a text, if it is there and is one."""
    try:
        return item_of(texts[address]) if address in texts else None
    except BadInput:
        return None
