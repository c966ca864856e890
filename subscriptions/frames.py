"""A WebSocket connection for uvicorn, which is as small as it can be, since thousands of them are open for hours.

Its opening goes through ASGI. Behind it the application may take the connection over with `listen`: then no task, no
scope and no parser of HTTP is kept for it, and what is written goes straight into the socket's buffer.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from kernel.logs import get_logger
from subscriptions.framing import (
    NOT_UTF8,
    Decoder,
    FramingFailed,
    Opcode,
    close_frame,
    control_frame,
    read_close,
    text_frame,
)
from subscriptions.handshakes import Handshake
from subscriptions.waiting import Gate, Mailbox

log = get_logger(__name__)

NO_STATUS, ABNORMAL, SERVICE_RESTART = 1005, 1006, 1012
CLOSE_REASON_MAX_BYTES = 123
# How long a client may take to answer a close frame, and to read what was sent before it.
CLOSE_TIMEOUT_S = 5.0
EXTENSION = "youka.websocket"


class Listener(Protocol):
    """Who has taken over a connection."""

    def hear(self, text: str | None) -> None:
        """Take one message; None is one of bytes."""

    def lost(self) -> None:
        """The connection is gone, or is being closed; this is said once."""


class ClientGone(OSError):
    """ASGI has nobody any more to send to."""


class WebSocketConnection(asyncio.Protocol):
    """Give this class to uvicorn as `ws`. The application finds the connection in its scope, as an extension.

    Whoever does not read what is written is not read from: `writable` says whether there is room, and is false where
    the transport's buffer is full. Extensions of the protocol, such as compression, are not offered.
    """

    __slots__ = (
        "_close_timer", "_connections", "_decoder", "_handshake", "_inbox", "_listener", "_loop", "_reading", "_room",
        "close_sent", "disconnected", "transport", "writable",
    )  # fmt: skip

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._connections = server_state.connections
        self._handshake: Handshake | None = Handshake(config, server_state, app_state)
        self._decoder = Decoder(size_max=config.ws_max_size)
        # Messages that ASGI has not asked for yet.
        self._inbox: Mailbox[dict[str, Any]] | None = Mailbox()
        self._listener: Listener | None = None
        self._room: Gate | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._reading = True
        self.writable = True
        self.close_sent = self.disconnected = False
        self.transport: asyncio.Transport

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._connections.add(self)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self.disconnected, self.writable = True, True
        self._stop_closing()
        if self._room is not None:
            self._room.set()
        self._end(NO_STATUS if self._handshake is None else ABNORMAL)

    def data_received(self, data: bytes) -> None:
        if self._handshake is None:
            self._decoder.feed(data)
            self._read()
        elif self._handshake.begun:
            # Nothing is read before the handshake is over; the decoder takes it from there.
            self._decoder.feed(data)
            self._pause()
        else:
            self._begin(self._handshake, data)

    def eof_received(self) -> None:
        """The transport closes by itself."""

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        if self._room is not None:
            self._room.set()
            self._room = None
        if self._listener is not None and not self._reading:
            self._resume()
            self._read()

    def shutdown(self) -> None:
        """uvicorn ends; what still stands is told to come back."""
        self._stop_closing()
        if self._handshake is not None:
            self._handshake.fail(self.transport)
        elif not self.close_sent and not self.disconnected:
            self._end(SERVICE_RESTART)
            self.transport.write(close_frame(SERVICE_RESTART))
            self.close_sent = True
        self.transport.close()

    # What is read.

    def _read(self) -> None:
        """Take what has come, for as long as there is room for answers."""
        try:
            while self._reading and not self.disconnected:
                found = self._decoder.next()
                if found is None:
                    return
                self._take(*found)
        except FramingFailed as error:
            self._fail(error)

    def _take(self, opcode: Opcode, payload: bytes) -> None:
        if opcode is Opcode.CLOSE:
            self._closed_by_client(payload)
        elif self.close_sent:
            return
        elif opcode is Opcode.TEXT:
            try:
                self._hand_over(payload.decode())
            except UnicodeDecodeError:
                raise FramingFailed(NOT_UTF8, "not UTF-8") from None
        elif opcode is Opcode.BINARY:
            self._hand_over(None, payload)
        elif opcode is Opcode.PING and self.writable:
            self.transport.write(control_frame(Opcode.PONG, payload))

    def _hand_over(self, text: str | None, payload: bytes = b"") -> None:
        if self._listener is not None:
            self._listener.hear(text)
            if not self.writable and not self.close_sent:
                self._pause()
        elif self._inbox is not None:
            message = {"type": "websocket.receive", "text": text} if text is not None else {
                "type": "websocket.receive", "bytes": payload
            }  # fmt: skip
            self._inbox.put_nowait(message)
            self._pause()

    def _closed_by_client(self, payload: bytes) -> None:
        """Answer a close frame, or end where it is the answer to ours."""
        code, reason = read_close(payload)
        self._stop_closing()
        if not self.close_sent:
            self.close_sent = True
            self.transport.write(close_frame(code) if code != NO_STATUS else control_frame(Opcode.CLOSE))
            self._end(code, reason)
        self.transport.close()

    def _fail(self, error: FramingFailed) -> None:
        """End a connection on which nothing can be understood any more."""
        self._stop_closing()
        if not self.close_sent:
            self.close_sent = True
            self.transport.write(close_frame(error.code, error.reason))
            self._end(error.code, error.reason)
        self.transport.close()

    def _end(self, code: int, reason: str = "") -> None:
        """Say once that nothing more will be heard."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.lost()
        elif self._inbox is not None:
            self._inbox.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    def _pause(self) -> None:
        if self._reading and not self.transport.is_closing():
            self._reading = False
            self.transport.pause_reading()

    def _resume(self) -> None:
        if not self._reading:
            self._reading = True
            if not self.transport.is_closing():
                self.transport.resume_reading()

    # What is written.

    def listen(self, listener: Listener) -> None:
        """Give every message to the listener from now on, as it comes; the application may return."""
        assert self._handshake is None, "it is accepted first"
        assert self._inbox is not None, "there is one listener"
        inbox, self._inbox = self._inbox, None
        self._listener = listener
        while not inbox.empty() and self._listener is not None:
            message = inbox.take()
            if message["type"] == "websocket.disconnect":
                self._end(message["code"])
            else:
                listener.hear(message.get("text"))
        self._resume()
        self._read()

    @property
    def closed(self) -> bool:
        return self.close_sent or self.disconnected or self.transport.is_closing()

    def write(self, text: bytes) -> None:
        """Send one text frame, buffered where the client is slow; nothing where the connection is closed."""
        if not self.close_sent and not self.disconnected:
            self.transport.write(text_frame(text))

    async def room(self) -> None:
        while not self.writable:
            if self._room is None:
                self._room = Gate()
            await self._room.wait()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame behind what was written, and drop the client where it does not answer in time."""
        if self.closed or self._handshake is not None:
            return
        self.transport.write(close_frame(code, cut(reason)))
        self.close_sent = True
        self._end(code, reason)
        # Its answer is to be read, whatever else was left unread.
        self._resume()
        self._close_timer = self._loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    def _stop_closing(self) -> None:
        if self._close_timer is not None:
            self._close_timer.cancel()
            self._close_timer = None

    # What ASGI sees.

    def _begin(self, handshake: Handshake, data: bytes) -> None:
        scope = handshake.begin(self.transport, data)
        if scope is None:
            self.close_sent = True
            self.transport.close()
            return
        scope["extensions"][EXTENSION] = {"connection": self}
        assert self._inbox is not None, "nobody listens yet"
        self._inbox.put_nowait({"type": "websocket.connect"})
        handshake.run(self._run(handshake, scope))

    async def _run(self, handshake: Handshake, scope: dict[str, Any]) -> None:
        try:
            await handshake.app(scope, self._receive, self._send)
        except ClientGone:
            pass
        except BaseException:
            log.exception("websocket.application_failed")
        if self._handshake is not None and not handshake.refused:
            handshake.fail(self.transport)
        if self._listener is None and self._close_timer is None:
            self.transport.close()

    async def _receive(self) -> dict[str, Any]:
        assert self._inbox is not None, "whoever listens is told without asking"
        message = await self._inbox.get()
        if self._handshake is None and self._inbox.empty():
            self._resume()
            self._read()
        return message

    async def _send(self, message: dict[str, Any]) -> None:
        """Raises ClientGone, and RuntimeError for what the state does not allow."""
        await self.room()
        if self.disconnected:
            raise ClientGone
        handshake = self._handshake
        if handshake is not None:
            if handshake.answer(self.transport, message):
                self._handshake = None
            elif handshake.refused:
                self.close_sent = True
                self._end(ABNORMAL)
            return
        if self.close_sent:
            raise ClientGone
        if message["type"] == "websocket.close":
            self.close(message.get("code", 1000), message.get("reason") or "")
        elif message["type"] == "websocket.send" and message.get("text") is not None:
            self.write(message["text"].encode())
        else:
            raise RuntimeError(f"unexpected message {message['type']!r}; text can be sent, and the connection closed")


def cut(reason: str) -> str:
    """Return as much of a reason as a close frame takes."""
    return reason.encode()[:CLOSE_REASON_MAX_BYTES].decode(errors="ignore")
