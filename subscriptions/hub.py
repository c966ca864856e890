"""The hub: one broadcaster subscription per channel and process, shared by everybody in it who follows that stream.

The broadcaster may lose, repeat and reorder messages. Positions make that harmless: a stream's positions have no gaps
and are committed in order, so whatever is missing is read back from the event table, and nothing is delivered twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextvars import copy_context
from typing import TypeVar

from broadcaster import Broadcast, Event

from domain.events import messages, queries
from domain.events.messages import MessageMalformed
from domain.events.ports import HistoryGone, StoredEvent
from kernel.backoff import Backoff
from kernel.logs import get_logger
from kernel.settings import Settings
from kernel.tasks import spawn

log = get_logger(__name__)

PAGE_SIZE = 200
STREAMS_PER_CHECK_MAX = 500

T = TypeVar("T")


async def steadily(work: Callable[[], Awaitable[T]], *, doing: str) -> T:
    """Do the work, again and again with growing delays where it fails: a stream outlives its database's restart."""
    backoff = Backoff()
    while True:
        try:
            return await work()
        except Exception as error:
            delay_s = backoff.next_delay_s()
            log.warning("stream.retrying", doing=doing, error=type(error).__name__, retry_in_s=round(delay_s, 3))
            await asyncio.sleep(delay_s)


class Follower:
    """One reader of a stream: what waits for it, and whether it has to read the table because more did not fit."""

    def __init__(self, *, queue_size_max: int) -> None:
        self.position = 0
        self.behind = False
        self.ended = asyncio.Event()
        self.waiting: deque[StoredEvent] = deque()
        self._queue_size_max = queue_size_max
        self._changed = asyncio.Event()

    def offer(self, event: StoredEvent) -> None:
        if self.behind:
            return
        if len(self.waiting) >= self._queue_size_max:
            self.fall_behind()
            return
        self.waiting.append(event)
        self._changed.set()

    def fall_behind(self) -> None:
        """Forget what waits; all of it is in the table, behind the position that the reader has reached."""
        self.waiting.clear()
        self.behind = True
        self._changed.set()

    def end(self) -> None:
        self.ended.set()
        self._changed.set()

    async def wait(self) -> None:
        while not (self.waiting or self.behind or self.ended.is_set()):
            self._changed.clear()
            await self._changed.wait()


class Channel:
    """One stream as this process hears it: `position` is the newest event that the followers were offered."""

    def __init__(self, name: str, heard: Callable[[StoredEvent], None]) -> None:
        self.name, self._heard = name, heard
        self.position = 0
        self.followers: set[Follower] = set()
        self.ready = asyncio.Event()
        self.stopping = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._interruptible = False

    def offer(self, events: Iterable[StoredEvent]) -> bool:
        """Pass on the events that come next and leave out those already passed on; False where one is missing."""
        for event in events:
            if event.position > self.position + 1:
                return False
            if event.position == self.position + 1:
                self.position = event.position
                # First what was kept from before it is forgotten: who is told of the event may ask at once.
                self._heard(event)
                for follower in self.followers:
                    follower.offer(event)
        return True

    def skip_to(self, position: int) -> None:
        """Go on behind events that are deleted; each follower finds out for itself whether it misses them."""
        if position > self.position:
            self.position = position
            for follower in self.followers:
                follower.fall_behind()

    def stop(self) -> None:
        """Unsubscribe and end. Subscribing itself is never interrupted, as half of it would stay behind."""
        self.stopping.set()
        if self._interruptible and self.task:
            self.task.cancel()

    async def until_stopped(self, work: Coroutine[object, object, None]) -> None:
        """Do the work, in the channel's own task; `stop` ends it here and nowhere else."""
        if self.stopping.is_set():
            work.close()
            return
        self._interruptible = True
        try:
            await work
        except asyncio.CancelledError:
            if not self.stopping.is_set():
                raise
            assert self.task is not None
            self.task.uncancel()
        finally:
            self._interruptible = False


