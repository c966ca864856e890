"""A Redis that is killed, cut off, hanging or not there yet: nothing is lost and the order is kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from subscriptions import backends, links
from tests.services import Service, ServiceUnavailable, start_redis
from tests.subscriptions.support import Reader, all_published, eventually, running, settings_for, take, write

STREAM = "prices"


class Restartable:
    """A Redis of our own at an address that stays the same."""

    def __init__(self) -> None:
        self._service: Service = start_redis()
        self.url = self._service.url

    def kill(self) -> None:
        self._service.kill()

    def start(self) -> None:
        parts = urlsplit(self.url)
        assert parts.password
        self._service = start_redis(parts.port)
        with redis.Redis.from_url(self._service.url) as client:
            client.config_set("requirepass", parts.password)

    def cut_subscribers(self) -> int:
        with redis.Redis.from_url(self.url) as client:
            return int(client.client_kill_filter(_type="pubsub"))

    def hang(self, seconds: float) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.execute_command(f"DEBUG SLEEP {seconds}")


@pytest.fixture
def server() -> Iterator[Restartable]:
    try:
        started = Restartable()
    except ServiceUnavailable as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
    yield started
    started._service.stop()


async def test_a_kill_and_a_restart_in_the_middle_of_delivery(database: str, server: Restartable) -> None:
    total = 400
    async with running(settings_for(server.url)) as system:
        readers = [await Reader(system.hub, STREAM).subscribed() for _ in range(3)]

        async def produce() -> None:
            for _ in range(total // 2):
                await write(STREAM, 2)
                await asyncio.sleep(0.004)

        producing = asyncio.create_task(produce())
        await readers[0].until(40)
        await asyncio.to_thread(server.kill)
        joined_without_redis = Reader(system.hub, STREAM, after=0)
        await asyncio.sleep(0.3)
        assert not producing.done()
        await asyncio.to_thread(server.start)
        await producing
        for reader in [*readers, joined_without_redis]:
            assert await reader.until(total) == list(range(1, total + 1))
        await write(STREAM)
        for reader in [*readers, joined_without_redis]:
            assert (await reader.until(total + 1))[-1] == total + 1
            await reader.stop()


async def test_quiet_subscriptions_outlive_a_restart(sqlite_database: str, server: Restartable) -> None:
    async with running(settings_for(server.url)) as system:
        readers = [await Reader(system.hub, f"order:{number}").subscribed() for number in range(20)]
        server.kill()
        server.start()
        for number, reader in enumerate(readers):
            await write(f"order:{number}")
            assert await reader.until(1) == [1]
            await reader.stop()


async def test_what_was_published_to_nobody_is_read_after_the_reconnect(
    sqlite_database: str, server: Restartable, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(settings_for(server.url)) as system:
        reader = await Reader(system.hub, STREAM).subscribed()
        backend = system.broadcast._backend
        assert isinstance(backend, backends.RedisBackend)
        held = asyncio.Event()
        connect = backend._serve_connection

        async def connect_later(*arguments: object) -> None:
            await held.wait()
            await connect(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(backend, "_serve_connection", connect_later)
        assert server.cut_subscribers()
        await write(STREAM, 3)
        await eventually(all_published)
        assert reader.positions == []
        held.set()
        assert await reader.until(3) == [1, 2, 3]
        await reader.stop()


async def test_connections_that_are_cut_again_and_again(sqlite_database: str, server: Restartable) -> None:
    async with running(settings_for(server.url)) as system:
        reader = await Reader(system.hub, STREAM).subscribed()
        for _ in range(15):
            await write(STREAM, 3)
            await asyncio.to_thread(server.cut_subscribers)
            await write(STREAM, 3)
            await asyncio.sleep(0.03)
        assert await reader.until(90) == list(range(1, 91))
        await reader.stop()


async def test_a_server_that_starts_before_its_redis(
    sqlite_database: str, server: Restartable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "CONFIRMATION_TIMEOUT_S", 0.2)
    server.kill()
    await write(STREAM, 2)
    async with running(settings_for(server.url)) as system:
        assert await take(system.hub, STREAM, 2, after=0) == [1, 2]
        reader = await Reader(system.hub, STREAM).subscribed()
        await write(STREAM)
        await asyncio.sleep(0.1)
        assert reader.positions == []
        server.start()
        assert await reader.until(1) == [3]
        await write(STREAM)
        assert await reader.until(2) == [3, 4]
        await reader.stop()


async def test_without_redis_the_check_still_delivers(
    sqlite_database: str, server: Restartable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "CONFIRMATION_TIMEOUT_S", 0.1)
    server.kill()
    async with running(settings_for(server.url, subscription_check_interval_ms=50)) as system:
        reader = await Reader(system.hub, STREAM).subscribed()
        await write(STREAM, 2)
        assert await reader.until(2) == [1, 2]
        await reader.stop()
    server.start()


async def test_a_redis_that_hangs_is_left_and_found_again(
    sqlite_database: str, server: Restartable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "HEARTBEAT_INTERVAL_S", 0.1)
    async with running(settings_for(server.url)) as system:
        reader = await Reader(system.hub, STREAM).subscribed()
        backend = system.broadcast._backend
        assert isinstance(backend, backends.RedisBackend)
        first = backend._connection
        hanging = asyncio.create_task(asyncio.to_thread(server.hang, 1.5))
        await eventually(lambda: backend._connection is not first)
        await write(STREAM, 2)
        await hanging
        assert await reader.until(2) == [1, 2]
        assert backend._connection is not first
        await reader.stop()


async def test_an_idle_connection_is_kept(
    sqlite_database: str, server: Restartable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "HEARTBEAT_INTERVAL_S", 0.02)
    async with running(settings_for(server.url)) as system:
        backend = system.broadcast._backend
        assert isinstance(backend, backends.RedisBackend)
        await eventually(lambda: backend._connection is not None)
        first = backend._connection
        # Redis answers a ping in another form once there are subscriptions.
        await asyncio.sleep(0.2)
        reader = await Reader(system.hub, STREAM).subscribed()
        await asyncio.sleep(0.2)
        assert backend._connection is first
        await reader.stop()
