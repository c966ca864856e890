"""A queue and an event for one event loop, as small as they can be: there are thousands of each.

asyncio's own hold four double-ended queues between them, two kilobytes and a half where mostly nobody waits.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A queue with one reader. It has no bound of its own: whoever fills it is stopped elsewhere."""

    __slots__ = ("_messages", "_reader")

    def __init__(self) -> None:
        self._messages: list[T] = []
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, message: T) -> None:
        self._messages.append(message)
        if self._reader and not self._reader.done():
            self._reader.set_result(None)

    def empty(self) -> bool:
        return not self._messages

    def take(self) -> T:
        """Return the next message, of which there is one."""
        return self._messages.pop(0)

    async def get(self) -> T:
        while not self._messages:
            assert self._reader is None, "there is one reader"
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._messages.pop(0)


class Gate:
    """An event that is set once, for those who wait for it; whoever comes later makes another."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] | None = []

    def set(self) -> None:
        waiting, self._waiting = self._waiting, None
        for future in waiting or ():
            if not future.done():
                future.set_result(None)

    async def wait(self) -> None:
        while self._waiting is not None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiting = self._waiting
            waiting.append(future)
            try:
                await future
            finally:
                waiting.remove(future)
