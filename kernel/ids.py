"""Identifiers that sort by time, and the short text forms that third parties accept."""

from __future__ import annotations

import os
import time
from uuid import UUID

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
UUID_TEXT_LENGTH = 26
NUMBER_MAX = 99


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big") & ((1 << 74) - 1)
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76
    value |= (random_bits >> 62) << 64
    value |= 0b10 << 62
    value |= random_bits & ((1 << 62) - 1)
    return UUID(int=value)


def short_text(identifier: UUID) -> str:
    """Return 26 characters of Crockford's base 32, in the order of the UUID itself."""
    value = identifier.int
    digits = []
    for _ in range(UUID_TEXT_LENGTH):
        value, digit = divmod(value, 32)
        digits.append(CROCKFORD[digit])
    return "".join(reversed(digits))


def numbered(identifier: UUID, number: int) -> str:
    """Return the identifier with a two-digit number behind it: 28 characters, as `out_trade_no` (6 to 32) allows."""
    if not 0 < number <= NUMBER_MAX:
        raise ValueError(f"number {number} is not from 1 to 99")
    return f"{short_text(identifier)}{number:02d}"
