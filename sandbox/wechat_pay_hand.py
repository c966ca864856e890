"""WeChat Pay's own hand: the certificates and the public key by which it signs, and which of them is in use.

`certificates` signs all with the newest certificate in use. `public_key` signs all with the public key, and there is no
certificate to download, as for a merchant who never had one. `both` is the time between: an answer is signed by what
the request's `Wechatpay-Serial` names, callbacks by the one and the other in turn.
"""

from __future__ import annotations

import os
from base64 import b64decode
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from kernel.clock import SHANGHAI, utc_now
from sandbox.answers import Refused
from sandbox.crypto import random_text, seal, signature_of, unix_time
from sandbox.keys import KEY_SIZE_BITS, PUBLIC_EXPONENT, Keys, new_serial, private_pem
from sandbox.store import Document, Kind, Store

SCHEME = "WECHATPAY2-SHA256-RSA2048"
PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"
CERTIFICATES, PUBLIC_KEY, BOTH = MODES = ("certificates", "public_key", "both")
MODE, IN_USE = "mode", "in_use"
LIFETIME = timedelta(days=5 * 365)
OVERLAP_S = 86_400
OVERLAP_MAX_S = 10 * 86_400
ASSOCIATED_DATA = "certificate"


class Hand:
    """Kept in the store, so that a restart signs as before."""

    def __init__(self, keys: Keys, store: Store) -> None:
        self._keys, self._store = keys, store
        self._loaded: dict[str, RSAPrivateKey] = {}
        self._turn = 0
        if store.get(Kind.CERTIFICATE, keys.platform_serial) is None:
            self._put(keys.platform_serial, keys.platform_key)
            store.put(Kind.PLATFORM, IN_USE, {"serial": keys.platform_serial})

    @property
    def mode(self) -> str:
        return str((self._store.get(Kind.PLATFORM, MODE) or {}).get("mode", CERTIFICATES))

    @property
    def in_use(self) -> str:
        """The serial number of the certificate that signs."""
        found = self._store.get(Kind.PLATFORM, IN_USE)
        assert found is not None
        return str(found["serial"])

    def describe(self) -> Document:
        certificates = [
            {name: each[name] for name in ("serial", "effective_time", "expire_time")} for each in self._all()
        ]
        return {"mode": self.mode, "in_use": self.in_use, "certificates": certificates}

    def set_mode(self, mode: str) -> None:
        self._store.put(Kind.PLATFORM, MODE, {"mode": mode})

    def publish(self) -> str:
        """Make a certificate that can be downloaded and signs nothing yet, and return its serial number."""
        serial = new_serial()
        self._put(serial, generate_private_key(PUBLIC_EXPONENT, KEY_SIZE_BITS))
        return serial

    def use(self, serial: str, *, overlap_s: int) -> None:
        """Sign with this certificate from now on; the one before it expires behind the overlap.

        One that was before is as good as new again.
        """
        ends = (utc_now() + timedelta(seconds=overlap_s)).astimezone(SHANGHAI).isoformat(timespec="seconds")
        for each in self._all():
            shortened = each["lasts_until"] if each["serial"] == serial else min(each["expire_time"], ends)
            self._store.put(Kind.CERTIFICATE, each["serial"], {**each, "expire_time": shortened})
        self._store.put(Kind.PLATFORM, IN_USE, {"serial": serial})

    def headers(
        self, body: bytes, *, asked: str = "", serial: str = "", nonce: str = "", age_s: int = 0
    ) -> dict[str, str]:
        """Sign a body, by default with the key of the mode, now, and with a nonce that was never used."""
        serial, nonce = serial or self._signing_serial(asked), nonce or random_text(32)
        timestamp = str(int(unix_time()) - age_s)
        message = f"{timestamp}\n{nonce}\n{body.decode()}\n"
        return {
            "Request-ID": random_text(40),
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": serial,
            "Wechatpay-Signature": signature_of(self._key(serial), message),
            "Wechatpay-Signature-Type": SCHEME,
            "Wechatpay-Timestamp": timestamp,
        }

    def certificates(self) -> Document:
        """Return what "下载平台证书" answers: every certificate that has not expired, sealed."""
        if self.mode == PUBLIC_KEY:
            raise Refused(404, "RESOURCE_NOT_EXISTS", "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥")
        now = utc_now()
        valid = [each for each in self._all() if datetime.fromisoformat(each["expire_time"]) > now]
        return {"data": [self._sealed(each) for each in valid]}

    def read_field(self, serial: str, ciphertext: str) -> str:
        """Decrypt a field of a request ("敏感信息加密"), or refuse it."""
        try:
            oaep = padding.OAEP(mgf=padding.MGF1(SHA1()), algorithm=SHA1(), label=None)  # noqa: S303
            return self._key(serial).decrypt(b64decode(ciphertext, validate=True), oaep).decode()
        except (ValueError, KeyError):
            raise Refused(400, "PARAM_ERROR", "敏感字段解密失败，请检查 Wechatpay-Serial 与加密所用的公钥") from None

    def _signing_serial(self, asked: str) -> str:
        if self.mode == PUBLIC_KEY or (self.mode == BOTH and asked.startswith(PUBLIC_KEY_PREFIX)):
            return self._keys.public_key_id
        if self.mode == BOTH and not asked:
            self._turn += 1
            return self._keys.public_key_id if self._turn % 2 else self.in_use
        return self.in_use

    def _key(self, serial: str) -> RSAPrivateKey:
        """Raises KeyError."""
        if serial == self._keys.public_key_id:
            return self._keys.public_key_private
        if serial not in self._loaded:
            found = self._store.get(Kind.CERTIFICATE, serial)
            if found is None:
                raise KeyError(serial)
            key = load_pem_private_key(found["private_key"].encode(), password=None)
            assert isinstance(key, RSAPrivateKey)
            self._loaded[serial] = key
        return self._loaded[serial]

    def _all(self) -> list[Document]:
        return self._store.newest(Kind.CERTIFICATE, 100)

    def _put(self, serial: str, key: RSAPrivateKey) -> None:
        effective = utc_now().replace(microsecond=0)
        expires = effective + LIFETIME
        document = {
            "serial": serial,
            "private_key": private_pem(key).decode(),
            "certificate": _certificate(serial, key, effective, expires),
            "effective_time": effective.astimezone(SHANGHAI).isoformat(timespec="seconds"),
            "expire_time": expires.astimezone(SHANGHAI).isoformat(timespec="seconds"),
            "lasts_until": expires.astimezone(SHANGHAI).isoformat(timespec="seconds"),
        }
        self._store.put(Kind.CERTIFICATE, serial, document)

    def _sealed(self, certificate: Document) -> Document:
        nonce = os.urandom(6).hex()
        plaintext = certificate["certificate"].encode()
        return {
            "serial_no": certificate["serial"],
            "effective_time": certificate["effective_time"],
            "expire_time": certificate["expire_time"],
            "encrypt_certificate": {
                "algorithm": "AEAD_AES_256_GCM",
                "nonce": nonce,
                "associated_data": ASSOCIATED_DATA,
                "ciphertext": seal(
                    self._keys.api_v3_key, plaintext, nonce=nonce.encode(), associated_data=ASSOCIATED_DATA
                ),
            },
        }


def _certificate(serial: str, key: RSAPrivateKey, effective: datetime, expires: datetime) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tenpay.com sandbox")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int(serial, 16))
        .not_valid_before(effective)
        .not_valid_after(expires)
        .sign(key, SHA256())
    )
    return built.public_bytes(Encoding.PEM).decode()
