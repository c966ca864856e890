"""Opaque texts that hold a few plain values: base64url of a JSON list, without padding."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

LENGTH_MAX = 512


def pack(*parts: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts, default=str)).decode().rstrip("=")


def unpack(text: str) -> list[Any]:
    """Return what `pack` was given, as JSON has it. Raises ValueError for anything else."""
    if len(text) > LENGTH_MAX:
        raise ValueError("too long")
    try:
        parts = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (TypeError, binascii.Error) as error:
        raise ValueError("not packed") from error
    if not isinstance(parts, list):
        raise ValueError("not a list")
    return parts
