"""What carries messages between processes, behind the broadcaster's own interface.

The broadcaster's Redis backend delivers nothing to its first subscriber, dies silently when Redis restarts and has no
bounds. These backends return from `subscribe` once the subscription is confirmed, survive restarts, and say RESYNC on
every channel where messages may have been lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from broadcaster import Event
from broadcaster._backends.base import BroadcastBackend

from kernel.lean_redis import LeanRedis
from kernel.pubsub import single
from subscriptions.links import Link

MESSAGES_QUEUED_MAX = 1_024


class MemoryBackend(BroadcastBackend):
    """Within one process. A publisher waits while the queue is full."""

    def __init__(self, *, messages_queued_max: int = MESSAGES_QUEUED_MAX) -> None:
        self.channels: set[str] = set()
        self._arrived: asyncio.Queue[Event] = asyncio.Queue(messages_queued_max)

    async def connect(self) -> None:
        await asyncio.sleep(0)

    async def disconnect(self) -> None:
        await asyncio.sleep(0)

    async def subscribe(self, group: str) -> None:
        # Yielding here shows the races that a network shows, so that no test passes only because nothing waited.
        await asyncio.sleep(0)
        self.channels.add(group)

    async def unsubscribe(self, group: str) -> None:
        await asyncio.sleep(0)
        self.channels.discard(group)

    async def publish(self, channel: str, message: Any) -> None:
        await asyncio.sleep(0)
        if channel in self.channels:
            await self._arrived.put(Event(channel, message))

    async def next_published(self) -> Event:
        return await self._arrived.get()


class RedisBackend(Link, BroadcastBackend):
    """Redis publish/subscribe over one connection that is watched, and replaced when it is lost."""

    def __init__(self, url: str, *, messages_queued_max: int = MESSAGES_QUEUED_MAX) -> None:
        self._client = single(url)
        self._out = LeanRedis(self._client)
        super().__init__(self._client.connection_pool, asyncio.Queue(messages_queued_max))

    async def connect(self) -> None:
        """Begin to connect. Redis may be down: the server starts all the same and hears of it when it is up."""
        self.open()

    async def disconnect(self) -> None:
        await self.close()
        await self._out.aclose()

    async def publish(self, channel: str, message: Any) -> None:
        """Hand one message to Redis. Raises redis.exceptions.RedisError where Redis did not take it."""
        await self._out.publish(channel, message)

    async def publish_all(self, messages: Sequence[tuple[str, str]]) -> None:
        """Hand messages with their channels to Redis, in their order. Raises redis.exceptions.RedisError."""
        await self._out.publish_all(messages)

    async def next_published(self) -> Event:
        return await self._arrived.get()
