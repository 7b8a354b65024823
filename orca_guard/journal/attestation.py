"""What a seal says in the words of supply chains: an in-toto statement of a test result, in a signed DSSE envelope.

Formats: in-toto Statement v1 and its predicate test-result v0.1, and DSSE v1.0.0. Whatever reads those can read the
verdict of an audit, and a policy can ask for one before weights are deployed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from orca_guard.identity import canonical

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
PAYLOAD = "application/vnd.in-toto+json"
FILES = "orcaGuardFiles"
"""Digests under this name are of several files together: SHA-256 of the canonical JSON of name → digest."""

_RESULTS = {"pass": "PASSED", "fail": "FAILED"}
_LISTS = {"pass": "passedTests", "fail": "failedTests"}


class _Signed(msgspec.Struct, frozen=True):
    """One signature of an envelope."""

    sig: str
    keyid: str = ""


class Envelope(msgspec.Struct, frozen=True):
    """A payload with its signatures, as DSSE has it."""

    payload: str
    payloadType: str  # noqa: N815  # the format's word
    signatures: tuple[_Signed, ...]


def statement_of(plan: Mapping[str, Any], seal: Mapping[str, Any]) -> dict[str, Any]:
    """The statement about a sealed run: its models are what was tested, its gates are the tests.

    A verdict that is neither pass nor fail is a warning, and so is a gate without enough evidence.
    """
    tests: dict[str, list[str]] = {"passedTests": [], "warnedTests": [], "failedTests": []}
    for gate in seal["gates"]:
        tests[_LISTS.get(gate["ruling"], "warnedTests")].append(_named(gate))
    return {
        "_type": STATEMENT,
        "subject": [_subject(model) for model in plan["models"]],
        "predicateType": PREDICATE,
        "predicate": {
            "result": _RESULTS.get(seal["verdict"], "WARNED"),
            "configuration": [_file("plan.json", plan), _file("seal.json", seal)],
            **tests,
        },
    }


def _subject(model: Mapping[str, Any]) -> dict[str, Any]:
    """Its weights, or without any what the plan knows of it."""
    digest = model["identity"].get("weights", model["digest"])
    return {"name": model["name"], "digest": {FILES: digest.removeprefix("sha256:")}}


def _file(name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """By the bytes of the file, its end of line among them."""
    return {"name": name, "digest": {"sha256": hashlib.sha256(canonical(document) + b"\n").hexdigest()}}


def _named(gate: Mapping[str, Any]) -> str:
    return " ".join(str(gate[key]) for key in ("benchmark", "metric", "subject", "group") if gate.get(key))


def enveloped(statement: Mapping[str, Any], *, sign: Callable[[bytes], bytes], key: bytes) -> bytes:
    """An envelope around a statement.

    Args:
        statement: what is signed.
        sign: bytes → their signature.
        key: the public key; its SHA-256 is the key's id.
    """
    payload = canonical(statement)
    signature = base64.b64encode(sign(pre_authentication(payload))).decode()
    return canonical(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD,
            "signatures": [{"keyid": hashlib.sha256(key).hexdigest(), "sig": signature}],
        }
    )


def pre_authentication(payload: bytes) -> bytes:
    """The bytes that DSSE signs: type and payload, each with its length."""
    kind = PAYLOAD.encode()
    return b" ".join((b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload))


def fault_of(
    envelope: bytes, statement: Mapping[str, Any], *, holds: Callable[[bytes, bytes], bool], keys: Iterable[bytes]
) -> str:
    """Why an envelope is not one around this statement by one of these keys; "" where it is.

    Args:
        envelope: as it stands in its file.
        statement: what it must say.
        holds: signature, signed bytes → whether they belong together under the key that counts.
        keys: those that may have signed.
    """
    try:
        found = msgspec.json.decode(envelope, type=Envelope)
        payload = base64.b64decode(found.payload, validate=True)
        signatures = [(one.keyid, base64.b64decode(one.sig, validate=True)) for one in found.signatures]
    except ValueError as error:
        return f"it is no envelope: {error}"
    if found.payloadType != PAYLOAD:
        return f"its payload is {found.payloadType!r}"
    if payload != canonical(statement):
        return "it says something else than plan and seal"
    ids = {hashlib.sha256(key).hexdigest() for key in keys}
    if not any(keyid in ids and holds(sig, pre_authentication(payload)) for keyid, sig in signatures):
        return "no signature of the seal's key holds"
    return ""
