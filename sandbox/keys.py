"""The keys that the house and its pretend third parties share, made on the first start and reused ever after.

A file is named after the setting of the house that it stands in for (`wechat_pay_api_v3_key`, or `…_key.pem` for
`…_key_path`). The files named `own_…` are the third parties' private keys; the house has no business with them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from sandbox.crypto import random_digits, random_text

KEY_SIZE_BITS = 2048
SERIAL_BITS_MAX = 159
PUBLIC_EXPONENT = 65537
AES_KEY_LENGTH = 32
FACE_SECRET_LENGTH = 32
AGGREGATOR_SECRETS = ("ofpay_password", "ofpay_key", "juhe_open_id", "juhe_key", "fulu_app_secret")
PRIVATE_FILE_MODE = 0o600
OWN_PUBLIC_KEY = "own_wechat_pay_public_key.pem"


@dataclass(frozen=True, slots=True)
class Keys:
    merchant_serial: str
    merchant_key: RSAPublicKey
    platform_serial: str
    platform_key: RSAPrivateKey = field(repr=False)
    public_key_id: str
    public_key_private: RSAPrivateKey = field(repr=False)
    api_v3_key: bytes = field(repr=False)
    app_secret: str = field(repr=False)
    face_secret_id: str
    face_secret_key: str = field(repr=False)
    partner_key: RSAPublicKey
    issuer_key: RSAPrivateKey = field(repr=False)
    issuer_secret: bytes = field(repr=False)
    price_platform_secret: str = field(repr=False)
    tencent_lbs_key: str = field(repr=False)
    tencent_lbs_secret: str = field(repr=False)
    alipay_merchant_key: RSAPublicKey
    alipay_key: RSAPrivateKey = field(repr=False)
    bank_customer_key: RSAPublicKey
    bank_key: RSAPrivateKey = field(repr=False)
    ofpay_password: str = field(repr=False)
    ofpay_key: str = field(repr=False)
    juhe_open_id: str = field(repr=False)
    juhe_key: str = field(repr=False)
    fulu_app_secret: str = field(repr=False)


def load_or_create(folder: Path) -> Keys:
    """Read the keys of the folder; make all of them at once where it does not exist, and later ones where they lack."""
    if not folder.exists():
        _create(folder)
    _complete(folder)
    return _load(folder)


def _create(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The folder appears complete or not at all: it is filled under another name, private from the start.
    unfinished = Path(tempfile.mkdtemp(prefix=".keys-", dir=folder.parent))
    try:
        for name, content in _new_files().items():
            _write_private(unfinished / name, content)
        unfinished.rename(folder)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        # Another process may have been faster, and its keys are as good.
        if not folder.exists():
            raise


def _complete(folder: Path) -> None:
    """Add what a folder of an earlier version lacks, and replace a serial number that no certificate can have."""
    serial = folder / "wechat_pay_platform_serial"
    if int(_text(serial), 16).bit_length() > SERIAL_BITS_MAX:
        unfinished = folder / f".serial-{os.getpid()}-{os.urandom(4).hex()}"
        _write_private(unfinished, new_serial().encode())
        unfinished.replace(serial)
    for name, content in _later_files().items():
        _add(folder, name, content.encode)
    for name in (
        "alipay_private_key.pem",
        "own_alipay_key.pem",
        "bank_private_key.pem",
        "own_bank_key.pem",
        OWN_PUBLIC_KEY,
    ):
        _add(folder, name, lambda: private_pem(generate_private_key(PUBLIC_EXPONENT, KEY_SIZE_BITS)))
    # Read off the private key that stayed, whoever made it.
    _add(folder, "alipay_public_key.pem", lambda: _public_pem(_private_key(folder / "own_alipay_key.pem")))
    _add(folder, "bank_public_key.pem", lambda: _public_pem(_private_key(folder / "own_bank_key.pem")))
    _add(folder, "wechat_pay_public_key.pem", lambda: _public_pem(_private_key(folder / OWN_PUBLIC_KEY)))


def _add(folder: Path, name: str, make: Callable[[], bytes]) -> None:
    if (folder / name).exists():
        return
    unfinished = folder / f".{name}-{os.getpid()}-{os.urandom(4).hex()}"
    _write_private(unfinished, make())
    # A link appears complete or not at all, and of several processes the first one's stays.
    with contextlib.suppress(FileExistsError):
        (folder / name).hardlink_to(unfinished)
    unfinished.unlink()


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _later_files() -> dict[str, str]:
    return {
        "wechat_pay_public_key_id": f"PUB_KEY_ID_{random_digits(32)}",
        "tencent_secret_id": f"AKID{random_text(FACE_SECRET_LENGTH)}",
        "tencent_secret_key": random_text(FACE_SECRET_LENGTH),
        "price_platform_secret": random_text(FACE_SECRET_LENGTH),
        "tencent_lbs_key": "-".join(random_text(5).upper() for _ in range(6)),
        "tencent_lbs_secret": random_text(FACE_SECRET_LENGTH),
        **{name: random_text(FACE_SECRET_LENGTH) for name in AGGREGATOR_SECRETS},
    }


def _new_files() -> dict[str, bytes]:
    merchant, platform, partner, issuer = [generate_private_key(PUBLIC_EXPONENT, KEY_SIZE_BITS) for _ in range(4)]
    return {
        "wechat_pay_certificate_serial": new_serial().encode(),
        "wechat_pay_private_key.pem": private_pem(merchant),
        "wechat_pay_platform_serial": new_serial().encode(),
        "wechat_pay_platform_key.pem": _public_pem(platform),
        "wechat_pay_api_v3_key": random_text(AES_KEY_LENGTH).encode(),
        "wechat_open_app_secret": os.urandom(16).hex().encode(),
        "issuer_private_key.pem": private_pem(partner),
        "issuer_public_key.pem": _public_pem(issuer),
        "issuer_secret": random_text(AES_KEY_LENGTH).encode(),
        "own_platform_key.pem": private_pem(platform),
        "own_issuer_key.pem": private_pem(issuer),
    }


def new_serial() -> str:
    """Return a serial number as X.509 allows it: positive, and less than 160 bits long."""
    return f"{int.from_bytes(os.urandom(20)) >> 1 | 1:040X}"


def private_pem(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public_pem(key: RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _load(folder: Path) -> Keys:
    return Keys(
        merchant_serial=_text(folder / "wechat_pay_certificate_serial"),
        merchant_key=_private_key(folder / "wechat_pay_private_key.pem").public_key(),
        platform_serial=_text(folder / "wechat_pay_platform_serial"),
        platform_key=_private_key(folder / "own_platform_key.pem"),
        public_key_id=_text(folder / "wechat_pay_public_key_id"),
        public_key_private=_private_key(folder / OWN_PUBLIC_KEY),
        api_v3_key=_text(folder / "wechat_pay_api_v3_key").encode(),
        app_secret=_text(folder / "wechat_open_app_secret"),
        face_secret_id=_text(folder / "tencent_secret_id"),
        face_secret_key=_text(folder / "tencent_secret_key"),
        partner_key=_private_key(folder / "issuer_private_key.pem").public_key(),
        issuer_key=_private_key(folder / "own_issuer_key.pem"),
        issuer_secret=_text(folder / "issuer_secret").encode(),
        price_platform_secret=_text(folder / "price_platform_secret"),
        tencent_lbs_key=_text(folder / "tencent_lbs_key"),
        tencent_lbs_secret=_text(folder / "tencent_lbs_secret"),
        alipay_merchant_key=_private_key(folder / "alipay_private_key.pem").public_key(),
        alipay_key=_private_key(folder / "own_alipay_key.pem"),
        bank_customer_key=_private_key(folder / "bank_private_key.pem").public_key(),
        bank_key=_private_key(folder / "own_bank_key.pem"),
        **{name: _text(folder / name) for name in AGGREGATOR_SECRETS},
    )


def _text(path: Path) -> str:
    return path.read_text("ascii").strip()


def _private_key(path: Path) -> RSAPrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"{path} is not an RSA key")
    return key
