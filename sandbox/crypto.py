"""Signatures and encryption as the third parties do them."""

from __future__ import annotations

import secrets
import time
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

CLOCK_DIFFERENCE_MAX_S = 300
ALPHANUMERICS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"


class NotOpenable(Exception):
    """What was sent sealed does not open with the shared key."""


def random_text(length: int) -> str:
    return "".join(secrets.choice(ALPHANUMERICS) for _ in range(length))


def random_digits(length: int) -> str:
    return "".join(secrets.choice("0123456789") for _ in range(length))


def unix_time() -> str:
    return str(int(time.time()))


def is_current(timestamp: str) -> bool:
    return timestamp.isdecimal() and abs(time.time() - int(timestamp)) <= CLOCK_DIFFERENCE_MAX_S


def signature_of(private_key: RSAPrivateKey, message: str) -> str:
    return b64encode(private_key.sign(message.encode(), PKCS1v15(), SHA256())).decode()


def signature_matches(public_key: RSAPublicKey, message: str, signature: str) -> bool:
    try:
        public_key.verify(b64decode(signature), message.encode(), PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def seal(key: bytes, plaintext: bytes, *, nonce: bytes, associated_data: str) -> str:
    return b64encode(AESGCM(key).encrypt(nonce, plaintext, associated_data.encode())).decode()


def unseal(key: bytes, ciphertext: str, *, nonce: bytes, associated_data: str) -> bytes:
    """Raises NotOpenable."""
    try:
        return AESGCM(key).decrypt(nonce, b64decode(ciphertext), associated_data.encode())
    except (InvalidTag, ValueError):
        raise NotOpenable from None
