"""One-time passwords by time (RFC 6238): SHA-1, six digits, steps of 30 seconds, as authenticator apps have them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import struct
from datetime import datetime
from urllib.parse import quote, urlencode

STEP_S = 30
DIGITS = 6
SECRET_BYTES = 20
# A phone's clock may be off by this many steps either way (RFC 6238, section 5.2).
DRIFT_STEPS = 1
ISSUER = "Youka"


def new_secret() -> str:
    """Return 160 random bits in base 32, as authenticator apps take them."""
    return base64.b32encode(os.urandom(SECRET_BYTES)).decode()


def code_at(secret: str, step: int) -> str:
    """Return the code of one time step (RFC 4226, section 5.3)."""
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    offset = mac[-1] & 0x0F
    number = struct.unpack(">I", mac[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(now: datetime) -> int:
    return int(now.timestamp()) // STEP_S


def matching_step(secret: str, code: str, *, after: int, now: datetime) -> int | None:
    """Return the step whose code it is, None where there is none behind the one that was used last."""
    current, found = step_of(now), None
    for step in range(current - DRIFT_STEPS, current + DRIFT_STEPS + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()) and step > after:
            found = step
    return found


def uri(secret: str, *, name: str) -> str:
    """Return what an authenticator app reads from a QR code.

    https://github.com/google/google-authenticator/wiki/Key-Uri-Format
    """
    label = quote(f"{ISSUER}:{name}", safe="")
    query = urlencode({"secret": secret, "issuer": ISSUER, "digits": DIGITS, "period": STEP_S})
    return f"otpauth://totp/{label}?{query}"
