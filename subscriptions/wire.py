"""One client's connection, written to without waiting: whoever writes looks first whether there is room."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from kernel.tasks import spawn
from subscriptions.frames import EXTENSION, WebSocketConnection, cut

UNSENT_MAX_BYTES = 64 * 1024


class Wire(Protocol):
    @property
    def closed(self) -> bool:
        """Whether nothing that is written now can arrive."""

    @property
    def writable(self) -> bool:
        """False while too much is unsent: the client, or the way to it, is slower than what is written."""

    def write(self, text: bytes) -> None:
        """Send one message. It is taken even where there is no room, and dropped where the connection is closed."""

    async def room(self) -> None:
        """Return once there is room, or the connection is closed."""

    def close(self, code: int, reason: str) -> None:
        """End the connection behind what was written, and forget what a client does not take in time."""


def connection_of(websocket: WebSocket) -> WebSocketConnection | None:
    """Return the connection where our own class serves it."""
    extension = (websocket.scope.get("extensions") or {}).get(EXTENSION)
    return extension["connection"] if extension else None


def wire_of(websocket: WebSocket) -> Wire:
    """Return the way to the client: the connection itself where our own class serves it, else ASGI."""
    direct = connection_of(websocket)
    if direct is not None:
        return direct

    async def send(text: bytes) -> None:
        await websocket.send_text(text.decode())

    async def close(code: int, reason: str) -> None:
        await websocket.close(code, reason)

    return SendingWire(send, close)


class SendingWire:
    """Messages by a coroutine that waits for the client, from a queue that a task of its own empties.

    A failure of `send` says that the client has gone. `close` is called once, behind the last message.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[None]], close: Callable[[int, str], Awaitable[None]]) -> None:
        self._send, self._close = send, close
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._ending: tuple[int, str] | None = None
        self._gone = False
        self._room = asyncio.Event()
        self._room.set()
        self._sending: asyncio.Task[None] | None = None

    @property
    def closed(self) -> bool:
        return self._gone or self._ending is not None

    @property
    def writable(self) -> bool:
        return self._room.is_set()

    def write(self, text: bytes) -> None:
        if self.closed:
            return
        self._unsent.append(text)
        self._unsent_bytes += len(text)
        if self._unsent_bytes > UNSENT_MAX_BYTES:
            self._room.clear()
        self._begin()

    async def room(self) -> None:
        await self._room.wait()

    def close(self, code: int, reason: str) -> None:
        if not self.closed:
            self._ending = (code, cut(reason))
            self._room.set()
            self._begin()

    async def finished(self) -> None:
        """Return once everything was handed over, or the client has gone."""
        if self._sending:
            await asyncio.wait([self._sending])

    def drop(self) -> None:
        """The client has gone: forget what is unsent."""
        self._gone = True
        self._unsent.clear()
        self._room.set()
        if self._sending:
            self._sending.cancel()

    def _begin(self) -> None:
        if self._sending is None or self._sending.done():
            self._sending = spawn(self._send_all(), name="wire")

    async def _send_all(self) -> None:
        try:
            while self._unsent:
                text = self._unsent.popleft()
                await self._send(text)
                self._unsent_bytes -= len(text)
                if self._unsent_bytes <= UNSENT_MAX_BYTES // 4:
                    self._room.set()
            if self._ending:
                await self._close(*self._ending)
        except (WebSocketDisconnect, RuntimeError, OSError):
            # How starlette and uvicorn say that the connection was closed in the meantime.
            self._gone = True
            self._unsent.clear()
            self._room.set()
