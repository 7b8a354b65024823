"""What people state of a sealed run afterwards: lines beside it, each bound to the seal and to the line before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from orca_guard.errors import BadInput
from orca_guard.identity import canonical, digest_bytes
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.chain import decode
from orca_guard.journal.disk import AppendFile
from orca_guard.journal.reading import raw_lines
from orca_guard.journal.shard import utc_now
from orca_guard.journal.signature import read_key

NAME = "statements.jsonl"
UNCHECKED = "its signature cannot be checked: pip install 'orca-guard[sign]'"


Text = Annotated[str, msgspec.Meta(pattern=r"\S")]


class _Said(msgspec.Struct, kw_only=True):
    """What every statement has: who says it, and when."""

    at: datetime
    name: Text
    role: Text


class _Sign(_Said, kw_only=True):
    decision: Literal["go", "no-go", "conditional"]
    comment: Text | None = None


class _Waive(_Said, kw_only=True):
    gate: Text
    reason: Text
    expires: date


class _Labels(_Said, kw_only=True):
    file: Text
    digest: Text
    rows: Annotated[int, msgspec.Meta(ge=1)]
    labellers: Text
    stratify: str
    seed: int


class _Noise(_Said, kw_only=True):
    told: Text
    run: Text


_SHAPES: Mapping[str, type[_Said]] = {"sign": _Sign, "waive": _Waive, "labels": _Labels, "noise": _Noise}
KINDS = tuple(_SHAPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A line of `statements.jsonl`.

    Attributes:
        line: its number, from 1.
        fields: everything in it; of a line that cannot be read, nothing.
        fault: what is wrong with it; empty where nothing is.
        doubt: what could not be checked; empty where everything was.
    """

    line: int
    fields: Mapping[str, Any]
    fault: str = ""
    doubt: str = ""


def path_of(bundle: Bundle) -> Path:
    """Where statements stand. The file is no part of what is sealed."""
    return bundle.root / NAME


def state(bundle: Bundle, kind: str, fields: Mapping[str, Any], *, key: Path | None = None) -> dict[str, Any]:
    """Append a statement, and return its line.

    A line is canonical JSON with `n`, `prev` (digest of the line before; of the first, of the seal), `seal`, `kind`,
    `at` and what is stated. With a key it has `public_key` and `signature`, over the line without `signature`.

    Args:
        bundle: sealed.
        kind: one of `KINDS`.
        fields: what is stated.
        key: file of an Ed25519 private key: see `signature.read_key`.

    Raises:
        BadInput: the run is not sealed, what is stated before does not hold, this is no statement of its kind, the key
            cannot be used, or the file cannot be written.
        NotReady: a key was given, and the package that signs is not installed.
    """
    private = read_key(key) if key else None
    seal = seal_digest(bundle)
    with closing(AppendFile(path_of(bundle)).open()) as file:
        said = list(statements(bundle))
        if faulty := [stated for stated in said if stated.fault]:
            raise BadInput(f"{path_of(bundle)}, line {faulty[0].line}: {faulty[0].fault}. Nothing is added to it.")
        row = {**fields, "n": len(said), "prev": _head(bundle, seal), "seal": seal, "kind": kind, "at": utc_now()}
        if wrong := _shape_fault(row):
            raise BadInput(f"{wrong}. Nothing is stated.")
        if private:
            row["public_key"] = private.public_key().public_bytes_raw().hex()
            row["signature"] = private.sign(canonical(row)).hex()
        file.append(canonical(row) + b"\n")
    return row


def statements(bundle: Bundle) -> Iterator[Stated]:
    """Every line, each held against the one before, the seal, and its own signature.

    Whoever writes to the folder can cut lines off the end; the digest of the last line, kept elsewhere, would tell.

    Raises:
        BadInput: a file cannot be read.
    """
    path = path_of(bundle)
    if not path.exists():
        return
    seal = seal_digest(bundle)
    before = seal
    for number, raw in enumerate(raw_lines(path), 1):
        yield _checked(raw, number, bundle, seal=seal, before=before)
        before = digest_bytes(raw.removesuffix(b"\n"))


def seal_digest(bundle: Bundle) -> str:
    """Of the seal that statements are bound to. Raises `BadInput` where there is none."""
    if not bundle.seal.is_file():
        raise BadInput(f"{bundle.root} is not sealed: there is nothing yet to make a statement about")
    return digest_bytes(bundle.seal.read_bytes().removesuffix(b"\n"))


def _head(bundle: Bundle, seal: str) -> str:
    lines = list(raw_lines(path_of(bundle)))
    return digest_bytes(lines[-1].removesuffix(b"\n")) if lines else seal


def _checked(raw: bytes, number: int, bundle: Bundle, *, seal: str, before: str) -> Stated:
    if not raw.endswith(b"\n"):
        return Stated(line=number, fields={}, fault="it is torn: the file ends within it")
    try:
        fields = decode(raw[:-1])
    except ValueError as error:
        return Stated(line=number, fields={}, fault=f"it {error}")
    fault, doubt = _fault(fields, number, seal=seal, before=before), ""
    if not fault and fields["kind"] == "labels":
        fault = _labels_fault(fields, bundle)
    if not fault and not {"signature", "public_key"}.isdisjoint(fields):
        fault, doubt = _signature_fault(fields)
    return Stated(line=number, fields=fields, fault=fault, doubt=doubt)


def _fault(fields: Mapping[str, Any], number: int, *, seal: str, before: str) -> str:
    if fields.get("kind") not in KINDS:
        return f"its kind is {fields.get('kind')!r}, which no version of orca-guard writes"
    if fields.get("seal") != seal:
        return "it is about another seal"
    if fields.get("n") != number - 1 or fields.get("prev") != before:
        return "it does not follow the line before: one of the two was changed, put in or taken out"
    return _shape_fault(fields)


def _shape_fault(fields: Mapping[str, Any]) -> str:
    """Whether it says what a statement of its kind says: reports repeat it, and people act on it."""
    try:
        msgspec.convert(dict(fields), _SHAPES[fields["kind"]])
    except msgspec.ValidationError as error:
        return f"it is no statement of the kind {fields['kind']!r}: {str(error).replace('`$.', '`')}"
    return ""


def _labels_fault(fields: Mapping[str, Any], bundle: Bundle) -> str:
    """Labels lie in a file of their own, which the statement names by its digest."""
    name = fields.get("file")
    path = bundle.root / str(name)
    if not isinstance(name, str) or path.parent != bundle.root or not path.is_file():
        return f"its labels, {name!r}, are not here"
    return "" if digest_bytes(path.read_bytes()) == fields.get("digest") else f"{name} was changed"


def _signature_fault(fields: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong with the signature, and what could not be told."""
    try:
        from orca_guard.journal import keys  # noqa: PLC0415  # an optional dependency
    except ImportError:
        return "", UNCHECKED
    signed = {key: value for key, value in fields.items() if key != "signature"}
    try:
        public, signature = bytes.fromhex(fields["public_key"]), bytes.fromhex(fields["signature"])
        good = keys.holds(public, signature, canonical(signed))
    except (KeyError, TypeError, ValueError):
        return "its signature is none", ""
    return ("" if good else "its signature does not hold: it was changed"), ""
