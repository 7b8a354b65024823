"""Texts of a run, kept apart from its journal under salted addresses, so that they can be taken out without a trace."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec
from filelock import Timeout

from orca_guard.errors import BadInput
from orca_guard.identity import canonical, digest_bytes
from orca_guard.journal.chain import Fault
from orca_guard.journal.disk import AppendFile, lock_of, write_whole, writing
from orca_guard.journal.reading import TORN, raw_lines

SALT = 16
"""Bytes. Exactly so many: of a longer salt, the end could pass for the beginning of another text."""
SECRET = 32


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    digest: str
    salt: str
    text: str


def plain(text: str) -> str:
    """The text as it is kept: half a character, which no file can hold, is spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


def salt_of(text: str, *, secret: bytes, plan: str) -> bytes:
    """Of equal texts under one plan and secret always the same; without the secret, anything."""
    return hmac.digest(secret, f"{plan}\n{plain(text)}".encode(), "sha256")[:SALT]


def address_of(text: str, *, salt: bytes) -> str:
    """What records say instead of the text."""
    return digest_bytes(salt + plain(text).encode())


# --- writing -----------------------------------------------------------------------------------


class Texts:
    """A rank's texts, open for writing: `address = texts.add(text)`, and `texts.flush()` before the record is written.

    Opening it leaves out rows that are torn or do not match their address: their texts are written again if they come
    again, and if not, it is as if they had been taken out.

    Args:
        path: `texts-R.jsonl`.
        secret: of the run store: see `secret_of`.
        plan: digest of the plan.

    Raises:
        BadInput: on entering and on flushing: another process writes it, or it cannot be written.
    """

    def __init__(self, path: Path, *, secret: bytes, plan: str) -> None:
        self.path = path
        self._secret = secret
        self._plan = plan
        self._known: set[int] = set()
        self._waiting: dict[str, bytes] = {}
        self._file = AppendFile(path)

    def __enter__(self) -> Self:
        self._file.open()
        try:
            self._recover()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, text: str) -> str:
        """The text's address; the text itself is on disk after the next `flush`."""
        salt = salt_of(text, secret=self._secret, plan=self._plan)
        address = address_of(text, salt=salt)
        if address not in self._waiting and _key(address) not in self._known:
            self._waiting[address] = canonical({"digest": address, "salt": salt.hex(), "text": plain(text)}) + b"\n"
        return address

    def flush(self) -> None:
        """Wait until every text that was added is on disk."""
        if self._waiting:
            self._file.append(b"".join(self._waiting.values()))
            self._known |= {_key(address) for address in self._waiting}
            self._waiting.clear()

    def _recover(self) -> None:
        reader = TextsReader(self.path)
        self._known = {_key(address) for address, _ in reader}
        wrong = {fault.line for fault in reader.faults}
        if wrong:
            self._file.rewrite(raw for number, raw in enumerate(raw_lines(self.path), 1) if number not in wrong)


def _key(address: str) -> int:
    """Half of a digest, which takes half the memory and is no less unique."""
    return int(address[-32:], 16)


# --- reading -----------------------------------------------------------------------------------


class TextsReader:
    """Addresses and their texts, as a stream; what is wrong is in `faults` when the last one has come.

    A row that does not match its address is named and left out. Rows that were taken out leave no trace here.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: list[Fault] = []

    def __iter__(self) -> Iterator[tuple[str, str]]:
        decoder = msgspec.json.Decoder(_Row)
        for number, raw in enumerate(raw_lines(self.path), 1):
            try:
                row = _checked(raw, decoder)
            except (msgspec.MsgspecError, ValueError) as error:
                self.faults.append(Fault(self.path.name, number, str(error)))
            else:
                yield row.digest, row.text


def _checked(raw: bytes, decoder: msgspec.json.Decoder[_Row]) -> _Row:
    if not raw.endswith(b"\n"):
        raise ValueError(TORN)
    row = decoder.decode(raw)
    salt = bytes.fromhex(row.salt)
    if len(salt) != SALT:
        raise ValueError(f"its salt has {len(salt)} bytes, not {SALT}")
    if address_of(row.text, salt=salt) != row.digest:
        raise ValueError("the text does not match its address: it was changed")
    return row


# --- the secret --------------------------------------------------------------------------------


def secret_of(store: Path) -> bytes:
    """The run store's secret: 32 bytes in `.secret`, made on first use and readable by its owner alone.

    Raises:
        BadInput: it cannot be read or made, or is not what was made.
    """
    path = store / ".secret"
    with writing(path):
        store.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make_secret(path)
        secret = path.read_bytes()
    if len(secret) != SECRET:
        raise BadInput(f"{path} has {len(secret)} bytes, not {SECRET}: it is damaged. Put it back, or remove it.")
    return secret


def _make_secret(path: Path) -> None:
    """Under a lock, so that two processes that find none agree on one."""
    try:
        with lock_of(path).acquire(timeout=30):
            if not path.exists():
                write_whole(path, secrets.token_bytes(SECRET), mode=0o600)
    except Timeout:
        raise BadInput(f"another process has been making {path} for too long; try again") from None
