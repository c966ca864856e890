"""How many sign-ins are under way at a time, at which pace they begin, and how many may wait for that."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

from endpoints.oauth_requests import TemporarilyUnavailable


class Turns:
    """Lets a few sign-ins use the database at a time, so that a rush of them leaves connections for everybody else."""

    def __init__(self, concurrent_max: int, waiting_max: int) -> None:
        self._free = asyncio.Semaphore(concurrent_max)
        self._waiting, self._waiting_max = 0, waiting_max

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a turn. Raises TemporarilyUnavailable where too many wait already."""
        if self._waiting >= self._waiting_max:
            raise TemporarilyUnavailable
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()


class Pace:
    """Lets requests begin one after the other at a steady pace: a rush of them leaves the loop to everybody else.

    After a pause a few may begin at once. They begin in the order in which they came.
    """

    def __init__(self, per_s_max: float, burst_max: int, waiting_max: int) -> None:
        self._gap_s, self._burst_s = 1 / per_s_max, (burst_max - 1) / per_s_max
        self._waiting_max = waiting_max
        self._line: deque[asyncio.Future[None]] = deque()
        self._next_s = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    async def step(self) -> None:
        """Wait for one's place. Raises TemporarilyUnavailable where too many wait already.

        Whoever is cancelled while waiting leaves the line, and those behind move up.
        """
        if not self._line and self._may_begin():
            return
        if len(self._line) >= self._waiting_max:
            raise TemporarilyUnavailable
        place = asyncio.get_running_loop().create_future()
        self._line.append(place)
        self._set_timer()
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self.step_back()
            elif place in self._line:
                self._line.remove(place)
            raise

    def step_back(self) -> None:
        """Give a place back with which nothing was done, to who waits longest."""
        self._next_s -= self._gap_s
        self._begin()

    def _may_begin(self) -> bool:
        now_s = monotonic()
        begins_s = max(self._next_s, now_s - self._burst_s)
        if begins_s > now_s:
            return False
        self._next_s = begins_s + self._gap_s
        return True

    def _begin(self) -> None:
        """Let those begin whose time has come."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._line and (self._line[0].done() or self._may_begin()):
            place = self._line.popleft()
            if not place.done():
                place.set_result(None)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._line and self._timer is None:
            self._timer = later(max(0.0, self._next_s - monotonic()), self._begin)


def later(delay_s: float, work: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(delay_s, work)
