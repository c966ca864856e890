"""The keys that the house and its pretend third parties share, made on the first start and reused ever after.

A file is named after the setting of the house that it stands in for (`wechat_pay_api_v3_key`, or `…_key.pem` for
`…_key_path`). The two files named `own_…` are the third parties' private keys; the house has no business with them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
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

from sandbox.crypto import random_text

KEY_SIZE_BITS = 2048
PUBLIC_EXPONENT = 65537
AES_KEY_LENGTH = 32
FACE_SECRET_LENGTH = 32
PRIVATE_FILE_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Keys:
    merchant_serial: str
    merchant_key: RSAPublicKey
    platform_serial: str
    platform_key: RSAPrivateKey = field(repr=False)
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
    """Add what a folder of an earlier version lacks."""
    for name, content in _later_files().items():
        if not (folder / name).exists():
            unfinished = folder / f".{name}-{os.getpid()}-{os.urandom(4).hex()}"
            _write_private(unfinished, content)
            # A link appears complete or not at all, and of several processes the first one's stays.
            with contextlib.suppress(FileExistsError):
                (folder / name).hardlink_to(unfinished)
            unfinished.unlink()


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _later_files() -> dict[str, bytes]:
    return {
        "tencent_secret_id": f"AKID{random_text(FACE_SECRET_LENGTH)}".encode(),
        "tencent_secret_key": random_text(FACE_SECRET_LENGTH).encode(),
        "price_platform_secret": random_text(FACE_SECRET_LENGTH).encode(),
        "tencent_lbs_key": "-".join(random_text(5).upper() for _ in range(6)).encode(),
        "tencent_lbs_secret": random_text(FACE_SECRET_LENGTH).encode(),
    }


def _new_files() -> dict[str, bytes]:
    merchant, platform, partner, issuer = [generate_private_key(PUBLIC_EXPONENT, KEY_SIZE_BITS) for _ in range(4)]
    return {
        "wechat_pay_certificate_serial": os.urandom(20).hex().upper().encode(),
        "wechat_pay_private_key.pem": _private_pem(merchant),
        "wechat_pay_platform_serial": os.urandom(20).hex().upper().encode(),
        "wechat_pay_platform_key.pem": _public_pem(platform),
        "wechat_pay_api_v3_key": random_text(AES_KEY_LENGTH).encode(),
        "wechat_open_app_secret": os.urandom(16).hex().encode(),
        "issuer_private_key.pem": _private_pem(partner),
        "issuer_public_key.pem": _public_pem(issuer),
        "issuer_secret": random_text(AES_KEY_LENGTH).encode(),
        **_later_files(),
        "own_platform_key.pem": _private_pem(platform),
        "own_issuer_key.pem": _private_pem(issuer),
    }


def _private_pem(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public_pem(key: RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _load(folder: Path) -> Keys:
    return Keys(
        merchant_serial=_text(folder / "wechat_pay_certificate_serial"),
        merchant_key=_private_key(folder / "wechat_pay_private_key.pem").public_key(),
        platform_serial=_text(folder / "wechat_pay_platform_serial"),
        platform_key=_private_key(folder / "own_platform_key.pem"),
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
    )


def _text(path: Path) -> str:
    return path.read_text("ascii").strip()


def _private_key(path: Path) -> RSAPrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"{path} is not an RSA key")
    return key
