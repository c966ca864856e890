"""One watched connection to one Redis, over which channels are heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from broadcaster import Event
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from kernel.backoff import Backoff
from kernel.logs import get_logger
from kernel.tasks import cancel_and_wait, spawn

log = get_logger(__name__)

# Not an event, so that whoever reads it looks at the table, as after any other message that cannot be read.
RESYNC = ""
HEARTBEAT_INTERVAL_S = 10.0
CONFIRMATION_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Commands:
    """The words of ordinary or of sharded publish/subscribe, and how many channels one command may name."""

    subscribe: str
    unsubscribe: str
    message: bytes
    channels_per_command_max: int

    @property
    def confirmation(self) -> bytes:
        return self.subscribe.lower().encode()

    @property
    def farewell(self) -> bytes:
        return self.unsubscribe.lower().encode()


ORDINARY = Commands("SUBSCRIBE", "UNSUBSCRIBE", b"message", 500)
# In a cluster the channels of one command have to be of one slot.
SHARDED = Commands("SSUBSCRIBE", "SUNSUBSCRIBE", b"smessage", 1)


class Link:
    """Hears what is published on the wanted channels; the connection is replaced when it is lost.

    Only this class decides when to reconnect, since each new connection has to be followed by RESYNC: redis-py's own
    PubSub reconnects without telling, so the connection is used directly. `lost` is called with each connection that
    ends or cannot be made, and with each channel that Redis itself has ended, since its slot has moved.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        arrived: asyncio.Queue[Event],
        *,
        commands: Commands = ORDINARY,
        lost: Callable[[str | None], None] = lambda _channel: None,
    ) -> None:
        self._pool = pool
        self._arrived = arrived
        self._commands = commands
        self._lost = lost
        # Who waits for the confirmation of each wanted channel, and how many confirmations Redis still owes for it.
        self.channels: dict[str, list[asyncio.Future[None]]] = {}
        self._owed: dict[str, int] = {}
        self._connection: AbstractConnection | None = None
        self._writing = asyncio.Lock()
        self._supervisor: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to connect. Redis may be down; what is wanted is subscribed to when it is up."""
        self._supervisor = spawn(self._supervise(), name="broadcast:redis")

    async def close(self) -> None:
        if self._supervisor:
            await cancel_and_wait(self._supervisor)

    async def subscribe(self, group: str) -> None:
        """Return once Redis has confirmed, or after CONFIRMATION_TIMEOUT_S: then RESYNC follows the confirmation."""
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self.channels.setdefault(group, [])
        waiting.append(confirmed)
        try:
            await self._send(self._commands.subscribe, group)
            async with asyncio.timeout(CONFIRMATION_TIMEOUT_S):
                await confirmed
        except TimeoutError:
            log.warning("broadcast.not_confirmed", waited_s=CONFIRMATION_TIMEOUT_S)
        except BaseException:
            self.channels.pop(group, None)
            raise
        finally:
            waiting.remove(confirmed)

    async def want(self, group: str) -> None:
        """Subscribe without waiting: RESYNC follows the confirmation."""
        self.channels.setdefault(group, [])
        await self._send(self._commands.subscribe, group)

    async def unsubscribe(self, group: str) -> None:
        self.channels.pop(group, None)
        await self._send(self._commands.unsubscribe, group)

    async def _send(self, command: str, *groups: str) -> None:
        """Send on the current connection; without one, the next connection subscribes to what is wanted then."""
        connection = self._connection
        if connection is None:
            return
        if command == self._commands.subscribe:
            for group in groups:
                self._owed[group] = self._owed.get(group, 0) + 1
        async with self._writing:
            if self._connection is not connection:
                return
            try:
                await connection.send_command(command, *groups, check_health=False)
            except (RedisError, OSError) as error:
                # The reader sees the same loss and replaces the connection.
                log.debug("broadcast.not_sent", command=command, error=type(error).__name__)

    async def _supervise(self) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._serve_connection(backoff)
            except Exception as error:
                delay_s = backoff.next_delay_s()
                log.warning("broadcast.redis_lost", error=type(error).__name__, retry_in_s=round(delay_s, 3))
                self._lost(None)
                await asyncio.sleep(delay_s)

    async def _serve_connection(self, backoff: Backoff) -> None:
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            self._owed.clear()
            self._connection = connection
            wanted, size = list(self.channels), self._commands.channels_per_command_max
            for start in range(0, len(wanted), size):
                await self._send(self._commands.subscribe, *wanted[start : start + size])
            await self._read(connection, backoff)
        finally:
            self._connection = None
            await connection.disconnect(nowait=True)

    async def _read(self, connection: AbstractConnection, backoff: Backoff) -> None:
        """Read until the connection is lost. Silence for two heartbeats counts as lost, and so does a refusal."""
        pinged = False
        while True:
            response = await connection.read_response(timeout=HEARTBEAT_INTERVAL_S, disconnect_on_error=False)
            if response is None:
                if pinged:
                    raise ConnectionError("Redis did not answer a ping")
                pinged = True
                await self._send("PING")
                continue
            pinged = False
            backoff.reset()
            if isinstance(response, list):
                await self._take(response)

    async def _take(self, response: list[Any]) -> None:
        words = self._commands
        match response:
            case [kind, bytes(channel), bytes(data)] if kind == words.message:
                await self._arrived.put(Event(channel.decode(), data.decode(errors="replace")))
            case [kind, bytes(channel), _] if kind == words.confirmation:
                await self._confirm(channel.decode())
            case [kind, bytes(channel), _] if kind == words.farewell and channel.decode() in self.channels:
                self._lost(channel.decode())
            case _:
                pass

    async def _confirm(self, group: str) -> None:
        self._owed[group] = self._owed.get(group, 1) - 1
        if self._owed[group] > 0:
            # An UNSUBSCRIBE lies between this confirmation and the one that counts.
            return
        del self._owed[group]
        if group not in self.channels:
            return
        waiting = [future for future in self.channels[group] if not future.done()]
        for future in waiting:
            future.set_result(None)
        if not waiting:
            await self._arrived.put(Event(group, RESYNC))
