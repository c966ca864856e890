"""The relay: what the event table says, the broadcaster is told, at least once and soon after the commit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from domain.events import messages, operations, purges, queries, signals
from domain.events.queries import UnpublishedEvent
from jobs.wakes import listen_for_wakes
from kernel.backoff import Backoff
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.settings import Settings
from kernel.tasks import cancel_and_wait, spawn

log = get_logger(__name__)

DRAIN_TIMEOUT_S = 5.0
RELAY = "relay"
# After it has published something the relay waits so long: what commits meanwhile goes out together. Nobody sees the
# difference, and reading and marking cost as much for one event as for a dozen.
PAUSE_S = 0.025


class Publisher(Protocol):
    """Whatever carries a message to the hubs: the server's broadcaster, or Redis where there is no hub."""

    async def publish(self, channel: str, message: Any) -> None:
        """Send one message. Raises where it could not be handed over."""


@runtime_checkable
class BatchPublisher(Publisher, Protocol):
    """A publisher that many messages cost little more than one."""

    async def publish_all(self, messages: Sequence[tuple[str, str]]) -> None:
        """Send messages with their channels, in their order. Raises where not all of them were handed over."""


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
        with signals.listening(relays=True) as self._poked:
            while not self._stopping.is_set():
                self._poked.clear()
                published = await self._try_to_publish_all()
                if published is not None:
                    backoff.reset()
                    if published:
                        await _wait(self._stopping, PAUSE_S)
                    await _wait(self._poked, self._poll_interval_s)
                else:
                    await _wait(self._stopping, backoff.next_delay_s())
            await self._try_to_publish_all()

    async def _try_to_publish_all(self) -> int | None:
        """Return how many events were published, None where it did not work."""
        published = 0
        try:
            while (size := await self._publish_batch()) == self._batch_size_max:
                published += size
        except Exception as error:
            log.warning("relay.failed", error=type(error).__name__, detail=str(error))
            return None
        return published + size

    async def _publish_batch(self) -> int:
        """Publish and mark one batch; return how many events it had."""
        batch = await queries.unpublished(limit=self._batch_size_max)
        sent: list[UnpublishedEvent] = []
        try:
            await self._publish(batch, sent)
        finally:
            # What went out before an error is marked all the same, so that it goes out again only where this fails too.
            if sent:
                await operations.mark_published(ids=[item.id for item in sent], now=self._clock())
        return len(batch)

    async def _publish(self, batch: Sequence[UnpublishedEvent], sent: list[UnpublishedEvent]) -> None:
        """Publish the batch, and add to `sent` what went out."""
        told = [(item.event.stream, messages.encode(item.event)) for item in batch]
        # Before the events: who is told of a change must not be answered with what was kept from before it.
        tags = frozenset[str]().union(*(purges.tags_of_event(item.event) for item in batch))
        first = [(purges.CHANNEL, purges.encode(RELAY, 0, tags))] if tags else []
        if isinstance(self._publisher, BatchPublisher):
            if told:
                await self._publisher.publish_all([*first, *told])
                sent.extend(batch)
            return
        for message in first:
            await self._publisher.publish(*message)
        for item, message in zip(batch, told, strict=True):
            await self._publisher.publish(*message)
            sent.append(item)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
