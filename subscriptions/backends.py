"""What carries messages between processes, behind the broadcaster's own interface.

The broadcaster's Redis backend delivers nothing to its first subscriber, dies silently when Redis restarts and has no
bounds. These backends return from `subscribe` once the subscription is confirmed, survive restarts, and say RESYNC on
every channel where messages may have been lost.
"""

from __future__ import annotations

import asyncio
from typing import Any

from broadcaster import Event
from broadcaster._backends.base import BroadcastBackend
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from kernel.backoff import Backoff
from kernel.logs import get_logger
from kernel.tasks import cancel_and_wait, spawn

log = get_logger(__name__)

# Not an event, so that whoever reads it looks at the table, as after any other message that cannot be read.
RESYNC = ""
MESSAGES_QUEUED_MAX = 1_024
REDIS_TIMEOUT_S = 5.0
HEARTBEAT_INTERVAL_S = 10.0
CONFIRMATION_TIMEOUT_S = 2.0
CHANNELS_PER_COMMAND_MAX = 500


class MemoryBackend(BroadcastBackend):
    """Within one process. A publisher waits while the queue is full."""

    def __init__(self, *, messages_queued_max: int = MESSAGES_QUEUED_MAX) -> None:
        self.channels: set[str] = set()
        self._arrived: asyncio.Queue[Event] = asyncio.Queue(messages_queued_max)

    async def connect(self) -> None:
        await asyncio.sleep(0)

    async def disconnect(self) -> None:
        await asyncio.sleep(0)

    async def subscribe(self, group: str) -> None:
        # Yielding here shows the races that a network shows, so that no test passes only because nothing waited.
        await asyncio.sleep(0)
        self.channels.add(group)

    async def unsubscribe(self, group: str) -> None:
        await asyncio.sleep(0)
        self.channels.discard(group)

    async def publish(self, channel: str, message: Any) -> None:
        await asyncio.sleep(0)
        if channel in self.channels:
            await self._arrived.put(Event(channel, message))

    async def next_published(self) -> Event:
        return await self._arrived.get()


class RedisBackend(BroadcastBackend):
    """Redis publish/subscribe over one connection that is watched, and replaced when it is lost.

    Only this class decides when to reconnect, since each new connection has to be followed by RESYNC: redis-py's own
    PubSub reconnects without telling, so the connection is used directly.
    """

    def __init__(self, url: str, *, messages_queued_max: int = MESSAGES_QUEUED_MAX) -> None:
        self._client = Redis.from_url(
            url,
            protocol=2,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),
        )
        self._pool: ConnectionPool = self._client.connection_pool
        self._arrived: asyncio.Queue[Event] = asyncio.Queue(messages_queued_max)
        # Who waits for the confirmation of each wanted channel, and how many confirmations Redis still owes for it.
        self.channels: dict[str, list[asyncio.Future[None]]] = {}
        self._owed: dict[str, int] = {}
        self._connection: AbstractConnection | None = None
        self._writing = asyncio.Lock()
        self._supervisor: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Begin to connect. Redis may be down: the server starts all the same and hears of it when it is up."""
        self._supervisor = spawn(self._supervise(), name="broadcast:redis")

    async def disconnect(self) -> None:
        if self._supervisor:
            await cancel_and_wait(self._supervisor)
        await self._client.aclose()

    async def publish(self, channel: str, message: Any) -> None:
        """Hand one message to Redis. Raises redis.exceptions.RedisError where Redis did not take it."""
        await self._client.publish(channel, message)

    async def next_published(self) -> Event:
        return await self._arrived.get()

    async def subscribe(self, group: str) -> None:
        """Return once Redis has confirmed, or after CONFIRMATION_TIMEOUT_S: then RESYNC follows the confirmation."""
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self.channels.setdefault(group, [])
        waiting.append(confirmed)
        try:
            await self._send("SUBSCRIBE", group)
            async with asyncio.timeout(CONFIRMATION_TIMEOUT_S):
                await confirmed
        except TimeoutError:
            log.warning("broadcast.not_confirmed", waited_s=CONFIRMATION_TIMEOUT_S)
        except BaseException:
            self.channels.pop(group, None)
            raise
        finally:
            waiting.remove(confirmed)

    async def unsubscribe(self, group: str) -> None:
        self.channels.pop(group, None)
        await self._send("UNSUBSCRIBE", group)

    async def _send(self, command: str, *groups: str) -> None:
        """Send on the current connection; without one, the next connection subscribes to what is wanted then."""
        connection = self._connection
        if connection is None:
            return
        if command == "SUBSCRIBE":
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
                await asyncio.sleep(delay_s)

    async def _serve_connection(self, backoff: Backoff) -> None:
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            self._owed.clear()
            self._connection = connection
            wanted = list(self.channels)
            for start in range(0, len(wanted), CHANNELS_PER_COMMAND_MAX):
                await self._send("SUBSCRIBE", *wanted[start : start + CHANNELS_PER_COMMAND_MAX])
            await self._read(connection, backoff)
        finally:
            self._connection = None
            await connection.disconnect(nowait=True)

    async def _read(self, connection: AbstractConnection, backoff: Backoff) -> None:
        """Read until the connection is lost. Silence for two heartbeats counts as lost."""
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
        match response:
            case [b"message", bytes(channel), bytes(data)]:
                await self._arrived.put(Event(channel.decode(), data.decode(errors="replace")))
            case [b"subscribe", bytes(channel), _]:
                await self._confirm(channel.decode())
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
