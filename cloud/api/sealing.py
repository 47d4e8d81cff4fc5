"""Seals what lies in a shared store for a while, such as an answer with a machine's password in it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# NIST SP 800-38D section 8.2: 96 random bits, for at most 2^32 seals under one key.
_NONCE_BYTES = 12
_KEY_BYTES = 32
_PURPOSE = b"ronda sealed answers"


class BrokenSealError(Exception):
    """Sealed by somebody else, under a secret that was taken away, or for another place."""


class Seal:
    """AES-256-GCM under keys that follow from the tokens' secrets: who reads the store alone reads nothing.

    The first secret seals; the previous ones only open, so that a secret can be replaced.
    """

    def __init__(self, secret: str, previous: Sequence[str] = ()) -> None:
        self._ciphers = [AESGCM(_derived(each)) for each in (secret, *previous)]

    def close(self, content: bytes, place: str) -> bytes:
        """The content, sealed for this place: moved to another one it does not open."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, content, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """The content. Raises: BrokenSealError."""
        nonce, closed = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, closed, place.encode())
            except (InvalidTag, ValueError):
                continue
        raise BrokenSealError(place)


def _derived(secret: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_PURPOSE).derive(secret.encode())
