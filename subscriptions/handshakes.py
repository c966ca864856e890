"""The opening of a WebSocket (RFC 6455, section 4), between its HTTP request and ASGI's word for it.

https://asgi.readthedocs.io/en/latest/specs/www.html#websocket
"""

from __future__ import annotations

import asyncio
import email.utils
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from kernel.logs import get_logger

log = get_logger(__name__)


class Handshake:
    """Reads the request, and writes what ASGI answers it with. It is forgotten once the connection is accepted."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self.app: Any = config.loaded_app
        self._root_path, self._asgi_version, self._app_state = config.root_path, config.asgi_version, app_state
        self._default_headers, self._tasks = server_state.default_headers, server_state.tasks
        self._server = ServerProtocol()
        self._response: Response | None = None
        self._denial: tuple[int, list[tuple[str, str]]] | None = None
        self._body = b""
        self.begun = False
        # Whether the last word is written, and it was no.
        self.refused = False

    def begin(self, transport: asyncio.Transport, data: bytes) -> dict[str, Any] | None:
        """Return the scope of the request that came in these bytes; None where it was refused by the protocol."""
        self.begun = True
        self._server.receive_data(data)
        event = next(iter(self._server.events_received()), None)
        if not isinstance(event, Request):
            self.fail(transport)
            return None
        self._response = self._server.accept(event)
        if self._response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._refuse(transport, self._response)
            return None
        return self._scope(event, transport)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run the application as a task that uvicorn waits for when it ends."""
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._tasks.discard)
        self._tasks.add(task)

    def answer(self, transport: asyncio.Transport, message: dict[str, Any]) -> bool:
        """Take what ASGI says, and return whether it was yes. Raises RuntimeError where it makes no sense now."""
        kind = message["type"]
        if kind == "websocket.accept" and self._denial is None:
            self._accept(transport, message)
            return True
        if kind == "websocket.close" and self._denial is None:
            self._refuse(transport, self._server.reject(HTTPStatus.FORBIDDEN, ""))
        elif kind == "websocket.http.response.start" and self._denial is None:
            self._denial = message["status"], _texts(message.get("headers", []))
        elif kind == "websocket.http.response.body" and self._denial is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                self._deny(transport, *self._denial)
        else:
            raise RuntimeError(f"unexpected message {kind!r} before the connection is accepted")
        return False

    def fail(self, transport: asyncio.Transport) -> None:
        """Answer that something went wrong, where nothing was answered yet."""
        if not self.refused and not transport.is_closing():
            self._refuse(transport, self._server.reject(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error"))

    def _scope(self, request: Request, transport: asyncio.Transport) -> dict[str, Any]:
        raw_path, _, query_string = request.path.partition("?")
        offered = request.headers.get_all("Sec-WebSocket-Protocol")
        return {
            "type": "websocket",
            "asgi": {"version": self._asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(transport) else "ws",
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
            "root_path": self._root_path,
            "path": self._root_path + unquote(raw_path),
            "raw_path": self._root_path.encode("ascii") + raw_path.encode("ascii"),
            "query_string": query_string.encode("ascii"),
            "headers": [
                (name.lower().encode("ascii"), value.encode("latin-1", errors="surrogateescape"))
                for name, value in request.headers.raw_items()
            ],
            "subprotocols": [token.strip() for header in offered for token in header.split(",")],
            "state": self._app_state.copy(),
            "extensions": {"websocket.http.response": {}},
        }

    def _accept(self, transport: asyncio.Transport, message: dict[str, Any]) -> None:
        response = self._response
        assert response is not None, "the request was read"
        del response.headers["Date"]
        response.headers.update(_texts([*self._default_headers, *message.get("headers", [])]))
        if message.get("subprotocol"):
            response.headers["Sec-WebSocket-Protocol"] = message["subprotocol"]
        transport.write(response.serialize())

    def _deny(self, transport: asyncio.Transport, status: int, given: list[tuple[str, str]]) -> None:
        headers = Headers(given)
        headers.setdefault("Date", email.utils.formatdate(usegmt=True))
        headers.setdefault("Connection", "close")
        headers.setdefault("Content-Length", str(len(self._body)))
        headers.setdefault("Content-Type", "text/plain; charset=utf-8")
        self._refuse(transport, Response(status, HTTPStatus(status).phrase, headers, self._body))

    def _refuse(self, transport: asyncio.Transport, response: Response) -> None:
        self.refused = True
        transport.write(response.serialize())
        transport.close()


def _texts(headers: Any) -> list[tuple[str, str]]:
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]
