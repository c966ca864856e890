"""A partner's server: HTTP/1.1 on loopback, which does what a test tells it to, and verifies as partners do."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook

from tests.subscriptions.support import TIMEOUT_S, eventually

Behave = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> Any:
        return json.loads(self.body)

    @property
    def signatures(self) -> list[str]:
        return self.headers["webhook-signature"].split(" ")

    def verified(self, secret: str) -> Any:
        """Return the message. Raises standardwebhooks' WebhookVerificationError."""
        return Webhook(secret).verify(self.body, self.headers)


def answering(status: int, *, body: bytes = b"", **headers: str) -> Behave:
    async def behave(_request: Request, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return behave


def holding(release: asyncio.Event, then: Behave) -> Behave:
    """Answer nothing until the event is set."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        await then(request, writer)

    return behave


async def hanging_up(_request: Request, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def dripping(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer 200 at once, and then a byte at a time, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def flooding(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer 200 with a body without an end, as fast as it is read."""
    writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


ACCEPT = answering(204)


@dataclass
class Receiver:
    """Behaves as `script` says, one behaviour for each request, and as `otherwise` when that is used up."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    script: deque[Behave] = field(default_factory=deque)
    otherwise: Behave = ACCEPT
    scheme: str = "http"
    server_names: list[str | None] = field(default_factory=list)
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hooks?tenant=7"

    @property
    def ids(self) -> list[str]:
        return [request.id for request in self.requests]

    def taken(self) -> list[Request]:
        """The requests without doubles by id, as a receiver keeps them."""
        return list({request.id: request for request in self.requests}.values())

    async def until(self, count: int, *, timeout_s: float = TIMEOUT_S) -> list[Request]:
        """Return the requests once there are so many."""
        await eventually(lambda: len(self.requests) >= count, timeout_s=timeout_s)
        return self.requests

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await _read(reader)
            self.requests.append(request)
            behave = self.script.popleft() if self.script else self.otherwise
            await _until_hung_up(reader, behave(request, writer))
        with suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()


async def _until_hung_up(reader: asyncio.StreamReader, behaviour: Awaitable[None]) -> None:
    """Behave until that is done, or nobody listens any more."""
    behaving, hung_up = asyncio.ensure_future(behaviour), asyncio.ensure_future(reader.read())
    try:
        await asyncio.wait((behaving, hung_up), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (behaving, hung_up):
            task.cancel()
        await asyncio.gather(behaving, hung_up, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, path, _version = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@asynccontextmanager
async def receiving(*, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver(scheme="https" if tls else "http")
    if tls:
        tls.sni_callback = lambda _socket, name, _context: receiver.server_names.append(name)
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            with suppress(asyncio.CancelledError):
                await receiver.serve(reader, writer)
        finally:
            writer.transport.abort()
            connections.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
