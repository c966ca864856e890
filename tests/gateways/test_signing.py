"""Signatures against arithmetic done by hand, encryption against published vectors."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from gateways.signing import (
    KeyUnreadable,
    MemorySigner,
    NotDecryptable,
    decrypt,
    encrypt,
    is_fresh,
    is_signed_by,
    load_aes_key,
    load_private_key,
    load_public_key,
    signature_text,
    signed_lines,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def sign_by_hand(key: rsa.RSAPrivateKey, message: bytes) -> str:
    """RFC 8017, section 9.2: 00 01 ff… 00, the digest's name and the digest, to the power of the private exponent."""
    numbers = key.private_numbers()
    tail = DIGEST_INFO + sha256(message).digest()
    padded = b"\x00\x01" + b"\xff" * (256 - 3 - len(tail)) + b"\x00" + tail
    value = pow(int.from_bytes(padded, "big"), numbers.d, numbers.public_numbers.n)
    return b64encode(value.to_bytes(256, "big")).decode()


class TestSigning:
    async def test_a_request_is_signed_over_the_five_lines_of_the_documentation(self, key: rsa.RSAPrivateKey) -> None:
        message = signed_lines("GET", "/v3/certificates", "1554208460", "593BEC0C930BF1AFEB40B4A08C8FB242", b"")
        assert message == b"GET\n/v3/certificates\n1554208460\n593BEC0C930BF1AFEB40B4A08C8FB242\n\n"
        assert await signature_text(MemorySigner(key), message) == sign_by_hand(key, message)

    def test_a_body_is_signed_byte_by_byte(self) -> None:
        assert signed_lines("POST", '{"a":"油"}'.encode()) == b'POST\n{"a":"\xe6\xb2\xb9"}\n'

    @pytest.mark.parametrize("altered", [b"message ", b"messagf", b""])
    def test_another_message_is_not_signed(self, key: rsa.RSAPrivateKey, altered: bytes) -> None:
        signature = sign_by_hand(key, b"message")
        assert is_signed_by(key.public_key(), b"message", signature)
        assert not is_signed_by(key.public_key(), altered, signature)

    @pytest.mark.parametrize("signature", ["", "WECHATPAY/SIGNTEST/abc", "!!!!", "AAAA", "签名"])
    def test_what_is_no_signature_is_refused_quietly(self, key: rsa.RSAPrivateKey, signature: str) -> None:
        assert not is_signed_by(key.public_key(), b"message", signature)


class TestEncryption:
    # McGrew and Viega, "The Galois/Counter Mode of Operation", test case 16.
    KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    NONCE = bytes.fromhex("cafebabefacedbaddecaf888")
    ASSOCIATED = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    PLAINTEXT = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    CIPHERTEXT = bytes.fromhex(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )

    def test_published_vector(self) -> None:
        text = b64encode(self.CIPHERTEXT).decode()
        assert encrypt(self.KEY, self.PLAINTEXT, nonce=self.NONCE, associated_data=self.ASSOCIATED) == text
        assert decrypt(self.KEY, text, nonce=self.NONCE, associated_data=self.ASSOCIATED) == self.PLAINTEXT

    def test_any_altered_byte_is_noticed(self) -> None:
        for position in range(len(self.CIPHERTEXT)):
            altered = bytearray(self.CIPHERTEXT)
            altered[position] ^= 1
            with pytest.raises(NotDecryptable):
                decrypt(self.KEY, b64encode(altered).decode(), nonce=self.NONCE, associated_data=self.ASSOCIATED)

    @pytest.mark.parametrize(
        ("ciphertext", "nonce", "associated_data"),
        [
            (b64encode(CIPHERTEXT).decode(), NONCE, b"other"),
            (b64encode(CIPHERTEXT).decode(), bytes(12), ASSOCIATED),
            (b64encode(CIPHERTEXT).decode(), NONCE[:11], ASSOCIATED),
            (b64encode(CIPHERTEXT).decode(), b"", ASSOCIATED),
            ("not base 64!", NONCE, ASSOCIATED),
            ("", NONCE, ASSOCIATED),
        ],
    )
    def test_what_does_not_belong_together_does_not_open(
        self, ciphertext: str, nonce: bytes, associated_data: bytes
    ) -> None:
        with pytest.raises(NotDecryptable):
            decrypt(self.KEY, ciphertext, nonce=nonce, associated_data=associated_data)


class TestKeys:
    def test_a_certificate_gives_its_key(self, key: rsa.RSAPrivateKey) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "platform")])
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + timedelta(days=1))
            .sign(key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )
        assert load_public_key(certificate).public_numbers() == key.public_key().public_numbers()

    def test_other_kinds_of_keys_are_refused(self) -> None:
        curve, short = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is what must be refused
        for wrong in (curve, short):
            private = wrong.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            public = wrong.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            with pytest.raises(KeyUnreadable, match="2048 bits"):
                load_private_key(private)
            with pytest.raises(KeyUnreadable, match="2048 bits"):
                load_public_key(public)

    @pytest.mark.parametrize("pem", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nxxxx\n-----END CERTIFICATE-----\n"])
    def test_garbage_is_refused(self, pem: bytes) -> None:
        with pytest.raises(KeyUnreadable):
            load_public_key(pem)
        with pytest.raises(KeyUnreadable):
            load_private_key(pem)

    def test_an_aes_key_has_32_bytes(self) -> None:
        assert load_aes_key("k" * 32) == b"k" * 32
        for wrong in ("k" * 31, "k" * 33, "钥" * 32):
            with pytest.raises(KeyUnreadable, match="32 bytes"):
                load_aes_key(wrong)


@pytest.mark.parametrize(
    ("timestamp", "fresh"),
    [
        ("1767225600", True),
        ("1767225300", True),
        ("1767225900", True),
        ("1767225299", False),
        ("1767225901", False),
        ("0", False),
        ("", False),
        ("-1767225600", False),
        ("1767225600.0", False),
        ("١٧٦٧٢٢٥٦٠٠", False),
        ("9" * 5_000, False),
    ],
)
def test_freshness_reaches_as_far_back_as_forward(timestamp: str, *, fresh: bool) -> None:
    assert is_fresh(timestamp, now=NOW, age_max_s=300) is fresh


def test_a_key_is_read_once_since_reading_tries_its_primes(key: rsa.RSAPrivateKey) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert load_private_key(pem) is load_private_key(bytes(bytearray(pem)))
