"""The backends by themselves: when `subscribe` returns, what is bounded, and what is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis.asyncio
from broadcaster import Broadcast, Event

from kernel.settings import Settings
from subscriptions import links
from subscriptions.backends import MemoryBackend, RedisBackend
from subscriptions.broadcasting import create_broadcast
from subscriptions.links import RESYNC
from tests.subscriptions.support import eventually

DELAY_S = 0.1


@asynccontextmanager
async def slow_way_to(url: str) -> AsyncIterator[str]:
    """An address from which every byte takes DELAY_S to reach Redis; answers come at once."""
    parts = urlsplit(url)

    serving: set[asyncio.Task[None]] = set()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                await asyncio.sleep(delay_s)
                writer.write(data)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        serving.add(task)
        redis_reader, redis_writer = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.gather(forward(reader, redis_writer, DELAY_S), forward(redis_reader, writer, 0))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield urlunsplit(parts._replace(netloc=f":{parts.password or ''}@127.0.0.1:{port}"))
    await asyncio.gather(*serving)


@asynccontextmanager
async def connected(backend: RedisBackend) -> AsyncIterator[RedisBackend]:
    await backend.connect()
    await eventually(lambda: backend._connection is not None)
    try:
        yield backend
    finally:
        await backend.disconnect()


async def next_of(backend: RedisBackend | MemoryBackend) -> Event:
    async with asyncio.timeout(30):
        return await backend.next_published()


class TestRedis:
    async def test_subscribe_returns_once_redis_has_confirmed(self, redis_url: str) -> None:
        async with (
            slow_way_to(redis_url) as slow_url,
            connected(RedisBackend(slow_url)) as backend,
            redis.asyncio.Redis.from_url(redis_url) as client,
        ):
            await backend.subscribe("a")
            # Straight to Redis: this message overtakes whatever is still under way.
            assert await client.publish("a", "first") == 1
            event = await next_of(backend)
            assert (event.channel, event.message) == ("a", "first")

    async def test_a_channel_left_and_joined_again_waits_for_the_confirmation_that_counts(self, redis_url: str) -> None:
        async with (
            slow_way_to(redis_url) as slow_url,
            connected(RedisBackend(slow_url)) as backend,
            redis.asyncio.Redis.from_url(redis_url) as client,
        ):
            first = asyncio.create_task(backend.subscribe("a"))
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await backend.unsubscribe("a")
            await backend.subscribe("a")
            assert await client.publish("a", "first") == 1
            assert (await next_of(backend)).message == "first"

    async def test_without_a_confirmation_it_returns_and_resyncs_later(
        self, redis_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(links, "CONFIRMATION_TIMEOUT_S", DELAY_S / 4)
        async with slow_way_to(redis_url) as slow_url, connected(RedisBackend(slow_url)) as backend:
            await backend.subscribe("a")
            event = await next_of(backend)
            assert (event.channel, event.message) == ("a", RESYNC)

    async def test_many_channels_at_once(self, redis_url: str) -> None:
        names = [f"order:{number}" for number in range(1_200)]
        async with connected(RedisBackend(redis_url)) as backend:
            await asyncio.gather(*(backend.subscribe(name) for name in names))
            assert backend._connection
            assert backend._connection._writer
            backend._connection._writer.transport.abort()
            async with redis.asyncio.Redis.from_url(redis_url) as client:
                resynced = {(await next_of(backend)).channel for _ in names}
                assert resynced == set(names)
                assert await client.publish(names[-1], "x") == 1
            assert (await next_of(backend)).message == "x"

    async def test_a_channel_that_was_left_is_silent(self, redis_url: str) -> None:
        async with connected(RedisBackend(redis_url)) as backend:
            await backend.subscribe("a")
            await backend.subscribe("b")
            await backend.unsubscribe("a")
            await backend.publish("a", "unheard")
            await backend.publish("b", "油")
            event = await next_of(backend)
            assert (event.channel, event.message) == ("b", "油")
            assert backend._owed == {}

    async def test_publishing_without_redis_raises(self, free_port: int) -> None:
        backend = RedisBackend(f"redis://127.0.0.1:{free_port}/0")
        await backend.connect()
        with pytest.raises(redis.exceptions.RedisError):
            await backend.publish("a", "x")
        await backend.disconnect()


class TestMemory:
    async def test_a_full_queue_makes_the_publisher_wait(self) -> None:
        backend = MemoryBackend(messages_queued_max=2)
        await backend.connect()
        await backend.subscribe("a")
        publishing = asyncio.create_task(_publish(backend, 5))
        await asyncio.sleep(0.02)
        assert not publishing.done()
        assert [(await next_of(backend)).message for _ in range(5)] == ["0", "1", "2", "3", "4"]
        await publishing

    async def test_what_nobody_wants_is_not_kept(self) -> None:
        backend = MemoryBackend(messages_queued_max=1)
        await backend.connect()
        async with asyncio.timeout(30):
            await _publish(backend, 5)
        await backend.subscribe("a")
        await backend.unsubscribe("a")
        async with asyncio.timeout(30):
            await _publish(backend, 5)
        await backend.disconnect()


async def _publish(backend: MemoryBackend, count: int) -> None:
    for number in range(count):
        await backend.publish("a", str(number))


@pytest.mark.parametrize(("url", "kind"), [("", MemoryBackend), ("redis://127.0.0.1:1/0", RedisBackend)])
def test_the_settings_choose_the_backend(url: str, kind: type[object]) -> None:
    broadcast = create_broadcast(Settings(redis_url=url))
    assert isinstance(broadcast, Broadcast)
    assert type(broadcast._backend) is kind
