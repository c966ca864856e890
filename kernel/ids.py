"""Identifiers that sort by time, and the short text forms that third parties accept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from uuid import UUID

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
UUID_TEXT_LENGTH = 26
NUMBER_MAX = 99


# 12 bits of a UUIDv7 may say the time more exactly than its milliseconds (RFC 9562, section 6.2, method 3).
TICKS_PER_MS = 4_096
RANDOM_LENGTH_BYTES = 8
TIME_MASK, RANDOM_MASK = (1 << 48) - 1, (1 << 62) - 1
VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62
# How far ids may run ahead of a clock that stands still; one that was set back is followed at once.
AHEAD_MAX_TICKS = 10 * TICKS_PER_MS


class Ticks:
    """The time since 1970 in 4096ths of a millisecond, never the same twice in a process."""

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock_ns = clock_ns
        self._last = 0

    def next(self) -> int:
        tick = self._clock_ns() * TICKS_PER_MS // 1_000_000
        if self._last - AHEAD_MAX_TICKS < tick <= self._last:
            tick = self._last + 1
        self._last = tick
        return tick


_ticks = Ticks()


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562, section 5.7): 60 bits of time, then 62 random bits.

    Ids that one process makes one after another sort in that order, within a millisecond, too.
    """
    # The time, the version, the time's fraction, the variant, and random bits.
    milliseconds, fraction = divmod(_ticks.next(), TICKS_PER_MS)
    value = (milliseconds & TIME_MASK) << 80 | VERSION_AND_VARIANT | fraction << 64
    return UUID(int=value | int.from_bytes(os.urandom(RANDOM_LENGTH_BYTES), "big") & RANDOM_MASK)


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


def read_number(text: str) -> UUID | None:
    """Return the identifier that a text stands for, or None: a UUID, its short text, or that with a number."""
    text = text.strip()
    if len(text) in (UUID_TEXT_LENGTH, UUID_TEXT_LENGTH + 2):
        return _from_short(text[:UUID_TEXT_LENGTH].upper())
    try:
        return UUID(text)
    except ValueError:
        return None


def _from_short(text: str) -> UUID | None:
    value = 0
    for digit in text:
        place = CROCKFORD.find(digit)
        if place < 0:
            return None
        value = value * len(CROCKFORD) + place
    return UUID(int=value) if value < 1 << 128 else None
