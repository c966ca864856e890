"""Keep-alive connections to one server, cheap enough to leave the processor to the service."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import orjson

from bench.client import Connection, ConnectionBroken, encode
from bench.processes import HOST

ANSWER_WITHIN_S = 10.0


class NoAnswer(Exception):
    """The connection was refused or lost, or nothing came in time: what became of the request is unknown."""


class Wire:
    """Sends JSON to a port, over as many connections as there are requests at the same time."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._idle: list[Connection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._idle:
            self._idle.pop().close()

    async def post(self, path: str, content: Any, *, token: str = "") -> tuple[int, bytes]:
        """Return the status and the body. Raises NoAnswer."""
        request = encode(host=HOST, port=self.port, path=path, token=token, body=orjson.dumps(content))
        connection: Connection | None = None
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                connection = self._idle.pop() if self._idle else await Connection.open(HOST, self.port)
                answer = await connection.request(request)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, OSError | ConnectionBroken | TimeoutError):
                raise NoAnswer(type(error).__name__) from error
            raise
        self._idle.append(connection)
        return answer
