"""Passwords of staff by scrypt (RFC 7914), with parameters that stand beside each digest, so that they can grow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

# 64 MiB and a tenth of a second: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
COST, BLOCK_SIZE, PARALLEL = 2**16, 8, 1
SALT_BYTES, DIGEST_BYTES = 16, 32
MEMORY_MAX_BYTES = 2 * 128 * COST * BLOCK_SIZE
SCHEME = "scrypt"
PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX = 12, 128
MADE_PASSWORD_BYTES = 15
# So many are worked on at a time; the rest wait, since each takes its memory.
CONCURRENT_MAX = 2

_limiter: RunVar[anyio.CapacityLimiter] = RunVar("scrypt")


def made() -> str:
    """Return a new password of 120 random bits, for whoever is let in."""
    return secrets.token_urlsafe(MADE_PASSWORD_BYTES)


async def hashed(password: str) -> str:
    return await anyio.to_thread.run_sync(_hashed, password, limiter=_turns())


async def is_right(password: str, digest: str | None) -> bool:
    """Whether the password has this digest. Without one it takes as long, so nobody learns which names there are."""
    right = await anyio.to_thread.run_sync(_is_right, password, digest or _NOBODYS, limiter=_turns())
    return right and digest is not None


def _turns() -> anyio.CapacityLimiter:
    """Return the limiter of this event loop."""
    try:
        return _limiter.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(CONCURRENT_MAX)
        _limiter.set(limiter)
        return limiter


def _hashed(password: str) -> str:
    salt = os.urandom(SALT_BYTES)
    digest = _scrypt(password, salt, COST, BLOCK_SIZE, PARALLEL)
    parts = (SCHEME, str(COST), str(BLOCK_SIZE), str(PARALLEL), _text(salt), _text(digest))
    return "$".join(parts)


def _is_right(password: str, stored: str) -> bool:
    scheme, cost, block_size, parallel, salt, digest = stored.split("$")
    assert scheme == SCHEME, "there is one scheme"
    found = _scrypt(password, base64.b64decode(salt), int(cost), int(block_size), int(parallel))
    return hmac.compare_digest(found, base64.b64decode(digest))


def _scrypt(password: str, salt: bytes, cost: int, block_size: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=cost, r=block_size, p=parallel, maxmem=MEMORY_MAX_BYTES, dklen=DIGEST_BYTES
    )


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


_NOBODYS = "$".join(
    (SCHEME, str(COST), str(BLOCK_SIZE), str(PARALLEL), _text(bytes(SALT_BYTES)), _text(bytes(DIGEST_BYTES)))
)
