"""Journal lines: canonical JSON, numbered, each naming the one before by digest; and what is wrong with them."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import rfc8785

from orca_guard.errors import BadInput
from orca_guard.identity import canonical

KINDS = frozenset({"open", "item", "resumed"})
LARGEST = 2**53 - 1
"""Integers beyond this are no JSON numbers that everybody reads alike."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Something that is not as it was written.

    Attributes:
        file: its name in the bundle.
        line: from 1; 0 is the file as a whole.
        what: happened, in words.
    """

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


@dataclass(slots=True)
class Line:
    """A line that could be read.

    Attributes:
        number: in the file, from 1.
        end: bytes of the file up to the end of this line.
        n: what it says its position is, from 0.
        prev: digest of the line before, or of the plan.
        kind: one of `KINDS`.
        fields: everything in it.
        digest: of its bytes without the end of line.
    """

    number: int
    end: int
    n: int
    prev: str
    kind: str
    fields: dict[str, Any]
    digest: str


def encode(fields: Mapping[str, Any], *, n: int, prev: str) -> bytes:
    """A line without its end.

    Raises:
        BadInput: something in it cannot be JSON, such as a number that is infinite.
    """
    try:
        return canonical({**fields, "n": n, "prev": prev})
    except (ValueError, RecursionError) as error:
        raise BadInput(f"line {n + 1} cannot be written to the journal: {error}") from error


# --- one line ----------------------------------------------------------------------------------

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder()

_NUMBER = rb"-?(?:[0-9]+\.0[,\]}]|[0-9.]+[eE]|[0-9]{16})"  # 1.0, 1e-7, and numbers that may be too large
_ODD = tuple(re.compile(before + _NUMBER).search for before in (rb'":', rb",", rb"\["))
"""Find numbers that msgspec may spell otherwise than RFC 8785 does. Three that begin with a fixed text are faster than
one that does not, and a match inside a text only costs time."""

_FOUR_BYTES = re.compile(rb"[\xf0-\xff]").search
"""Characters that UTF-16, by which RFC 8785 sorts keys, puts elsewhere than UTF-8."""


def decode(raw: bytes) -> dict[str, Any]:
    """The object in a line.

    Canonical form is checked by encoding again and comparing bytes: by msgspec, which is fast and spells all but a few
    values as RFC 8785 does, and by rfc8785 where one of those few is in the line or msgspec disagrees.

    Raises:
        ValueError: it is no JSON, no object, or not in canonical form; the message says which.
    """
    try:
        fields = _decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from error
    if type(fields) is not dict:
        raise ValueError("is not a JSON object")
    return fields if _plainly_canonical(raw, fields) else _exactly(raw)


def _plainly_canonical(raw: bytes, fields: dict[str, Any]) -> bool:
    try:
        if not raw.isascii() and _FOUR_BYTES(raw):
            return False
        return _encoder.encode(fields) == raw and not any(search(raw) for search in _ODD)
    except (OverflowError, RecursionError):
        return False


def _exactly(raw: bytes) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = json.loads(raw, parse_int=_number)
        if rfc8785.dumps(fields) == raw:
            return fields
    except (ValueError, OverflowError, RecursionError):
        pass
    raise ValueError("is not canonical JSON (RFC 8785)")


def _number(digits: str) -> int | float:
    """RFC 8785 writes a large float without a point; as text it looks like an integer."""
    value = int(digits)
    return value if abs(value) <= LARGEST else float(value)


def check_form(fields: Mapping[str, Any]) -> None:
    """Raise `ValueError` unless these are the fields of a journal line."""
    n, prev, kind = fields.get("n"), fields.get("prev"), fields.get("kind")
    if type(n) is not int or not 0 <= n <= LARGEST:
        raise ValueError(f"is no journal line: n is {n!r}")
    if type(prev) is not str or type(kind) is not str or kind not in KINDS:
        raise ValueError(f"is no journal line: kind is {kind!r}, and prev is {prev!r}")


# --- one after the other -----------------------------------------------------------------------


@dataclass(slots=True)
class _Gap:
    """Numbers from `start` up to `stop` that did not come before `line`; `found` says which came later, and where."""

    start: int
    stop: int
    line: int
    found: dict[int, int] = field(default_factory=dict)


class Chain:
    """Follows a shard's lines and names what does not fit.

    It goes on from every line's own bytes, so that one change is named once: the line after a changed one is judged by
    what it says of itself. A change of the very last line is found by the seal, for no line follows to tell.

    Args:
        file: its name, for faults.
        plan: digest that the first line must name.
    """

    def __init__(self, file: str, *, plan: str) -> None:
        self._file = file
        self._faults: dict[int, str] = {}
        self._gaps: list[_Gap] = []
        self._n = 0
        self._digest = plan
        self._line = 0
        self._unreadable = 0

    def name(self, line: int, what: str) -> None:
        """Note a fault. The first one of a line stands: what else is wrong with it follows from the same change."""
        self._faults.setdefault(line, what)

    def unreadable(self, line: int, what: str) -> None:
        """A line that holds nothing to follow."""
        self.name(line, what)
        self._unreadable += 1

    def follow(self, line: Line) -> None:
        """The next line that could be read."""
        if line.n != self._n and line.prev == self._digest:
            self.name(line.number, f"n is {line.n} where {self._n} was expected: the line was changed")
            self._advance(line, self._n)
        elif line.n == self._n:
            if line.prev != self._digest:
                self._broken(line)
            self._advance(line, line.n)
        elif self._replaced(line.n):
            self._advance(line, line.n)
        elif line.n > self._n:
            self._gaps.append(_Gap(self._n, line.n, line.number))
            self._advance(line, line.n)
        else:
            self._stray(line)

    def _advance(self, line: Line, n: int) -> None:
        self._n, self._digest, self._line, self._unreadable = n + 1, line.digest, line.number, 0

    def _replaced(self, n: int) -> bool:
        """Whether unreadable lines stand for those between. A changed byte makes one line of two, or two of one."""
        count = self._unreadable
        return count > 0 and (count + 1) // 2 <= n - self._n <= 2 * count

    def _broken(self, line: Line) -> None:
        """Line and number fit, and the digest does not."""
        if _alike(line.prev, self._digest) or not _DIGEST.fullmatch(line.prev):
            self.name(line.number, f"prev is {line.prev} where {self._digest} was expected: the line was changed")
        elif self._line == 0:
            self.name(line.number, f"it begins from plan {line.prev}, not {self._digest}: it belongs to another plan")
        else:
            what = f"it was changed: its digest is {self._digest}, and line {line.number} was written after {line.prev}"
            self.name(self._line, what)

    def _stray(self, line: Line) -> None:
        """A number that is past: one of a gap, or one that was there already."""
        position = bisect_right(self._gaps, line.n, key=lambda gap: gap.start) - 1
        gap = self._gaps[position] if position >= 0 else None
        if gap and line.n < gap.stop and line.n not in gap.found:
            gap.found[line.n] = line.number
        else:
            self.name(line.number, f"n is {line.n} where {self._n} was expected: that line stands a second time")

    def finish(self) -> list[Fault]:
        """Everything that was named, in the order of the lines."""
        for gap in self._gaps:
            self.name(gap.line, _told(gap))
        self._gaps.clear()
        return [Fault(self._file, line, what) for line, what in sorted(self._faults.items())]


def _alike(a: str, b: str) -> bool:
    """Whether one is the other with a change or two. Digests of different bytes share a sixteenth of their digits."""
    return len(a) == len(b) and sum(x == y for x, y in zip(a, b, strict=True)) * 2 > len(a)


def _told(gap: _Gap) -> str:
    missing = gap.stop - gap.start - len(gap.found)
    parts = [f"n is {gap.stop} where {gap.start} was expected"]
    if missing:
        parts.append("a line is missing before it" if missing == 1 else f"{missing} lines are missing before it")
    if gap.found:
        first, last = min(gap.found.values()), max(gap.found.values())
        late = (
            f"the {len(gap.found)} that belong before it stand"
            if first != last
            else "one that belongs before it stands"
        )
        where = f"lines {first} to {last}" if first != last else f"line {first}"
        parts.append(f"out of order: {late} at {where}")
    return ": ".join((parts[0], "; ".join(parts[1:])))
