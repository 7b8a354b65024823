"""Signatures over a seal, with keys as openssl makes them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca_guard.errors import BadInput, NotReady
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.signature import read_key, sign, verify_signature

Key = Ed25519PrivateKey | X25519PrivateKey


def private_pem(key: Key, path: Path, *, encryption: KeySerializationEncryption | None = None) -> Path:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))
    path.chmod(0o600)
    return path


def public_pem(key: Key, path: Path) -> Path:
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """One whose seal has bytes; what they say is no business of a signature."""
    found = Bundle(tmp_path / "run")
    found.root.mkdir()
    found.seal.write_bytes(b'{"sealed":true}\n')
    return found


@pytest.fixture
def signed(bundle: Bundle, tmp_path: Path) -> Bundle:
    key = Ed25519PrivateKey.generate()
    sign(bundle, private_pem(key, tmp_path / "key.pem"))
    public_pem(key, tmp_path / "public.pem")
    return bundle


def test_a_signature_holds_under_its_key(signed: Bundle, tmp_path: Path) -> None:
    good, words = verify_signature(signed, tmp_path / "public.pem")
    assert good
    assert "public.pem holds" in words


def test_without_a_key_nobody_knows_who_signed(signed: Bundle) -> None:
    good, words = verify_signature(signed, None)
    assert good
    assert "nothing here says whose that is" in words


def test_another_key_is_another_signer(signed: Bundle, tmp_path: Path) -> None:
    other = public_pem(Ed25519PrivateKey.generate(), tmp_path / "other.pem")
    good, words = verify_signature(signed, other)
    assert not good
    assert "other.pem holds" in words


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), seal=st.booleans())
def test_no_changed_byte_is_overlooked(signed: Bundle, tmp_path: Path, data: st.DataObject, *, seal: bool) -> None:
    path = signed.seal if seal else signed.signature
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
    try:
        same = not seal and _same(whole, path.read_bytes())
        assert verify_signature(signed, tmp_path / "public.pem")[0] is same
    finally:
        path.write_bytes(whole)


def _same(before: bytes, after: bytes) -> bool:
    """Spaces between JSON's parts, and capital digits, say the same."""
    import json

    try:
        a, b = json.loads(before), json.loads(after)
    except ValueError:
        return False
    return {key: str(value).lower() for key, value in a.items()} == {key: str(b.get(key)).lower() for key in b}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no signature that a run writes"),
        ("[]", "no signature that a run writes"),
        ('{"algorithm":"ed25519","public_key":"00","signature":"00"}', "no signature that a run writes"),
        ('{"algorithm":"ed25519","public_key":"zz","signature":"00"}', "no signature that a run writes"),
    ],
)
def test_what_is_no_signature_says_so(signed: Bundle, text: str, words: str) -> None:
    signed.signature.write_text(text)
    good, told = verify_signature(signed, None)
    assert not good
    assert words in told


def test_another_algorithm_is_named(signed: Bundle) -> None:
    signed.signature.write_text(signed.signature.read_text().replace("ed25519", "none"))
    good, words = verify_signature(signed, None)
    assert not good
    assert "'none'" in words


def test_what_is_missing_is_named(signed: Bundle) -> None:
    signed.signature.unlink()
    assert verify_signature(signed, None) == (False, "the run is not signed: there is no seal.sig")


def test_signing_twice_with_one_key_is_signing_once(signed: Bundle, tmp_path: Path) -> None:
    before = signed.signature.read_bytes()
    sign(signed, tmp_path / "key.pem")
    assert signed.signature.read_bytes() == before
    with pytest.raises(BadInput, match="is another's"):
        sign(signed, private_pem(Ed25519PrivateKey.generate(), tmp_path / "other.pem"))
    assert signed.signature.read_bytes() == before


def test_what_is_not_sealed_is_not_signed(bundle: Bundle, tmp_path: Path) -> None:
    bundle.seal.unlink()
    with pytest.raises(BadInput, match="it is not sealed"):
        sign(bundle, private_pem(Ed25519PrivateKey.generate(), tmp_path / "key.pem"))
    assert not bundle.signature.exists()


# --- keys --------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")
def test_keys_that_openssl_makes(bundle: Bundle, tmp_path: Path) -> None:
    private, public = tmp_path / "key.pem", tmp_path / "public.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    sign(bundle, private)
    good, words = verify_signature(bundle, public)
    assert good, words


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = private_pem(Ed25519PrivateKey.generate(), tmp_path / "key.pem")
    path.chmod(mode)
    with pytest.raises(BadInput, match=f"{mode:04o}.*chmod 600"):
        read_key(path)


def _of_another_kind(path: Path) -> Path:
    return private_pem(X25519PrivateKey.generate(), path)


def _protected(path: Path) -> Path:
    return private_pem(Ed25519PrivateKey.generate(), path, encryption=BestAvailableEncryption(b"secret"))


def _no_key(path: Path) -> Path:
    path.write_text("no key")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_of_another_kind, "no key of Ed25519"),
        (_protected, "passphrase"),
        (_no_key, "no private key"),
        (Path, "cannot read"),
    ],
)
def test_a_key_that_cannot_sign_says_why(tmp_path: Path, make: Callable[[Path], Path], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        read_key(make(tmp_path / "key.pem"))


def test_a_public_key_that_is_none(signed: Bundle, tmp_path: Path) -> None:
    for path, words in ((tmp_path / "key.pem", "no public key"), (tmp_path / "absent", "cannot read")):
        with pytest.raises(BadInput, match=words):
            verify_signature(signed, path)
    with pytest.raises(BadInput, match="no key of Ed25519"):
        verify_signature(signed, public_pem(X25519PrivateKey.generate(), tmp_path / "x.pem"))


def test_without_the_package_it_says_what_to_install(
    signed: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "orca_guard.journal.keys", raising=False)
    monkeypatch.delattr("orca_guard.journal.keys", raising=False)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    for call in (lambda: read_key(tmp_path / "key.pem"), lambda: verify_signature(signed, None)):
        with pytest.raises(NotReady, match=r"orca-guard\[sign\]"):
            call()
