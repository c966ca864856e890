"""Keys of this deployment: given by settings, or made once in the data directory while developing."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path

from joserfc.jwk import ECKey

from kernel.sealing import KEY_BYTES, Sealer
from kernel.settings import Settings

PRIVATE_MODE = 0o600


class KeyMissing(RuntimeError):
    """Production never invents a key; the message names the setting to give."""


class KeyUnusable(ValueError):
    """A key is given, and is none; the message names the setting."""


def load_or_create(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the file's bytes, written first where it is missing; two processes that race agree on one of them."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        os.link(scratch, path)
    except FileExistsError:
        pass
    finally:
        scratch.unlink()
    return path.read_bytes()


def sealer(settings: Settings) -> Sealer:
    """Return the sealer of card numbers. Raises KeyUnusable, or KeyMissing in production without YOUKA_DATA_KEY."""
    given = settings.data_key.get_secret_value()
    if given:
        try:
            return Sealer.from_text(given)
        except ValueError:
            raise KeyUnusable(f"YOUKA_DATA_KEY is not {KEY_BYTES} bytes in base64") from None
    if not settings.development:
        raise KeyMissing("set YOUKA_DATA_KEY to 32 random bytes in base64 (openssl rand -base64 32)")
    made = load_or_create(settings.data_dir / "keys" / "data.key", lambda: base64.b64encode(os.urandom(KEY_BYTES)))
    return Sealer.from_text(made.decode())


def token_key(settings: Settings) -> ECKey:
    """Return the P-256 key that signs access tokens. Raises KeyUnusable, or KeyMissing in production without a file."""
    given = settings.token_key_path
    if not settings.development and not (given and given.exists()):
        # A key that was made while developing is no key of production either.
        raise KeyMissing("set YOUKA_TOKEN_KEY_PATH to a P-256 private key in PEM")
    path = given or settings.data_dir / "keys" / "token.pem"
    pem = load_or_create(path, lambda: ECKey.generate_key("P-256").as_pem(private=True))
    try:
        return ECKey.import_key(pem)
    except ValueError:
        raise KeyUnusable(f"YOUKA_TOKEN_KEY_PATH names {path}, which is no P-256 private key in PEM") from None
