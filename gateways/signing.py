"""RSA-SHA256 signatures and AES-256-GCM, as WeChat Pay API v3 and the card issuer's protocol use them.

Sources: RFC 8017, section 8.2 (RSASSA-PKCS1-v1_5); NIST SP 800-38D (GCM); WeChat Pay API v3, "签名生成" and
"证书和回调报文解密".
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

AEAD_ALGORITHM = "AEAD_AES_256_GCM"
AES_KEY_SIZE_BYTES = 32
GCM_NONCE_SIZE_BYTES = 12
NONCE_SIZE_BYTES = 16
RSA_KEY_SIZE_MIN_BITS = 2048
KEYS_KEPT_MAX = 16
TIMESTAMP_DIGITS_MAX = 12


class KeyUnreadable(ValueError):
    """The text is not a PEM of an RSA key of at least 2048 bits, or not a 32-byte AES key."""


class NotDecryptable(ValueError):
    """The ciphertext, its nonce or its associated data are not what was encrypted under this key."""


class SigningFailed(Exception):
    """The key could not be used, so nothing was signed and nothing may be sent."""


class ModuleFailed(SigningFailed):
    """A security module did not sign: `setting` names what to look at (empty: the key's), `problem` what is wrong."""

    def __init__(self, setting: str, problem: str) -> None:
        self.setting, self.problem = setting, problem
        super().__init__(f"the security module cannot sign: {setting or 'the label of the key'} {problem}")


class Signer(Protocol):
    """A private key that signs, wherever it is kept: in memory, or in hardware that never gives it away."""

    async def sign(self, message: bytes) -> bytes:
        """Return the RSASSA-PKCS1-v1_5 signature with SHA-256, not encoded. Raises SigningFailed."""


class MemorySigner:
    """Signs with a key that this process holds."""

    def __init__(self, key: RSAPrivateKey) -> None:
        self._key = key

    async def sign(self, message: bytes) -> bytes:
        # About a millisecond of arithmetic, which is less than handing it to a thread would cost.
        return self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())


async def signature_text(signer: Signer, message: bytes) -> str:
    """Return the signature in base 64. Raises SigningFailed."""
    return b64encode(await signer.sign(message)).decode()


@lru_cache(KEYS_KEPT_MAX)
def load_private_key(pem: bytes) -> RSAPrivateKey:
    """Reading one tries whether its factors are primes, which takes as long as a hundred signatures: once is enough.

    Raises KeyUnreadable.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise KeyUnreadable("not an unencrypted PEM private key") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < RSA_KEY_SIZE_MIN_BITS:
        raise KeyUnreadable(f"not an RSA private key of at least {RSA_KEY_SIZE_MIN_BITS} bits")
    return key


def load_public_key(pem: bytes) -> RSAPublicKey:
    """Read a PEM public key, or the key inside a PEM certificate; platforms hand out both."""
    try:
        key: object = (
            load_pem_x509_certificate(pem).public_key() if b"BEGIN CERTIFICATE" in pem else load_pem_public_key(pem)
        )
    except ValueError:
        raise KeyUnreadable("neither a PEM public key nor a PEM certificate") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < RSA_KEY_SIZE_MIN_BITS:
        raise KeyUnreadable(f"not an RSA public key of at least {RSA_KEY_SIZE_MIN_BITS} bits")
    return key


def load_aes_key(text: str) -> bytes:
    key = text.encode()
    if len(key) != AES_KEY_SIZE_BYTES:
        raise KeyUnreadable(f"not {AES_KEY_SIZE_BYTES} bytes long")
    return key


def signed_lines(*parts: str | bytes) -> bytes:
    """Return the parts with a line feed behind each, the last one included: the form in which both protocols sign."""
    return b"".join((part.encode() if isinstance(part, str) else part) + b"\n" for part in parts)


def is_signed_by(key: RSAPublicKey, message: bytes, signature: str) -> bool:
    try:
        key.verify(b64decode(signature, validate=True), message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, Base64Error, ValueError):
        return False
    return True


def encrypt(key: bytes, plaintext: bytes, *, nonce: bytes, associated_data: bytes) -> str:
    """Return the ciphertext and its 16-byte tag in base 64. A nonce must never be used twice with one key."""
    return b64encode(AESGCM(key).encrypt(nonce, plaintext, associated_data)).decode()


def decrypt(key: bytes, ciphertext: str, *, nonce: bytes, associated_data: bytes) -> bytes:
    """Raises NotDecryptable."""
    if len(nonce) != GCM_NONCE_SIZE_BYTES:
        raise NotDecryptable("the nonce is not 12 bytes long")
    try:
        return AESGCM(key).decrypt(nonce, b64decode(ciphertext, validate=True), associated_data)
    except (InvalidTag, Base64Error, ValueError):
        raise NotDecryptable("the ciphertext does not open") from None


def encrypt_field(key: RSAPublicKey, text: str) -> str:
    """Return the text in base 64 as only the key's owner can read it (RSAES-OAEP with SHA-1, "敏感信息加密")."""
    # WeChat Pay's protocol says SHA-1; in OAEP it need not withstand collisions.
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303
    return b64encode(key.encrypt(text.encode(), oaep)).decode()


def fresh_nonce() -> str:
    return secrets.token_hex(NONCE_SIZE_BYTES).upper()


def is_fresh(timestamp: str, *, now: datetime, age_max_s: int) -> bool:
    """Whether `timestamp` (decimal Unix seconds) is at most `age_max_s` away from `now`, in either direction."""
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= TIMESTAMP_DIGITS_MAX):
        return False
    return abs(now.timestamp() - int(timestamp)) <= age_max_s
