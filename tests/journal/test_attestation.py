"""Attestations: what a seal says, as others read it; and what is no such thing."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # it is in its documentation

from orca_guard.identity import canonical, digest_bytes
from orca_guard.journal.attestation import FILES, enveloped, fault_of, pre_authentication, statement_of
from orca_guard.journal.keys import holds

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()
PLAN = {
    "models": [
        {"name": "model", "digest": "sha256:" + "a" * 64, "identity": {"weights": "sha256:" + "b" * 64}},
        {"name": "model-2", "digest": "sha256:" + "c" * 64, "identity": {"kind": "server"}},
    ]
}


def gate(ruling: str, **more: str) -> dict[str, Any]:
    return {"benchmark": "b", "metric": "accuracy", "subject": "arm", "group": "", "ruling": ruling} | more


def seal(verdict: str, *gates: dict[str, Any]) -> dict[str, Any]:
    return {"verdict": verdict, "gates": list(gates)}


def envelope_of(statement: dict[str, Any], key: Ed25519PrivateKey = KEY) -> bytes:
    return enveloped(statement, sign=key.sign, key=key.public_key().public_bytes_raw())


def fault(envelope: bytes, statement: dict[str, Any]) -> str:
    return fault_of(envelope, statement, holds=lambda sig, data: holds(PUBLIC, sig, data), keys=[PUBLIC])


def test_it_says_what_was_tested_by_what_and_how_it_went() -> None:
    sealed = seal("fail", gate("pass"), gate("fail", group="language=en"), gate("inconclusive", metric="bias"))
    statement = statement_of(PLAN, sealed)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert statement["subject"] == [
        {"name": "model", "digest": {FILES: "b" * 64}},
        {"name": "model-2", "digest": {FILES: "c" * 64}},
    ]
    told = statement["predicate"]
    assert told["result"] == "FAILED"
    assert told["passedTests"] == ["b accuracy arm"]
    assert told["failedTests"] == ["b accuracy arm language=en"]
    assert told["warnedTests"] == ["b bias arm"]
    assert f"sha256:{told['configuration'][1]['digest']['sha256']}" == digest_bytes(canonical(sealed) + b"\n")


@pytest.mark.parametrize(
    ("verdict", "result"), [("pass", "PASSED"), ("fail", "FAILED"), ("inconclusive", "WARNED"), ("none", "WARNED")]
)
def test_only_a_pass_is_passed(verdict: str, result: str) -> None:
    assert statement_of(PLAN, seal(verdict))["predicate"]["result"] == result


def test_somebody_elses_library_reads_and_verifies_it() -> None:
    statement = statement_of(PLAN, seal("pass", gate("pass")))
    envelope = Envelope.from_dict(json.loads(envelope_of(statement)))
    keyid = next(iter(envelope.signatures))
    key = SSlibKey(keyid, "ed25519", "ed25519", {"public": PUBLIC.hex()})
    other = SSlibKey(keyid, "ed25519", "ed25519", {"public": OTHER.public_key().public_bytes_raw().hex()})
    assert [*envelope.verify([key], 1)] == [keyid]
    assert json.loads(envelope.payload) == statement
    with pytest.raises(VerificationError):
        envelope.verify([other], 1)


@given(payload=st.binary())
def test_what_is_signed_is_what_dsse_signs(payload: bytes) -> None:
    theirs = Envelope(payload=payload, payload_type="application/vnd.in-toto+json", signatures={})
    assert pre_authentication(payload) == theirs.pae()


def test_one_that_is_whole_has_no_fault() -> None:
    statement = statement_of(PLAN, seal("pass"))
    assert fault(envelope_of(statement), statement) == ""


def test_what_is_wrong_is_said() -> None:
    statement, another = statement_of(PLAN, seal("fail")), statement_of(PLAN, seal("pass"))
    good = json.loads(envelope_of(statement))
    assert "something else than plan and seal" in fault(envelope_of(another), statement)
    assert "no signature" in fault(envelope_of(statement, OTHER), statement)
    assert "no signature" in fault(canonical(good | {"signatures": []}), statement)
    forged = [{**good["signatures"][0], "sig": base64.b64encode(OTHER.sign(b"x")).decode()}]
    assert "no signature" in fault(canonical(good | {"signatures": forged}), statement)
    assert "its payload is 'text'" in fault(canonical(good | {"payloadType": "text"}), statement)
    for nothing in (b"", b"{}", b"[]", canonical(good | {"payload": "%"}), b"\xff"):
        assert "it is no envelope" in fault(nothing, statement)
