"""Waking relays of other processes: a message without content on one channel of Redis.

Every process forwards its commits here, for the workers and relays of others. A wake says which process it comes from,
since what listens in that one has heard of the commit without Redis. Losing a wake costs one poll interval, so nothing
is retried for its sake.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from domain.events import signals
from domain.events.telling import telling
from kernel.backoff import Backoff
from kernel.lean_redis import LeanRedis
from kernel.logs import get_logger
from kernel.pubsub import ShardedPublisher
from kernel.settings import Settings
from kernel.tasks import spawn

log = get_logger(__name__)

WAKE_CHANNEL = "youka:wake"
REDIS_TIMEOUT_S = 5.0
HEARTBEAT_INTERVAL_S = 15
# One wake tells of all commits before it, so those that follow each other closely share one.
PAUSE_S = 0.025
# How this process is called in its wakes.
ORIGIN = uuid4().hex.encode()


class RedisPublisher:
    """Publishes straight to Redis, for relays of processes that have no hub of their own.

    Wakes are not sharded: a cluster passes an ordinary message on to all of its nodes, whichever a process hears.
    """

    def __init__(self, url: str, *, sharded: bool = False) -> None:
        self._client = LeanRedis(connect(url))
        self._shards = ShardedPublisher(url) if sharded else None

    async def publish(self, channel: str, message: Any) -> None:
        await (self._shards or self._client).publish(channel, message)

    async def publish_all(self, messages: Sequence[tuple[str, str]]) -> None:
        if self._shards is None:
            await self._client.publish_all(messages)
            return
        for channel, message in messages:
            await self._shards.publish(channel, message)

    async def close(self) -> None:
        await self._client.aclose()
        if self._shards:
            await self._shards.close()


def connect(url: str) -> Redis:
    """Return a client that fails within REDIS_TIMEOUT_S and tries once more, as a connection may have grown stale."""
    return Redis.from_url(
        url,
        protocol=2,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),
        health_check_interval=HEARTBEAT_INTERVAL_S,
    )


async def listen_for_wakes(url: str, wake: Callable[[], None]) -> None:
    """Call `wake` for each wake of another process, and after each reconnect; ends only when it is cancelled."""
    backoff = Backoff()
    while True:
        try:
            async with connect(url) as client, client.pubsub() as subscription:
                await subscription.subscribe(WAKE_CHANNEL)
                while True:
                    message = await subscription.get_message(timeout=HEARTBEAT_INTERVAL_S)
                    backoff.reset()
                    if message and message["data"] != ORIGIN:
                        wake()
        except Exception as error:
            log.warning("wakes.lost", error=type(error).__name__)
            await asyncio.sleep(backoff.next_delay_s())


@asynccontextmanager
async def forwarding_wakes(url: str) -> AsyncIterator[None]:
    """Wake the relays of other processes after each commit of this one. Without Redis their polling has to do."""
    if not url:
        yield
        return
    publisher = RedisPublisher(url)
    leaving = asyncio.Event()
    with signals.listening() as committed:
        forwarding = spawn(_forward(publisher, committed, leaving), name="wakes")
        try:
            yield
        finally:
            # Not cancelled: the last commit of a command is the one whose wake would be cut off.
            leaving.set()
            committed.set()
            await forwarding
            await publisher.close()


@asynccontextmanager
async def telling_by_redis(settings: Settings) -> AsyncIterator[None]:
    """Tell other processes what this one changes. Without Redis they learn of its events, and of the rest by age."""
    if not settings.redis_url:
        yield
        return
    publisher = RedisPublisher(settings.redis_url, sharded=settings.redis_sharded_pubsub)
    try:
        async with telling(publisher.publish):
            yield
    finally:
        await publisher.close()


async def _forward(publisher: RedisPublisher, committed: asyncio.Event, leaving: asyncio.Event) -> None:
    while not leaving.is_set():
        await committed.wait()
        committed.clear()
        await _wake(publisher)
        if not leaving.is_set():
            await asyncio.sleep(PAUSE_S)


async def _wake(publisher: RedisPublisher) -> None:
    try:
        await publisher.publish(WAKE_CHANNEL, ORIGIN)
    except Exception as error:
        log.warning("wakes.not_sent", error=type(error).__name__)
