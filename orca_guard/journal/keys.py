"""Ed25519 keys as PEM; the one module that imports `cryptography`, and itself is imported only when somebody signs."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key


def private_key(data: bytes) -> Ed25519PrivateKey:
    """The key in a PEM file (PKCS8). Raises `ValueError` with what is wrong with it."""
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError as error:
        raise ValueError("is protected by a passphrase, and nobody is here to type it") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("is no private key as PEM (PKCS8)") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("is no key of Ed25519")  # noqa: TRY004  # one kind of error for every wrong file
    return key


def public_key(data: bytes) -> bytes:
    """The 32 bytes of the key in a PEM file (SubjectPublicKeyInfo). Raises `ValueError` with what is wrong with it."""
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("is no public key as PEM (SubjectPublicKeyInfo)") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("is no key of Ed25519")  # noqa: TRY004  # as above
    return key.public_bytes_raw()


def holds(public: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the owner of a public key (32 bytes) signed these bytes so. Raises `ValueError` for what is no key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except InvalidSignature:
        return False
    return True
