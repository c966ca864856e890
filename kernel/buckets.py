"""Buckets that time refills: how much somebody may take of something, at once and over time.

What is kept of a bucket is one number, the time at which it is full again (the generic cell rate algorithm,
https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm). A bucket that is full is not kept at all.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor
from typing import NamedTuple, Protocol

# Sums of fractions of a second may be a little off.
TOLERANCE_S = 1e-6
KEYS_MAX = 100_000
# Each time that one bucket is touched, so many of those untouched for longest are forgotten if they are full.
PURGED_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Bucket:
    """How much there is in a full one, and how much comes back in a second."""

    capacity: int
    refill_per_s: float

    @property
    def unit_s(self) -> float:
        """How long one unit takes to come back."""
        return 1 / self.refill_per_s

    @property
    def refill_s(self) -> float:
        """How long an empty bucket takes to be full."""
        return self.capacity / self.refill_per_s


class Draw(NamedTuple):
    """An amount to take of the bucket of a key.

    `shared` is false for what only this process has to know. `leased` is true where a process may reserve a little of
    the bucket before it needs it.
    """

    key: str
    bucket: Bucket
    amount: int
    shared: bool = True
    leased: bool = False

    def of(self, amount: int) -> Draw:
        """Return the same of another amount."""
        return Draw(self.key, self.bucket, amount, self.shared, self.leased)


class Level(NamedTuple):
    """Where a bucket stands. `wait_s` is how long to wait until what was asked for is there; 0 where it is."""

    remaining: int
    wait_s: float
    full_after_s: float

    @property
    def enough(self) -> bool:
        return self.wait_s <= 0


class Buckets(Protocol):
    """Takes of buckets, and puts back."""

    async def take(self, draws: Sequence[Draw]) -> list[Level]:
        """Take everything, or nothing where one bucket has too little, and return where each stands then."""

    def take_here(self, draw: Draw) -> Level | None:
        """As `take` where this process can tell by itself; None where it has to ask."""

    def spend(self, draw: Draw) -> Level:
        """Take it at once as far as this process knows, or nothing; other processes hear of it in a moment."""

    def give_back(self, draw: Draw) -> None:
        """Put back what was taken and not used."""

    def peek(self, draw: Draw) -> Level:
        """Return where the bucket stands as far as this process knows, and take nothing."""

    def holds(self, draw: Draw) -> bool:
        """Whether there is as much, as far as this process knows."""


def level_of(draw: Draw, backlog_s: float, *, taken: bool) -> Level:
    """Return where a bucket stands that is full again in so many seconds, before or after the draw was taken."""
    bucket = draw.bucket
    free_s = bucket.refill_s - backlog_s
    wait_s = 0.0 if taken else draw.amount * bucket.unit_s - free_s
    remaining = max(0, floor((free_s + TOLERANCE_S) * bucket.refill_per_s))
    return Level(min(bucket.capacity, remaining), wait_s if wait_s > TOLERANCE_S else 0.0, max(0.0, backlog_s))


class MemoryBuckets:
    """Buckets of this process. There are `keys_max` at most; beyond that those untouched for longest are full again."""

    def __init__(self, *, keys_max: int = KEYS_MAX, clock: Callable[[], float] = time.monotonic) -> None:
        self._full_at_s: OrderedDict[str, float] = OrderedDict()
        self._keys_max, self._clock = keys_max, clock

    def __len__(self) -> int:
        return len(self._full_at_s)

    async def take(self, draws: Sequence[Draw]) -> list[Level]:
        return self.take_now(draws)

    def take_here(self, draw: Draw) -> Level:
        return self.spend(draw)

    def take_now(self, draws: Sequence[Draw]) -> list[Level]:
        levels = [self.peek(draw) for draw in draws]
        if not all(level.enough for level in levels):
            return levels
        return [self._move(draw, draw.amount) for draw in draws]

    def spend(self, draw: Draw) -> Level:
        # Each event that each subscriber gets comes by here.
        bucket = draw.bucket
        now_s = self._clock()
        backlog_s = max(0.0, self._full_at_s.get(draw.key, 0.0) - now_s)
        filled_s = backlog_s + draw.amount / bucket.refill_per_s
        if filled_s > bucket.capacity / bucket.refill_per_s + TOLERANCE_S:
            return level_of(draw, backlog_s, taken=False)
        self._keep(draw.key, filled_s, now_s)
        remaining = int(bucket.capacity - (filled_s - TOLERANCE_S) * bucket.refill_per_s)
        return Level(max(0, min(bucket.capacity, remaining)), 0.0, filled_s)

    def give_back(self, draw: Draw) -> None:
        kept, key = self._full_at_s, draw.key
        full_at_s = kept.get(key, 0.0) - draw.amount / draw.bucket.refill_per_s
        if full_at_s > self._clock():
            # What was taken a moment ago need not be moved to the end, nor others be forgotten, once more.
            kept[key] = full_at_s
        else:
            kept.pop(key, None)

    def peek(self, draw: Draw) -> Level:
        return level_of(draw, self._backlog_s(draw.key), taken=False)

    def holds(self, draw: Draw) -> bool:
        bucket = draw.bucket
        backlog_s = max(0.0, self._full_at_s.get(draw.key, 0.0) - self._clock())
        return backlog_s <= (bucket.capacity - draw.amount) / bucket.refill_per_s + TOLERANCE_S

    def set_backlog(self, key: str, backlog_s: float) -> None:
        """Learn from elsewhere in how many seconds the bucket is full."""
        self._keep(key, backlog_s, self._clock())

    def _backlog_s(self, key: str) -> float:
        return max(0.0, self._full_at_s.get(key, 0.0) - self._clock())

    def _move(self, draw: Draw, amount: int) -> Level:
        backlog_s = max(0.0, self._backlog_s(draw.key) + amount * draw.bucket.unit_s)
        self._keep(draw.key, backlog_s, self._clock())
        return level_of(draw, backlog_s, taken=True)

    def _keep(self, key: str, backlog_s: float, now_s: float) -> None:
        kept = self._full_at_s
        if backlog_s > 0:
            kept[key] = now_s + backlog_s
            kept.move_to_end(key)
        else:
            kept.pop(key, None)
        for _ in range(PURGED_AT_ONCE):
            oldest = next(iter(kept), None)
            if oldest is None or (kept[oldest] > now_s and len(kept) <= self._keys_max):
                break
            del kept[oldest]
