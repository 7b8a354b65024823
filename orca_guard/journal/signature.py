"""Signs a run's seal, and checks such a signature: Ed25519 over the bytes of `seal.json`."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec

from orca_guard.errors import BadInput, NotReady
from orca_guard.identity import canonical
from orca_guard.journal.attestation import enveloped, fault_of, statement_of
from orca_guard.journal.bundle import Bundle
from orca_guard.journal.disk import write_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALGORITHM = "ed25519"
MAKE_PRIVATE = "Make one with: openssl genpkey -algorithm ed25519 -out key.pem"
MAKE_PUBLIC = "Make it from the private key with: openssl pkey -in key.pem -pubout -out public.pem"


class _Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`seal.sig`."""

    algorithm: str
    public_key: str
    signature: str


# --- signing -----------------------------------------------------------------------------------


def sign(bundle: Bundle, key: Path) -> None:
    """Write `seal.sig`, whole.

    Args:
        bundle: sealed.
        key: file of the private key: see `read_key`.

    Raises:
        BadInput: there is no seal, another signature is there already, or the key cannot be used.
        NotReady: the package that signs is not installed.
    """
    private = read_key(key)
    try:
        sealed = bundle.seal.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot sign {bundle.root}: it is not sealed") from error
    public = private.public_key().public_bytes_raw()
    row = {"algorithm": ALGORITHM, "public_key": public.hex(), "signature": private.sign(sealed).hex()}
    data = canonical(row) + b"\n"
    if bundle.signature.exists() and bundle.signature.read_bytes() != data:
        raise BadInput(f"{bundle.signature} is there already, and is another's. Take it away before you sign.")
    write_whole(bundle.signature, data)


def attest(bundle: Bundle, key: Path) -> None:
    """Write `seal.intoto.json`, whole: what the seal says, for whoever reads attestations.

    Args:
        bundle: sealed.
        key: file of the private key, the one that signs the seal.

    Raises:
        BadInput: plan or seal cannot be read, or the key cannot be used.
        NotReady: the package that signs is not installed.
    """
    private = read_key(key)
    statement = statement_of(bundle.read_plan(), bundle.read_seal())
    public = private.public_key().public_bytes_raw()
    write_whole(bundle.attestation, enveloped(statement, sign=private.sign, key=public) + b"\n")


def read_key(path: Path) -> Ed25519PrivateKey:
    """A private key to sign with. Read before a long run, it spares one that nobody can sign in the end.

    Args:
        path: PEM (PKCS8), without a passphrase, readable by its owner alone.

    Raises:
        BadInput: it cannot be read, others can read it, or it is no such key.
        NotReady: the package that signs is not installed.
    """
    keys = _keys()
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    try:
        key: Ed25519PrivateKey = keys.private_key(data)
    except ValueError as error:
        raise BadInput(f"{path} {error}. {MAKE_PRIVATE}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadInput(f"{path} is a private key that others can reach (its mode is {mode:04o}). Run: chmod 600 {path}")
    return key


# --- checking ----------------------------------------------------------------------------------


def verify_signature(bundle: Bundle, public: Path | None) -> tuple[bool, str]:
    """Whether the seal is signed, and with which key.

    Args:
        bundle: whose seal is held against its signature.
        public: file of the public key that it must be signed with, as PEM (SubjectPublicKeyInfo). Without one, the
            signature is held against the key that it names itself, which says nothing about who signed.

    Returns:
        Whether it holds, and a sentence that says what was found.

    Raises:
        BadInput: the public key cannot be used.
        NotReady: the package that checks is not installed.
    """
    keys = _keys()
    wanted = read_public(public) if public else ""
    try:
        row = msgspec.json.decode(bundle.signature.read_bytes(), type=_Signature)
        sealed = bundle.seal.read_bytes()
        good = keys.holds(bytes.fromhex(row.public_key), bytes.fromhex(row.signature), sealed)
    except FileNotFoundError as error:
        return False, f"the run is not signed: there is no {Path(error.filename).name}"
    except (OSError, ValueError) as error:
        return False, f"seal.sig is no signature that a run writes: {error}"
    if row.algorithm != ALGORITHM:
        return False, f"seal.sig is made with {row.algorithm!r}, which no version of orca-guard writes"
    if not good:
        return False, f"the signature with key {row.public_key} does not hold: seal.json or seal.sig was changed"
    if wanted and wanted != row.public_key.lower():
        return False, f"the seal is signed with key {row.public_key}, and {public} holds {wanted}"
    known = f"which {public} holds" if public else "and nothing here says whose that is"
    return True, f"the seal is signed with key {row.public_key}, {known}"


def attestation_fault(bundle: Bundle, plan: Mapping[str, Any], seal: Mapping[str, Any]) -> str:
    """What is wrong with the attestation, by the key that signed the seal; "" where nothing is.

    Args:
        bundle: that has one.
        plan: as it was read.
        seal: likewise.

    Raises:
        NotReady: the package that checks is not installed.
    """
    keys = _keys()
    try:
        public = bytes.fromhex(msgspec.json.decode(bundle.signature.read_bytes(), type=_Signature).public_key)
        envelope = bundle.attestation.read_bytes()
        return fault_of(envelope, statement_of(plan, seal), holds=partial(keys.holds, public), keys=[public])
    except FileNotFoundError:
        return "there is no signature of the seal beside it"
    except (OSError, ValueError) as error:
        return f"it cannot be checked: {error}"


def read_public(path: Path) -> str:
    """The public key in a file, as hex.

    Raises:
        BadInput: it holds none.
        NotReady: the package that reads it is not installed.
    """
    keys = _keys()
    try:
        key: bytes = keys.public_key(path.read_bytes())
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise BadInput(f"{path} {error}. {MAKE_PUBLIC}") from error
    return key.hex()


def _keys() -> ModuleType:
    try:
        from orca_guard.journal import keys  # noqa: PLC0415  # an optional dependency
    except ImportError as error:
        raise NotReady("signatures need the package cryptography: pip install 'orca-guard[sign]'") from error
    return keys
