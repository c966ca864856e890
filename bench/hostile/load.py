"""Hostile connections, and the customers beside them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

POST = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
# Each begins with the first part, and sends the rest byte by byte.
SLOW = {
    "slow heads": (b"POST /gr", b"aphql HTTP/1.1\r\nx: " + b"y" * 1_000),
    "slow bodies": (POST + b"content-length: 5000\r\n\r\n{", b" " * 5_000),
    "idle sockets": (b"", b""),
}
FLOODING = "flooding sockets"
EVERY_S = 1.0
GIVE_UP_AFTER_S = 40.0
PAUSE_S = 0.02
ASKED = "{ stations(near: { latitude: 31.2304, longitude: 121.4737 }, first: 3) { edges { node { name } } } }"
SUBPROTOCOL = Subprotocol("graphql-transport-ws")


@dataclass
class Served:
    """What the customers beside a crowd have got."""

    latencies_ms: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def share(self) -> float:
        """How many of them were served, from 0 to 1."""
        asked = len(self.latencies_ms) + self.failed
        return len(self.latencies_ms) / asked if asked else 0.0


@dataclass(frozen=True)
class Result:
    """How long each hostile connection lasted; those that outlasted the run are `left`."""

    name: str
    lasted_s: list[float]
    left: int
    served: Served


async def crowd(name: str, url: str, *, count: int) -> Result:
    """Let so many connect at once, and wait until each is dropped."""
    host, _, port = url.removeprefix("http://").partition(":")
    async with customers(url) as served:
        each: list[Coroutine[Any, Any, float | None]] = [
            flood(url) if name == FLOODING else trickle(host, int(port), *SLOW[name]) for _ in range(count)
        ]
        lasted = await asyncio.gather(*each)
    ended = [each_s for each_s in lasted if each_s is not None]
    return Result(name, ended, count - len(ended), served)


async def trickle(host: str, port: int, first: bytes, rest: bytes) -> float | None:
    """Speak slowly until the server ends the connection; return after how many seconds, None where it does not."""
    reader, writer = await asyncio.open_connection(host, port)
    begun = time.monotonic()

    async def speak() -> None:
        with suppress(ConnectionError):
            writer.write(first)
            for each in rest:
                await asyncio.sleep(EVERY_S)
                writer.write(bytes([each]))

    speaking = asyncio.create_task(speak())
    try:
        async with asyncio.timeout(GIVE_UP_AFTER_S):
            with suppress(ConnectionError):
                while await reader.read(4_096):
                    pass
        return time.monotonic() - begun
    except TimeoutError:
        return None
    finally:
        speaking.cancel()
        writer.transport.abort()


async def flood(url: str) -> float | None:
    """Send frames as fast as they go until the server ends the connection, as `trickle`."""
    address = f"ws{url.removeprefix('http')}/graphql"
    async with connect(
        address, subprotocols=[SUBPROTOCOL], proxy=None, ping_interval=None, open_timeout=GIVE_UP_AFTER_S
    ) as socket:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(GIVE_UP_AFTER_S):
                await socket.send(json.dumps({"type": "connection_init"}))
                while True:
                    await socket.send('{"type": "ping"}')
                    # A send does not wait as long as there is room, and the others here want their turn.
                    await asyncio.sleep(0)
        except ConnectionClosed:
            return time.monotonic() - begun
        except TimeoutError:
            return None


@asynccontextmanager
async def customers(url: str, *, count: int = 4) -> AsyncIterator[Served]:
    """Ask all the time beside what happens inside."""
    served, done = Served(), asyncio.Event()
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as http:
        asking = [asyncio.create_task(_ask(http, served, done)) for _ in range(count)]
        try:
            yield served
        finally:
            done.set()
            await asyncio.gather(*asking)


async def _ask(http: httpx.AsyncClient, served: Served, done: asyncio.Event) -> None:
    while not done.is_set():
        begun = time.monotonic()
        try:
            body = (await http.post("/graphql", json={"query": ASKED})).json()
        except (httpx.TransportError, ValueError):
            body = {}
        if body.get("data") and not body.get("errors"):
            served.latencies_ms.append((time.monotonic() - begun) * 1_000)
        else:
            served.failed += 1
        await asyncio.sleep(PAUSE_S)
