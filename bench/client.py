"""The little of HTTP/1.1 that a load generator needs, so that it costs far less than the servers that it measures."""

from __future__ import annotations

import asyncio
from typing import cast

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


class ConnectionBroken(Exception):
    """The server closed the connection, or answered in a way that this client does not read."""


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request under way at a time (RFC 9112)."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._head_length = 0
        self._body_length = 0

    @classmethod
    async def open(cls, host: str, port: int) -> Connection:
        """Raises OSError."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port)
        return connection

    async def request(self, encoded: bytes) -> tuple[int, bytes]:
        """Send a whole request and return the status and the body. Raises ConnectionBroken."""
        assert self._answer is None, "one request at a time"
        if self._transport is None or self._transport.is_closing():
            raise ConnectionBroken("the server closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(encoded)
        try:
            return await self._answer
        finally:
            self._answer = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._head_length == 0 and not self._read_head():
            return
        whole = self._head_length + self._body_length
        if len(self._received) < whole:
            return
        status, body = int(self._received[9:12]), bytes(self._received[self._head_length : whole])
        del self._received[:whole]
        self._head_length = 0
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((status, body))

    def _read_head(self) -> bool:
        end = self._received.find(HEAD_END)
        if end < 0:
            return False
        head = bytes(self._received[:end]).lower()
        start = head.find(LENGTH)
        if start < 0:
            self._fail(ConnectionBroken("the answer does not say how long it is"))
            return False
        self._body_length = int(head[start + len(LENGTH) :].split(b"\r\n", 1)[0])
        self._head_length = end + len(HEAD_END)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionBroken(f"the server closed the connection: {exc or 'no reason given'}"))

    def _fail(self, error: ConnectionBroken) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


def encode(*, host: str, port: int, path: str, token: str, body: bytes) -> bytes:
    """Return a POST of a JSON body, ready to be sent."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
        f"{authorization}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body
