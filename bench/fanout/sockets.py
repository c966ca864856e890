"""The clients: as little as a WebSocket client can be, so that thousands of them keep up with any server."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from array import array
from collections.abc import Sequence
from typing import cast

import orjson

from bench.fanout.wire import DOCUMENT, FIRST_MILLIYUAN
from bench.processes import HOST

# RFC 6455, section 5.2.
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
LENGTH_16_BITS, LENGTH_64_BITS = 126, 127
AMOUNT = b'"milliyuan":'
CONNECTING_AT_ONCE = 100
CONNECT_WITHIN_S = 30.0


class ClientFailed(RuntimeError):
    """A server did not accept a client, ended it, or told it something that it had not asked for."""


class Counts:
    """What all sockets have received. `published` holds when each event was published, by its number."""

    def __init__(self) -> None:
        self.published: dict[int, float] = {}
        self.latencies_s = array("d")
        self.received = 0
        self.last_at = 0.0
        self.failure: str | None = None

    def begin(self) -> None:
        self.latencies_s = array("d")
        self.received = 0


class Socket(asyncio.Protocol):
    def __init__(self, port: int, counts: Counts) -> None:
        self._port, self._counts = port, counts
        self._rest = b""
        self._open = False
        self.subscribed = asyncio.get_running_loop().create_future()
        self.deliveries = 0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            "GET /graphql HTTP/1.1",
            f"Host: {HOST}:{self._port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: graphql-transport-ws",
            "\r\n",
        )
        self.transport.write("\r\n".join(lines).encode())

    def connection_lost(self, error: Exception | None) -> None:
        if not self._counts.failure:
            self._fail(f"a connection was lost: {error}")

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        at = 0
        if not self._open:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._rest = data
                return
            if not data.startswith(b"HTTP/1.1 101"):
                self._fail(f"the handshake was answered by {data[:200]!r}")
                return
            self._open = True
            at = end + 4
            self._send({"type": "connection_init"})
        available = len(data)
        while available - at >= 2:
            size, start = data[at + 1], at + 2
            if size == LENGTH_16_BITS:
                size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif size == LENGTH_64_BITS:
                size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if start + size > available:
                break
            self._take(data[at] & 15, data, start, start + size)
            at = start + size
        self._rest = data[at:]

    def _take(self, opcode: int, data: bytes, start: int, stop: int) -> None:
        if opcode == TEXT:
            place = data.find(AMOUNT, start, stop)
            if place < 0:
                self._converse(orjson.loads(data[start:stop]))
                return
            counts, now = self._counts, time.perf_counter()
            first = place + len(AMOUNT)
            last = first
            while 48 <= data[last] <= 57:
                last += 1
            counts.latencies_s.append(now - counts.published[int(data[first:last]) - FIRST_MILLIYUAN])
            counts.received += 1
            counts.last_at = now
            self.deliveries += 1
        elif opcode == PING:
            self._frame(PONG, data[start:stop])
        elif opcode == CLOSE:
            self._fail(f"the server closed a connection: {data[start:stop]!r}")

    def _converse(self, message: dict[str, object]) -> None:
        match message["type"]:
            case "connection_ack":
                self._send({"id": "1", "type": "subscribe", "payload": {"query": DOCUMENT}})
                self.subscribed.set_result(None)
            case "ping":
                self._send({"type": "pong"})
            case "pong":
                pass
            case _:
                self._fail(f"a client was told {message}")

    def _send(self, message: dict[str, object]) -> None:
        self._frame(TEXT, orjson.dumps(message))

    def _frame(self, opcode: int, payload: bytes) -> None:
        """Send a frame that is masked with zeros, which leaves it as it is."""
        size = len(payload)
        length = bytes([0x80 | size]) if size < LENGTH_16_BITS else b"\xfe" + size.to_bytes(2, "big")
        self.transport.write(bytes([0x80 | opcode]) + length + bytes(4) + payload)

    def _fail(self, reason: str) -> None:
        self._counts.failure = self._counts.failure or reason
        if not self.subscribed.done():
            self.subscribed.set_exception(ClientFailed(reason))


async def connect(ports: Sequence[int], count: int, counts: Counts) -> list[Socket]:
    """Open that many sockets, in turns to the ports, and return them subscribed. Raises ClientFailed."""
    loop = asyncio.get_running_loop()
    sockets: list[Socket] = []
    for begin in range(0, count, CONNECTING_AT_ONCE):
        made = []
        for number in range(begin, min(begin + CONNECTING_AT_ONCE, count)):
            port = ports[number % len(ports)]
            made.append(loop.create_connection(lambda port=port: Socket(port, counts), HOST, port))  # type: ignore[misc]
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                opened = [protocol for _, protocol in await asyncio.gather(*made)]
                await asyncio.gather(*(each.subscribed for each in opened))
        except (TimeoutError, OSError) as error:
            raise ClientFailed(f"{begin} sockets were open, and the next were not accepted: {error!r}") from error
        sockets += opened
    return sockets


def close(sockets: Sequence[Socket], counts: Counts) -> None:
    counts.failure = counts.failure or "closed"
    for socket in sockets:
        socket.transport.abort()
