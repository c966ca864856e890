"""The relay: what the event table says, the broadcaster is told, at least once and soon after the commit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from domain.events import messages, operations, queries, signals
from domain.events.queries import UnpublishedEvent
from jobs.wakes import listen_for_wakes
from kernel.backoff import Backoff
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.settings import Settings
from kernel.tasks import cancel_and_wait, spawn

log = get_logger(__name__)

DRAIN_TIMEOUT_S = 5.0


class Publisher(Protocol):
    """Whatever carries a message to the hubs: the server's broadcaster, or Redis where there is no hub."""

    async def publish(self, channel: str, message: Any) -> None:
        """Send one message. Raises where it could not be handed over."""


class Relay:
    """Publishes what is committed and not yet marked, then marks it.

    A message may go out twice (a crash between sending and marking, a second relay) and never not at all. No
    transaction is open while a message is sent. Errors of the database and of the broadcaster are logged and tried
    again with growing delays; they never end the relay.
    """

    def __init__(self, publisher: Publisher, settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._publisher = publisher
        self._clock = clock
        self._batch_size_max = settings.relay_batch_size_max
        self._poll_interval_s = settings.relay_poll_interval_ms / 1_000
        self._redis_url = settings.redis_url
        self._stopping = asyncio.Event()
        self._poked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def poke(self) -> None:
        """Say that there is something to publish; a relay of this process learns of each commit without it."""
        self._poked.set()

    async def start(self) -> None:
        self._tasks.append(spawn(self._run(), name="relay"))
        if self._redis_url:
            self._tasks.append(spawn(listen_for_wakes(self._redis_url, self.poke), name="relay:wakes"))

    async def stop(self) -> None:
        """Publish what is there, once and within DRAIN_TIMEOUT_S, and end. Does nothing where it was never started."""
        self._stopping.set()
        self._poked.set()
        if not self._tasks:
            return
        relaying, *listening = self._tasks
        await cancel_and_wait(*listening)
        try:
            await asyncio.wait_for(relaying, DRAIN_TIMEOUT_S)
        except TimeoutError:
            log.warning("relay.not_drained", waited_s=DRAIN_TIMEOUT_S)
        self._tasks.clear()

    async def _run(self) -> None:
        backoff = Backoff()
        with signals.listening() as self._poked:
            while not self._stopping.is_set():
                self._poked.clear()
                if await self._try_to_publish_all():
                    backoff.reset()
                    await _wait(self._poked, self._poll_interval_s)
                else:
                    await _wait(self._stopping, backoff.next_delay_s())
            await self._try_to_publish_all()

    async def _try_to_publish_all(self) -> bool:
        try:
            while await self._publish_batch() == self._batch_size_max:
                pass
        except Exception as error:
            log.warning("relay.failed", error=type(error).__name__, detail=str(error))
            return False
        return True

    async def _publish_batch(self) -> int:
        """Publish and mark one batch; return how many events it had."""
        batch = await queries.unpublished(limit=self._batch_size_max)
        sent: list[UnpublishedEvent] = []
        try:
            for item in batch:
                await self._publisher.publish(item.event.stream, messages.encode(item.event))
                sent.append(item)
        finally:
            # What went out before an error is marked all the same, so that it goes out again only where this fails too.
            if sent:
                await operations.mark_published(ids=[item.id for item in sent], now=self._clock())
        return len(batch)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
