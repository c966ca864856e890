"""Plain connections to PostgreSQL for reading: none is reset between two statements, which costs more than they do.

They can do nothing but read, each statement by itself, so there is nothing that a reset would undo. What was prepared
on a connection stays prepared. One that does not answer in time, or that is lost, is ended, and the next call makes
another in its place.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Any, cast

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from kernel.logs import get_logger

log = get_logger(__name__)

# How long a connection may take to forget the statement of a caller that was cancelled, or to say goodbye.
SETTLED_WITHIN_S = 1.0
# Statements that clients' selections are in (`kernel.shapes`) may be many; who asks for a forgotten one waits a little.
PREPARED_MAX = 128
CLOSED = "the database was closed"
# What a server says whose tables have changed since the statement was prepared.
OUTDATED = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)


class PlainConnection:
    __slots__ = ("connection", "prepared", "protocol")

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        # Asked directly, since what asyncpg has around it costs a fifth of a small statement.
        self.protocol: Any = connection._protocol
        self.prepared: dict[str, PreparedStatement[Any]] = {}

    async def prepare(self, text: str) -> PreparedStatement[Any]:
        if len(self.prepared) >= PREPARED_MAX:
            # asyncpg has the server forget what nobody holds any more when it prepares the next one.
            del self.prepared[next(iter(self.prepared))]
        prepared = self.prepared[text] = await self.connection.prepare(text)
        return prepared

    async def fetch_anew(self, text: str, arguments: Sequence[Any], error: Exception) -> list[asyncpg.Record]:
        """Do what the server refused, before it did anything, since the tables are others by now."""
        self.prepared.clear()
        if isinstance(error, asyncpg.OutdatedSchemaCacheError):
            await self.connection.reload_schema_state()
        prepared = await self.prepare(text)
        return cast(list[asyncpg.Record], await prepared.fetch(*arguments))


class PlainConnections:
    """Up to `size_max` connections, made when they are needed. Callers that find none free wait in line."""

    def __init__(
        self, connect: Callable[[], Awaitable[asyncpg.Connection]], *, size_max: int, acquire_within_s: float | None
    ) -> None:
        assert size_max > 0
        self._connect = connect
        self._size_max = size_max
        self._acquire_within_s = acquire_within_s
        # The one that was used last is used next, so that a quiet process keeps few of them busy.
        self._free: list[PlainConnection] = []
        self._size = 0
        # Who waits is given a connection, or None, which is leave to make one.
        # They wait equally long, so that whoever is first in line is the first to give up, and one timer is enough.
        self._waiting: deque[tuple[float, asyncio.Future[PlainConnection | None]]] = deque()
        self._impatience: asyncio.TimerHandle | None = None
        self._settling: set[asyncio.Task[None]] = set()
        self._closed = False
        self._all_back = asyncio.Event()

    @property
    def size(self) -> int:
        """How many connections there are, those that are being made among them."""
        return self._size

    @property
    def idle(self) -> int:
        return len(self._free)

    async def fetch(self, text: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
        """Raises TimeoutError where no connection is free, or no answer there, in time; else what asyncpg raises."""
        taken = self._free.pop() if self._free else await self._take()
        while taken.connection.is_closed():
            # Nothing was sent on it, so that nobody need hear of its end.
            self._size -= 1
            taken = await self._take()
        try:
            prepared = taken.prepared.get(text) or await taken.prepare(text)
            try:
                rows = await taken.protocol.bind_execute(prepared._state, arguments, "", 0, False, None)
            except OUTDATED as error:
                rows = await taken.fetch_anew(text, arguments, error)
        except BaseException as error:
            self._after(error, taken)
            raise
        if self._waiting or self._closed:
            self._give_back(taken)
        else:
            self._free.append(taken)
        return cast(list[asyncpg.Record], rows)

    async def close(self) -> None:
        """End all of them, once their statements have ended."""
        self._closed = True
        for _, turn in self._waiting:
            if not turn.done():
                turn.set_exception(asyncpg.InterfaceError(CLOSED))
        if self._impatience is not None:
            self._impatience.cancel()
        if self._settling:
            await asyncio.wait(set(self._settling))
        while len(self._free) < self._size:
            self._all_back.clear()
            await self._all_back.wait()
        for each in self._free:
            try:
                await each.connection.close(timeout=SETTLED_WITHIN_S)
            except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                each.connection.terminate()
        self._free.clear()
        self._size = 0

    async def _take(self) -> PlainConnection:
        if self._free:
            return self._free.pop()
        if self._size >= self._size_max:
            given = await self._wait_in_line()
            if given is not None:
                return given
        else:
            self._size += 1
        # From here on a place is held.
        try:
            if self._closed:
                raise asyncpg.InterfaceError(CLOSED)
            return PlainConnection(await self._connect())
        except BaseException:
            self._lose_place()
            raise

    async def _wait_in_line(self) -> PlainConnection | None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[PlainConnection | None] = loop.create_future()
        patient_until = inf if self._acquire_within_s is None else loop.time() + self._acquire_within_s
        self._waiting.append((patient_until, turn))
        if self._impatience is None and patient_until < inf:
            self._impatience = loop.call_at(patient_until, self._give_up_waiting)
        try:
            return await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # It was given one in the moment in which it stopped waiting.
                given = turn.result()
                if given is None:
                    self._lose_place()
                else:
                    self._give_back(given)
            raise

    def _give_up_waiting(self) -> None:
        """Tell those that have waited too long, and look again when the next one would have."""
        loop = asyncio.get_running_loop()
        self._impatience = None
        while self._waiting:
            patient_until, turn = self._waiting[0]
            if not turn.done():
                if patient_until > loop.time():
                    self._impatience = loop.call_at(patient_until, self._give_up_waiting)
                    return
                turn.set_exception(TimeoutError())
            self._waiting.popleft()

    def _hand_over(self, given: PlainConnection | None) -> bool:
        """Give a connection, or the place for one, to whoever waits longest, and return whether there was anybody."""
        while self._waiting:
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(given)
                return True
        return False

    def _give_back(self, one: PlainConnection) -> None:
        if self._waiting and self._hand_over(one):
            return
        self._free.append(one)
        if self._closed:
            self._all_back.set()

    def _lose_place(self) -> None:
        if self._waiting and self._hand_over(None):
            return
        self._size -= 1
        if self._closed:
            self._all_back.set()

    def _after(self, error: BaseException, one: PlainConnection) -> None:
        """Do with a connection what the error of its statement asks for."""
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.get_running_loop().create_task(self._settle(one), name="database:settling")
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)
            return
        if isinstance(error, TimeoutError):
            log.warning("database.connection_given_up")
            one.connection.terminate()
        if one.connection.is_closed():
            self._lose_place()
        else:
            self._give_back(one)

    async def _settle(self, one: PlainConnection) -> None:
        """Wait until the statement of a cancelled caller is off the connection, as asyncpg's own pool does."""
        try:
            async with asyncio.timeout(SETTLED_WITHIN_S):
                await one.connection._protocol._wait_for_cancellation()
        except BaseException as reason:
            log.warning("database.connection_not_settled", error=type(reason).__name__)
            one.connection.terminate()
            self._lose_place()
            if isinstance(reason, asyncio.CancelledError):
                raise
        else:
            self._after_settling(one)

    def _after_settling(self, one: PlainConnection) -> None:
        if one.connection.is_closed():
            self._lose_place()
        else:
            self._give_back(one)
