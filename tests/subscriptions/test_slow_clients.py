"""Clients that are slow on purpose are dropped in time, and nobody waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
import websockets

from tests.subscriptions.serving import COUNTED, Served, connecting, services_of, serving
from tests.subscriptions.support import eventually
from tests.subscriptions.test_slow_readers import Deaf

TIMES: dict[str, Any] = {"request_head_timeout_s": 0.4, "request_body_timeout_s": 0.6, "slow_reader_patience_s": 0.6}
CROWD = 100
# Fewer answers than this say nothing of how others are served.
ANSWERS_MIN = 20
FLOODERS = 20
POST = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
BODY = b'{"query": "{ hello }"}'
ASKED = POST + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
# Each begins as it is written, and goes on with the rest byte by byte.
SLOW = {
    "idle": (b"", b""),
    "slow head": (b"POST /gr", b"aphql HTTP/1.1\r\n" + b"x: y\r\n" * 1_000),
    "slow body": (POST + b"content-length: 5000\r\n\r\n{", b" " * 5_000),
    "slow chunks": (POST + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 1_000),
    "line breaks": (b"\r\n", b"\r\n" * 1_000),
    "line breaks behind a request": (ASKED, b"\r\n" * 1_000),
    "a slow second request": (ASKED, ASKED[:-1] * 50),
    "a body after its answer": (POST + b"content-length: 900000\r\n\r\n" + b" " * 300_000, b" " * 600_000),
}
DROPPED_WITHIN_S = 45.0


@pytest.fixture
async def address() -> AsyncIterator[Served]:
    async with serving(services_of(**TIMES)) as served:
        yield served


async def trickle(address: str, first: bytes, rest: bytes, *, every_s: float = 0.02) -> bytes:
    """Speak as slowly as that until the server ends the connection, and return what it said."""
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))

    async def speak() -> None:
        writer.write(first)
        for each in rest:
            await asyncio.sleep(every_s)
            writer.write(bytes([each]))

    speaking = asyncio.create_task(speak())
    heard = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(DROPPED_WITHIN_S):
            while chunk := await reader.read(65_536):
                heard += chunk
    speaking.cancel()
    writer.transport.abort()
    return heard


@asynccontextmanager
async def customers(address: str) -> AsyncIterator[list[bool]]:
    """Ask all the time beside what happens; the value tells of each question whether it was answered."""
    answered: list[bool] = []
    done = asyncio.Event()

    async def ask(client: httpx.AsyncClient) -> None:
        while not done.is_set():
            try:
                answer = await client.post("/graphql", json={"query": "{ hello }"})
                answered.append(answer.json() == {"data": {"hello": "hello world"}})
            except httpx.TransportError:
                answered.append(False)
            await asyncio.sleep(0.01)

    async with httpx.AsyncClient(base_url=f"http://{address}", timeout=60) as client:
        asking = [asyncio.create_task(ask(client)) for _ in range(4)]
        try:
            yield answered
        finally:
            done.set()
            await asyncio.gather(*asking)


class TestEach:
    @pytest.mark.parametrize("kind", SLOW)
    async def test_is_dropped(self, address: Served, kind: str) -> None:
        heard = await trickle(address, *SLOW[kind])
        if kind in {"slow head", "slow body", "slow chunks"}:
            assert heard.startswith(b"HTTP/1.1 408 ")
        if kind.startswith(("line breaks behind", "a slow second")):
            assert b"200 OK" in heard
        if kind == "a body after its answer":
            assert b"413 " in heard
            assert b"BODY_TOO_LARGE" in heard
        await eventually(lambda: address.connections == 0)

    async def test_a_head_without_end_is_refused(self) -> None:
        async with serving(services_of(request_head_size_max_bytes=2_048)) as address:
            heard = await trickle(address, b"GET / HTTP/1.1\r\n" + b"x: " + b"y" * 10_000, b"")
            assert heard.startswith(b"HTTP/1.1 431 ")
            assert b"200 OK" in await trickle(address, ASKED + POST[:-2] + b"\r\nconnection: close\r\n\r\n", b"")

    async def test_who_does_not_read_an_answer_is_dropped(self, address: Served) -> None:
        body = b'{"query": "{ echo(times: 2000000) }"}'
        deaf = Deaf(address, POST + b"content-length: %d\r\n\r\n" % len(body) + body)
        await eventually(lambda: address.connections == 1)
        await eventually(lambda: address.connections == 0)
        deaf._socket.close()

    async def test_an_operation_may_take_longer_than_its_request(self, address: Served) -> None:
        COUNTED.clear()
        async with httpx.AsyncClient(base_url=f"http://{address}") as client:
            for _ in range(2):
                answer = await client.post("/graphql", json={"query": "mutation { count(waitsS: 1) }"})
                assert answer.status_code == 200

    async def test_streams_and_sockets_stay(self, address: Served) -> None:
        async with (
            connecting(address) as socket,
            httpx.AsyncClient(base_url=f"http://{address}", timeout=60) as client,
            client.stream(
                "POST",
                "/graphql",
                json={"query": "subscription { ticks(to: 3, everyS: 0.5) }"},
                headers={"accept": "text/event-stream"},
            ) as events,
        ):
            await socket.initialise()
            assert b"".join([chunk async for chunk in events.aiter_bytes()]).count(b"event: next") == 3
            await socket.subscribe("{ hello }")
            assert await socket.data() == {"hello": "hello world"}


async def test_a_crowd_of_them_is_dropped_while_others_are_served(address: Served) -> None:
    kinds = ("idle", "slow head", "slow body")
    async with customers(address) as answered:
        while len(answered) <= ANSWERS_MIN:
            crowd = [trickle(address, *SLOW[kind], every_s=0.2) for kind in kinds for _ in range(CROWD)]
            await asyncio.gather(*crowd)
    assert all(answered)
    await eventually(lambda: address.connections == 0)


async def test_flooding_sockets_are_closed_while_others_are_served() -> None:
    async def flood(client: Any) -> int:
        with suppress(websockets.ConnectionClosed):
            for number in range(5_000):
                await client.subscribe("{ hello }", id=str(number))
        return int((await client.closed())[0])

    async with serving(services_of()) as address, customers(address) as answered:
        while len(answered) <= ANSWERS_MIN:
            async with AsyncExitStack() as stack:
                flooders = [
                    await stack.enter_async_context(connecting(address, max_queue=None)) for _ in range(FLOODERS)
                ]
                for each in flooders:
                    await each.initialise()
                assert await asyncio.gather(*map(flood, flooders)) == [4429] * FLOODERS
    assert sum(answered) >= 0.99 * len(answered)
