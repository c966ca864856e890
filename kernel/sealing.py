"""Sealing what must be stored but never read by a stranger: card numbers today."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12


class SealBroken(ValueError):
    """The sealed bytes were altered, belong to somebody else, or were sealed with another key."""


class Sealer:
    """AES-256-GCM for the value, HMAC-SHA256 for finding it again, each with its own key derived from one."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the data key has {len(key)} bytes instead of {KEY_BYTES}")
        self._cipher = AESGCM(_derived(key, b"seal"))
        self._digest_key = _derived(key, b"digest")

    @classmethod
    def from_text(cls, text: str) -> Sealer:
        """Read a key of 32 bytes in base64, as `openssl rand -base64 32` writes it. Raises ValueError."""
        try:
            return cls(base64.b64decode(text, validate=True))
        except binascii.Error as error:
            raise ValueError("the data key is not base64") from error

    def seal(self, value: str, *, owner: str) -> bytes:
        """Return nonce and ciphertext; only the same owner's seal opens again."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value.encode(), owner.encode())

    def open(self, sealed: bytes, *, owner: str) -> str:
        """Raises SealBroken."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], owner.encode()).decode()
        except InvalidTag as error:
            raise SealBroken("sealed value does not open") from error

    def digest(self, value: str) -> str:
        """Return 64 hex digits that are equal for equal values and tell nothing without the key."""
        return hmac.new(self._digest_key, value.encode(), hashlib.sha256).hexdigest()


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"youka/" + purpose).derive(key)