class Hub:
    """An EventSource for every subscription of this process; `close` ends them all."""

    def __init__(
        self, broadcast: Broadcast, settings: Settings, *, heard: Callable[[StoredEvent], None] = lambda _event: None
    ) -> None:
        """`heard` is called with each event before anybody who follows it."""
        self._broadcast, self._heard = broadcast, heard
        self._queue_size_max = settings.subscription_queue_size_max
        self._check_interval_s = settings.subscription_check_interval_ms / 1_000
        self._channels: dict[str, Channel] = {}
        self._doubtful: set[str] = set()
        self._doubted = asyncio.Event()
        self._checker: asyncio.Task[None] | None = None
        self._closed = False
        # Channels outlive the request that opened them, so they do not run in its context.
        self._context = copy_context()

    async def follow(self, stream: str, *, after: int | None) -> AsyncGenerator[StoredEvent, None]:
        """Yield the events behind position `after`, then new ones as they are committed, in order, each once.

        None starts with what is committed after the first step of the generator. Ends when the hub is closed; errors
        of the database and the broadcaster are waited out. The generator must be closed by its reader. Raises
        HistoryGone where the next event is deleted.
        """
        follower = Follower(queue_size_max=self._queue_size_max)
        channel = await self._join(stream, follower)
        if channel is None:
            return
        try:
            await channel.ready.wait()
            if after is None and not follower.ended.is_set():
                follower.position = await steadily(lambda: queries.head(stream), doing="start")
            elif after is not None:
                follower.position = after
                follower.behind = after < channel.position
            while not follower.ended.is_set():
                if follower.behind:
                    for event in await self._read_back(channel, follower):
                        follower.position = event.position
                        yield event
                        if follower.ended.is_set():
                            return
                elif follower.waiting:
                    event = follower.waiting.popleft()
                    if event.position == follower.position + 1:
                        follower.position = event.position
                        yield event
                    elif event.position > follower.position:
                        follower.fall_behind()
                else:
                    await follower.wait()
        finally:
            self._leave(channel, follower)

    async def close(self) -> None:
        """End every follower, unsubscribe from every channel, and return once that is done."""
        self._closed = True
        tasks = [channel.task for channel in self._channels.values() if channel.task]
        for channel in list(self._channels.values()):
            for follower in channel.followers:
                follower.end()
            channel.stop()
            channel.ready.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._checker:
            self._checker.cancel()
            await asyncio.gather(self._checker, return_exceptions=True)

    async def _read_back(self, channel: Channel, follower: Follower) -> list[StoredEvent]:
        # Cleared before reading: what is offered from now on is queued, and what was offered before is in the table.
        follower.behind, newest = False, channel.position
        page = await steadily(
            lambda: queries.after(channel.name, position=follower.position, limit=PAGE_SIZE), doing="read back"
        )
        next_position = page[0].position if page else newest + 1
        if next_position > follower.position + 1:
            raise HistoryGone
        if len(page) == PAGE_SIZE:
            follower.fall_behind()
        return page

    async def _join(self, stream: str, follower: Follower) -> Channel | None:
        while not self._closed:
            channel = self._channels.get(stream)
            if channel is None:
                channel = self._channels[stream] = Channel(stream, self._heard)
                channel.task = self._context.copy().run(spawn, self._serve(channel), name=f"channel:{stream}")
                if self._checker is None or self._checker.done():
                    self._checker = self._context.copy().run(spawn, self._check(), name="channels:check")
            if not channel.stopping.is_set():
                channel.followers.add(follower)
                return channel
            assert channel.task is not None
            await asyncio.wait([channel.task])
        return None

    def _leave(self, channel: Channel, follower: Follower) -> None:
        channel.followers.discard(follower)
        if not channel.followers and not channel.stopping.is_set():
            channel.stop()

    async def _serve(self, channel: Channel) -> None:
        """Subscribe, feed the followers until the last one has left, unsubscribe; begin again after an error."""
        backoff = Backoff()
        while not channel.stopping.is_set():
            try:
                async with self._broadcast.subscribe(channel.name) as subscriber:
                    await channel.until_stopped(self._feed(channel, subscriber.get))
            except Exception as error:
                delay_s = backoff.next_delay_s()
                log.warning("channel.failed", error=type(error).__name__, retry_in_s=round(delay_s, 3))
                await channel.until_stopped(asyncio.sleep(delay_s))
        del self._channels[channel.name]
        if not self._channels:
            self._doubted.set()

    async def _feed(self, channel: Channel, receive: Callable[[], Awaitable[Event]]) -> None:
        if channel.ready.is_set():
            await self._fill(channel)
        else:
            channel.position = await steadily(lambda: queries.head(channel.name), doing="subscribe")
            channel.ready.set()
        while True:
            message = await receive()
            try:
                event = messages.decode(channel.name, message.message)
            except MessageMalformed:
                self._doubt(channel)
                continue
            if not channel.offer([event]):
                await self._fill(channel)

    async def _fill(self, channel: Channel) -> None:
        """Read what the channel missed from the table, once for all of its followers."""
        while True:
            position = channel.position
            page = await steadily(
                lambda position=position: queries.after(channel.name, position=position, limit=PAGE_SIZE),  # type: ignore[misc]
                doing="fill a gap",
            )
            if page and page[0].position > position + 1:
                channel.skip_to(page[0].position - 1)
            channel.offer(page)
            if len(page) < PAGE_SIZE:
                return

    def _doubt(self, channel: Channel) -> None:
        self._doubtful.add(channel.name)
        self._doubted.set()

    async def _check(self) -> None:
        """Compare channels with the table: at once those in doubt, and all of them now and then.

        The last message of a stream leaves no gap when it is lost, so only looking finds it.
        """
        while self._channels:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._check_interval_s):
                    await self._doubted.wait()
            names = list(self._doubtful or self._channels)
            self._doubtful.clear()
            self._doubted.clear()
            for start in range(0, len(names), STREAMS_PER_CHECK_MAX):
                await self._check_streams(names[start : start + STREAMS_PER_CHECK_MAX])

    async def _check_streams(self, names: list[str]) -> None:
        heads = await steadily(lambda: queries.heads(names), doing="check")
        for name, head in heads.items():
            channel = self._channels.get(name)
            if channel and channel.ready.is_set() and channel.position < head:
                await self._fill(channel)
