"""The wire log: what the house asked of its third parties, one line of JSON for each request.

Neither bodies nor secrets are in it: of a query only the names of its parameters, of headers those that are harmless.
The file is turned over at `SIZE_MAX_BYTES`, and one file before it is kept.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import IO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kernel.clock import utc_now

SIZE_MAX_BYTES = 4 * 1024 * 1024
REDACTED = "***"
PLAIN_HEADERS = frozenset(
    {
        "accept",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "x-tc-action",
        "x-tc-region",
        "x-tc-timestamp",
        "x-tc-version",
        "wechatpay-serial",
        "x-price-timestamp",
    }
)
# The control API is what a developer does, not what goes over the wire.
UNLOGGED = ("/control", "/healthz")
PAGE = ("/", "GET")
NAME_LENGTH_MAX = 64
PATH_LENGTH_MAX = 256


class WireLog:
    """Wraps the application. A log that cannot be written is no reason not to answer."""

    def __init__(self, app: ASGIApp, *, path: Path, size_max_bytes: int = SIZE_MAX_BYTES) -> None:
        self._app, self._path, self._size_max_bytes = app, path, size_max_bytes
        self._file: IO[bytes] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            try:
                await self._app(scope, receive, send)
            finally:
                # The application has ended.
                self.close()
            return
        if scope["path"].startswith(UNLOGGED) or (scope["path"], scope["method"]) == PAGE:
            await self._app(scope, receive, send)
            return
        status: int | None = None

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began_s = time.monotonic()
        try:
            await self._app(scope, receive, sending)
        finally:
            self._write(_line(scope, status, began_s))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, line: bytes) -> None:
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab", buffering=0)
            if self._file.tell() + len(line) > self._size_max_bytes:
                self._file.close()
                self._path.replace(self._path.with_suffix(".1.jsonl"))
                self._file = self._path.open("ab", buffering=0)
            self._file.write(line)
        except OSError:
            self.close()


def _line(scope: Scope, status: int | None, began_s: float) -> bytes:
    names = [part.partition("=")[0][:NAME_LENGTH_MAX] for part in scope["query_string"].decode("latin-1").split("&")]
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1")
        if name.decode("latin-1").lower() in PLAIN_HEADERS
        else REDACTED
        for name, value in scope["headers"]
    }
    document = {
        "at": utc_now().isoformat(timespec="milliseconds"),
        "method": scope["method"],
        "path": scope["path"][:PATH_LENGTH_MAX],
        "parameters": [name for name in names if name],
        # None where no answer was begun: the asking side hung up, or an error had none.
        "status": status,
        "took_ms": round((time.monotonic() - began_s) * 1000),
        "headers": headers,
    }
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"
