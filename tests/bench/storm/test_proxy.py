"""The proxy's weather, between a client and a server that sends everything back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.storm.proxy import Mode, Proxy
from tests.services import LOOPBACK, find_free_port

SOON_S = 30.0
SILENCE_S = 0.15


class Echo:
    """Sends back what it hears, and remembers it."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.ended = asyncio.Event()
        self._hearing = asyncio.Condition()
        self.port = 0
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1_024):
                async with self._hearing:
                    self.heard += chunk
                    self._hearing.notify_all()
                writer.write(chunk)
        except OSError:
            pass
        finally:
            self.ended.set()
            writer.close()

    async def has_heard(self, text: bytes) -> None:
        async with asyncio.timeout(SOON_S), self._hearing:
            await self._hearing.wait_for(lambda: text in self.heard)


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer

    def say(self, text: bytes) -> None:
        self._writer.write(text)

    async def hears(self, text: bytes) -> None:
        async with asyncio.timeout(SOON_S):
            assert await self.reader.readexactly(len(text)) == text

    async def hears_nothing(self) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SILENCE_S):
                pytest.fail(f"it heard {await self.reader.read(1_024)!r}")

    async def hears_the_end(self) -> None:
        async with asyncio.timeout(SOON_S):
            with contextlib.suppress(ConnectionResetError):
                assert await self.reader.read() == b""

    def leave(self) -> None:
        self._writer.close()


@asynccontextmanager
async def connected(proxy: Proxy) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_connection(LOOPBACK, proxy.port))
    try:
        yield client
    finally:
        client.leave()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    await echo.listen()
    yield echo
    echo.close()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[Proxy]:
    proxy = Proxy(find_free_port(), echo.port)
    await proxy.listen()
    yield proxy
    await proxy.close()


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[Client]:
    """A client whose connection carries already."""
    async with connected(proxy) as client:
        client.say(b"before")
        await client.hears(b"before")
        yield client


async def works_anew(proxy: Proxy) -> None:
    async with connected(proxy) as healed:
        healed.say(b"after")
        await healed.hears(b"after")


async def test_clear_weather_carries_large_messages_and_the_end(proxy: Proxy, echo: Echo, client: Client) -> None:
    text = bytes(range(256)) * 4_000
    client.say(text)
    await client.hears(text)
    client.leave()
    async with asyncio.timeout(SOON_S):
        await echo.ended.wait()


async def test_a_server_that_is_gone_ends_the_connection(proxy: Proxy, echo: Echo) -> None:
    echo.close()
    async with connected(proxy) as client:
        await client.hears_the_end()


async def test_a_cut_resets_what_is_open_and_refuses_what_is_new(proxy: Proxy, echo: Echo, client: Client) -> None:
    await proxy.set(Mode.CUT)
    await client.hears_the_end()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(LOOPBACK, proxy.port)
    await proxy.set(Mode.CLEAR)
    await works_anew(proxy)


async def test_a_delay_is_added_each_way_and_keeps_the_order(proxy: Proxy, client: Client) -> None:
    await proxy.set(Mode.DELAY, delay_ms=60)
    begun = time.monotonic()
    for number in range(10):
        client.say(bytes([number]))
        # Bytes that are sent together would arrive together, whatever the proxy does with its order.
        await asyncio.sleep(0)
    await client.hears(bytes(range(10)))
    assert time.monotonic() - begun >= 0.12
    await proxy.set(Mode.CLEAR)
    client.say(b"now")
    await client.hears(b"now")


async def test_a_stall_holds_everything_and_loses_nothing(proxy: Proxy, echo: Echo, client: Client) -> None:
    await proxy.set(Mode.STALL)
    async with connected(proxy) as late:
        client.say(b"held")
        late.say(b"late")
        await client.hears_nothing()
        assert echo.heard == b"before"
        await proxy.set(Mode.CLEAR)
        await client.hears(b"held")
        await late.hears(b"late")


async def test_dropped_replies_leave_the_server_hearing(proxy: Proxy, echo: Echo, client: Client) -> None:
    await proxy.set(Mode.DROP_REPLIES)
    client.say(b"COMMIT")
    await echo.has_heard(b"COMMIT")
    await client.hears_nothing()
    await proxy.set(Mode.CLEAR)
    # The stream has a hole, so it stays silent; a new connection works.
    client.say(b"again")
    await echo.has_heard(b"again")
    await client.hears_nothing()
    await works_anew(proxy)
    client.leave()
    async with asyncio.timeout(SOON_S):
        await echo.ended.wait()


async def test_swallowed_packets_never_arrive_nor_does_the_end(proxy: Proxy, echo: Echo, client: Client) -> None:
    await proxy.set(Mode.SWALLOW)
    client.say(b"swallowed")
    await client.hears_nothing()
    await proxy.set(Mode.CLEAR)
    client.say(b"too")
    client.leave()
    await works_anew(proxy)
    assert echo.heard == b"beforeafter"
    assert not echo.ended.is_set()


async def test_a_connection_that_was_idle_in_a_loss_is_whole(proxy: Proxy, client: Client) -> None:
    await proxy.set(Mode.SWALLOW)
    await proxy.set(Mode.DROP_REPLIES)
    await proxy.set(Mode.CLEAR)
    client.say(b"after")
    await client.hears(b"after")
