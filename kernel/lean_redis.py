"""Commands to one Redis over one connection: each is sent at once, behind those that wait for their answers.

redis-py takes a connection out of a pool for each command and goes through a dozen calls that wait. It still makes the
connection (the address, TLS, the password, the handshake), which is then read without it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from itertools import chain
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

CLOSED = "the connection was closed"
PUBLISH_ALL = "for i = 1, #ARGV, 2 do redis.call('PUBLISH', ARGV[i], ARGV[i + 1]) end"

Word = str | bytes | int | float


class LeanRedis:
    """What `client` would do, by its address and its timeout. A command whose connection is lost is sent once more."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._timeout_s: float = client.connection_pool.connection_kwargs["socket_timeout"]
        self._wire: Wire | None = None
        self._connecting: asyncio.Task[Wire] | None = None
        self._closed = False

    @property
    def connected(self) -> bool:
        """Whether a command would be sent at once."""
        return self._wire is not None and not self._wire.lost

    async def execute(self, *words: Word) -> Any:
        """Return the answer. Raises redis.exceptions.RedisError."""
        packed = hiredis.pack_command(words)  # type: ignore[arg-type]
        wire = self._wire
        if wire is None or wire.lost:
            wire = await self._connected()
        try:
            return await wire.send(packed)
        except RedisConnectionError:
            if self._closed:
                raise
            wire = await self._connected()
            return await wire.send(packed)

    async def publish(self, channel: str, message: Word) -> None:
        """Raises redis.exceptions.RedisError where Redis did not take it."""
        await self.execute("PUBLISH", channel, message)

    async def publish_all(self, messages: Sequence[tuple[str, str]]) -> None:
        """Publish messages with their channels, in their order, in one call. Raises redis.exceptions.RedisError."""
        await self.execute("EVAL", PUBLISH_ALL, 0, *chain.from_iterable(messages))

    async def eval(self, script: str, keys: int, *given: Word) -> Any:
        """Run a script; of what it is given, so many come first that are keys. Raises redis.exceptions.RedisError."""
        return await self.execute("EVAL", script, keys, *given)

    async def aclose(self) -> None:
        """Close the connection. What waits for an answer is told that it is lost."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._wire is not None:
            self._wire.close()
        await self._client.aclose()

    async def _connected(self) -> Wire:
        """Return a connection that is there. Whoever comes while one is made waits for that one."""
        wire = self._wire
        if wire is not None and not wire.lost:
            return wire
        if self._closed:
            raise RedisConnectionError(CLOSED)
        connecting = self._connecting
        if connecting is None or connecting.done():
            loop = asyncio.get_running_loop()
            connecting = self._connecting = loop.create_task(self._connect(), name="redis:connect", context=Context())
            # Whoever still waits is told of its error.
            connecting.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Of those who wait, one may be cancelled.
        return await asyncio.shield(connecting)

    async def _connect(self) -> Wire:
        connection: Any = self._client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()
        writer, reader = connection._writer, connection._reader
        wire = Wire(writer.transport, connection, self._timeout_s)
        writer.transport.set_protocol(wire)
        # Of the handshake nothing is left, or nobody would know whose answer is whose.
        if reader._buffer:
            wire.close()
            raise RedisConnectionError("Redis said more than it was asked")
        self._wire = wire
        return wire


class Wire(asyncio.Protocol):
    """One connection. Answers come in the order of their commands."""

    def __init__(self, transport: asyncio.WriteTransport, connection: Any, timeout_s: float) -> None:
        self.lost = False
        self._transport = transport
        # It is closed where it is collected.
        self._connection = connection
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(replyError=ResponseError)
        # Who waits, and since when.
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._watch: asyncio.TimerHandle | None = None

    def send(self, packed: bytes) -> asyncio.Future[Any]:
        """Send a command and return what its answer will be."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if self.lost:
            future.set_exception(RedisConnectionError(CLOSED))
            return future
        self._waiting.append((future, self._loop.time()))
        self._transport.write(packed)
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout_s, self._look)
        return future

    def close(self) -> None:
        self._transport.close()
        self._end(RedisConnectionError(CLOSED))

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (answer := self._reader.gets()) is not False:
                future, _ = self._waiting.popleft()
                if future.done():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        except (hiredis.ProtocolError, IndexError) as error:
            self._transport.abort()
            self._end(RedisConnectionError(str(error)))

    def connection_lost(self, error: Exception | None) -> None:
        self._end(RedisConnectionError(str(error or CLOSED)))

    def _look(self) -> None:
        """End the connection where somebody has waited for too long."""
        self._watch = None
        if not self._waiting:
            return
        waited_s = self._loop.time() - self._waiting[0][1]
        if waited_s >= self._timeout_s:
            self._transport.abort()
            self._end(RedisTimeoutError("Redis did not answer"))
        else:
            self._watch = self._loop.call_later(self._timeout_s - waited_s, self._look)

    def _end(self, error: Exception) -> None:
        self.lost = True
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        waiting, self._waiting = self._waiting, deque()
        for future, _ in waiting:
            if not future.done():
                future.set_exception(error)
        connection, self._connection = self._connection, None
        if connection is not None:
            # redis-py would warn of a connection that it thinks is open.
            connection._reader = connection._writer = None
