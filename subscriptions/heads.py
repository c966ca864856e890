"""The head of an HTTP request as the server gives it, and a plain answer as the server takes it.

Every request comes by here, so that nothing is made of either but what is asked for.
"""

from __future__ import annotations

from typing import NamedTuple, overload

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

RawHeaders = list[tuple[bytes, bytes]]
# The extension of a scope by which a server takes a whole answer at once: status, lines of headers, body. It returns
# whether it has taken it.
WHOLE = "youka.whole"


class Headers:
    """The headers by their names in lower case; of several with one name the first."""

    __slots__ = ("_found",)

    def __init__(self, raw: RawHeaders) -> None:
        self._found = dict(reversed(raw))

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        found = self._found.get(name.encode("latin-1"))
        return default if found is None else found.decode("latin-1")

    def __contains__(self, name: str) -> bool:
        return name.encode("latin-1") in self._found


class Head:
    """What stands before a request's body. `headers` and `scope` are named as starlette's connections name them."""

    __slots__ = ("headers", "method", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope, self.method, self.headers = scope, str(scope["method"]), Headers(scope["headers"])


async def read_body(receive: Receive, *, size_max: int) -> bytes | None:
    """Return the body, None where it is longer than that. Raises ClientDisconnect."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        whole: bytes = message.get("body", b"")
        return None if len(whole) > size_max else whole
    body = bytearray()
    while message["type"] == "http.request":
        body += message.get("body", b"")
        if len(body) > size_max:
            return None
        if not message.get("more_body"):
            return bytes(body)
        message = await receive()
    raise ClientDisconnect


def lines(headers: RawHeaders) -> bytes:
    """Return headers as HTTP/1.1 has them."""
    return b"".join([b"%b: %b\r\n" % each for each in headers])


class Whole(NamedTuple):
    """A plain answer as HTTP/1.1 has it: its status, the lines of its headers but for the server's own, its body."""

    status: int
    head: bytes
    body: bytes


class Fixed:
    """Headers that are the same on every answer, in both ways in which they are sent."""

    __slots__ = ("headers", "lines")

    def __init__(self, headers: RawHeaders) -> None:
        self.headers, self.lines = headers, lines(headers)


class Reply:
    """A plain answer, whose body is there."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: RawHeaders, body: bytes | None) -> None:
        """`body` is None where the status has none."""
        if body is not None:
            headers.append((b"content-length", b"%d" % len(body)))
        self.status, self.headers, self.body = status, headers, body or b""

    def whole(self, more: bytes) -> Whole:
        """Return it with these lines of headers behind its own."""
        return Whole(self.status, lines(self.headers) + more, self.body)

    def send_whole(self, scope: Scope, more: RawHeaders, fixed: Fixed) -> bool:
        """Send it with more headers without waiting, and return whether the server has taken it."""
        extensions = scope.get("extensions")
        whole = extensions.get(WHOLE) if extensions else None
        return whole is not None and bool(whole(*self.whole(lines(more) + fixed.lines)))

    async def send(self, scope: Scope, send: Send, more: RawHeaders, fixed: Fixed) -> None:
        """Send it with more headers. What a peer reads that has gone is nobody's business."""
        if self.send_whole(scope, more, fixed):
            return
        headers = [*self.headers, *more, *fixed.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})

    @property
    def as_response(self) -> Response:
        """The same for what takes starlette's answers, such as the denial of a handshake."""
        response = Response(self.body, self.status)
        response.raw_headers = list(self.headers)
        return response


def raw(headers: dict[str, str]) -> RawHeaders:
    """Return headers as they are sent."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
