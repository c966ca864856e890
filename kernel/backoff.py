"""How long a supervisor waits before it tries again."""

from __future__ import annotations

import random

FIRST_DELAY_S = 0.05
DELAY_MAX_S = 5.0


class Backoff:
    """Delays that double up to a maximum, each drawn from its upper half so that many waiters do not return at once."""

    def __init__(self, *, first_s: float = FIRST_DELAY_S, maximum_s: float = DELAY_MAX_S) -> None:
        assert 0 < first_s <= maximum_s
        self._first_s, self._maximum_s = first_s, maximum_s
        self._next_s = first_s

    def next_delay_s(self) -> float:
        delay_s = self._next_s
        self._next_s = min(delay_s * 2, self._maximum_s)
        return random.uniform(delay_s / 2, delay_s)  # noqa: S311 -- spreading retries needs no secrecy.

    def reset(self) -> None:
        self._next_s = self._first_s
