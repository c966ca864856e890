"""uvicorn's WebSocket connection, with one of its errors put right."""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

INVALID_PAYLOAD = 1007


class WebSocketConnection(WebSocketsSansIOProtocol):
    """Closes with 1007 when a text frame is not UTF-8 (RFC 6455, section 8.1).

    uvicorn logs a traceback for each of them, and fails altogether where the connection is being closed already. Give
    this class to uvicorn as `ws`.
    """

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not _is_text(b"".join(self.frames)):
            self.frames = []
            if self.conn.state is State.OPEN:
                self.conn.send_close(INVALID_PAYLOAD, "not UTF-8")
                self.handle_parser_exception()
            return
        super().send_receive_event_to_app()


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
