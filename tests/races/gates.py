"""A gate between a worker and the issuer, which lets everything through and remembers what went out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

import httpx

SUBMISSIONS = "/issuer/v1/recharges"
# These belong to one connection, and each side of the gate has its own.
OF_THE_CONNECTION = frozenset({"connection", "host", "transfer-encoding", "content-length", "keep-alive"})
POLL_INTERVAL_S = 0.05


class Gate:
    """Forwards to the sandbox as it is: what is signed stays signed."""

    def __init__(self, url: str) -> None:
        self.port = 0
        self.client = httpx.Client(base_url=url, trust_env=False, timeout=30)
        self._submitted: list[str] = []
        self._lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def submitted(self) -> list[str]:
        """Return the attempt id of every recharge that was sent to the issuer, as often as it was sent."""
        with self._lock:
            return list(self._submitted)

    def note(self, path: str, body: bytes) -> None:
        if path == SUBMISSIONS:
            with self._lock:
                self._submitted.append(json.loads(body)["attempt_id"])


class Handler(BaseHTTPRequestHandler):
    gate: Gate
    protocol_version = "HTTP/1.1"
    # A connection that nobody uses would otherwise keep its thread, and the test, from ending.
    timeout = 2

    def do_GET(self) -> None:
        self._forward("GET", b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.gate.note(self.path, body)
        self._forward("POST", body)

    def _forward(self, method: str, body: bytes) -> None:
        answer = self.gate.client.request(method, self.path, content=body, headers=_passed_on(self.headers.items()))
        self.send_response(answer.status_code)
        for name, value in _passed_on(answer.headers.items()):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing; what went out is remembered."""


def _passed_on(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in OF_THE_CONNECTION]


@contextmanager
def gate(url: str) -> Iterator[Gate]:
    class BoundHandler(Handler):
        gate = Gate(url)

    with ThreadingHTTPServer(("127.0.0.1", 0), BoundHandler) as server:
        opened = BoundHandler.gate
        opened.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, args=(POLL_INTERVAL_S,))
        thread.start()
        try:
            yield opened
        finally:
            server.shutdown()
            thread.join()
            opened.client.close()
