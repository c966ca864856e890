"""uvicorn's WebSocket connection, with its errors put right and a way to write that never waits."""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import State

INVALID_PAYLOAD = 1007
# How long a client may take to answer a close frame, and to read what was sent before it.
CLOSE_TIMEOUT_S = 5.0
EXTENSION = "youka.websocket"

SWITCHING_PROTOCOLS = 101

# The first byte of a text frame that is not fragmented, and up to where a length takes how many bits (RFC 6455,
# section 5.2).
TEXT = 0x81
LENGTH_7_BITS_MAX = 125
LENGTH_16_BITS_MAX = 0xFFFF


class WebSocketConnection(WebSocketsSansIOProtocol):
    """Give this class to uvicorn as `ws`. The application finds the connection in its scope, as an extension.

    uvicorn logs a traceback for each text frame that is not UTF-8, and fails altogether where the connection is being
    closed already; here such a frame closes with 1007 (RFC 6455, section 8.1). Its `send` waits for a slow client and
    makes each frame anew, which a message to thousands cannot afford: `write_text` does neither.
    """

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == SWITCHING_PROTOCOLS:
            self.scope["extensions"][EXTENSION] = {"connection": self}

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not _is_text(b"".join(self.frames)):
            self.frames = []
            if self.conn.state is State.OPEN:
                self.conn.send_close(INVALID_PAYLOAD, "not UTF-8")
                self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    @property
    def gone(self) -> bool:
        return self.close_sent or self.disconnected or self.transport.is_closing()

    def write_text(self, text: bytes) -> None:
        """Send one text frame, buffered where the client is slow; nothing where the connection is closed."""
        if self.close_sent or self.disconnected:
            return
        size = len(text)
        if size <= LENGTH_7_BITS_MAX:
            self.transport.write(bytes((TEXT, size)) + text)
        elif size <= LENGTH_16_BITS_MAX:
            self.transport.write(b"\x81\x7e" + size.to_bytes(2, "big") + text)
        else:
            self.transport.write(b"\x81\x7f" + size.to_bytes(8, "big") + text)

    def close_with(self, code: int, reason: str) -> None:
        """Send a close frame behind what was written, and drop the client where it does not answer in time."""
        if self.gone or not self.handshake_complete:
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
