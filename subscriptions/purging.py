"""Keeping what this process has kept of answers true: it hears of every change, its own and those of other processes.

What changes here is forgotten at the commit, before anybody is answered. Over Redis all processes tell each other, and
each hears its own messages too: that one comes back says that everything which was sent before it was heard. Without
such a sign for `response_cache_deaf_max_ms` nothing is found, and what was kept is forgotten when one comes again. A
process that keeps nothing tells the others, and does not listen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

from broadcaster import Broadcast, Event
from prometheus_client import Counter, Gauge

from domain.events import purges
from domain.events.messages import MessageMalformed
from domain.events.ports import StoredEvent
from domain.events.telling import Teller
from kernel.backoff import Backoff
from kernel.fragments import Fragments
from kernel.logs import get_logger
from kernel.settings import Settings
from kernel.tagged_cache import TaggedCache
from kernel.tasks import cancel_and_wait, spawn
from models import changes
from models.changes import Changes
from subscriptions.fragments import PURGED as FRAGMENTS_PURGED
from subscriptions.hub import Hub

log = get_logger(__name__)

PURGED = Counter("youka_answers_purged_total", "How many kept answers were forgotten since what they show was changed")
CLEARED = Counter(
    "youka_answer_caches_cleared_total", "How often everything was forgotten, since changes may have gone unheard"
)
KEPT_BYTES = Gauge("youka_answers_kept_bytes", "The bytes that kept answers take")
# So many signs may be lost before nothing is found any more.
BEATS_PER_LEASE = 4


class Purger:
    """Purges one process's cache, and its fragments. Times are those of the cache's clock."""

    def __init__(
        self,
        cache: TaggedCache[Any],
        broadcast: Broadcast,
        settings: Settings,
        *,
        fragments: Fragments | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache, self._broadcast, self._clock = cache, broadcast, clock
        self._fragments = Fragments(0, tags=()) if fragments is None else fragments
        self._alone = not settings.redis_url
        self._lease_s = settings.response_cache_deaf_max_ms / 1_000
        self._keeps = cache.has_room or self._fragments.has_room
        hears_itself = self._keeps and not self._alone
        self._teller = Teller(broadcast.publish, beat_s=self._lease_s / BEATS_PER_LEASE if hears_itself else None)
        self._sent: dict[int, float] = {}
        if not self._alone:
            cache.open_until = self._fragments.open_until = 0.0

    @property
    def origin(self) -> str:
        """How this process is called in the messages that it sends."""
        return self._teller.origin

    def changed(self, found: Changes) -> None:
        """Forget what this process has changed, and tell the others."""
        tags = purges.tags_of_changes(found)
        if tags:
            self._purge(tags)
            if not self._alone:
                self._teller.tell(tags)

    def heard(self, event: StoredEvent) -> None:
        """Forget what an event makes out of date."""
        tags = purges.tags_of_event(event)
        if tags:
            self._purge(tags)

    async def run(self) -> None:
        """Listen, and tell, until it is cancelled; where there is neither to do it ends."""
        work = [spawn(self._listen(), name="purges:listen")] if self._keeps else []
        if not self._alone:
            work.append(spawn(self._teller.run(self._beat), name="purges:tell"))
        try:
            await asyncio.gather(*work)
        finally:
            await cancel_and_wait(*work)

    def _purge(self, tags: Collection[str]) -> None:
        if purges.EVERYTHING in tags:
            self._clear()
        else:
            for counter, forgotten in (
                (PURGED, self._cache.purge(tags)),
                (FRAGMENTS_PURGED, self._fragments.purge(tags)),
            ):
                if forgotten:
                    counter.inc(forgotten)

    def _clear(self) -> None:
        CLEARED.inc()
        self._cache.clear()
        self._fragments.clear()

    def _beat(self, number: int) -> None:
        if not self._keeps:
            # It would not hear them again.
            return
        now = self._clock()
        while self._sent and next(iter(self._sent.values())) <= now - self._lease_s:
            del self._sent[next(iter(self._sent))]
        self._sent[number] = now

    async def _listen(self) -> None:
        backoff = Backoff()
        while True:
            try:
                async with self._broadcast.subscribe(purges.CHANNEL) as subscriber:
                    self._clear()
                    while True:
                        self._take(await subscriber.get())
                        backoff.reset()
            except Exception as error:
                delay_s = backoff.next_delay_s()
                log.warning("purges.not_heard", error=type(error).__name__, retry_in_s=round(delay_s, 3))
                await asyncio.sleep(delay_s)

    def _take(self, message: Event) -> None:
        try:
            purge = purges.decode(message.message)
        except MessageMalformed:
            # Whatever carries the messages says so that some may be lost.
            self._clear()
            return
        if purge.origin != self.origin:
            self._purge(purge.tags)
            return
        sent = self._sent.pop(purge.number, None)
        if sent is not None:
            if self._clock() >= self._cache.open_until:
                self._clear()
            self._cache.open_until = max(self._cache.open_until, sent + self._lease_s)
            self._fragments.open_until = self._cache.open_until


@asynccontextmanager
async def hearing(
    broadcast: Broadcast, settings: Settings, *, fragments: Fragments | None = None
) -> AsyncIterator[tuple[Hub, TaggedCache[Any]]]:
    """Give the process's hub, and a cache that forgets what an event makes out of date before it is passed on.

    So do the fragments.
    """
    cache = TaggedCache[Any](settings.response_cache_size_max_bytes)
    KEPT_BYTES.set_function(lambda: cache.size_bytes)
    purger = Purger(cache, broadcast, settings, fragments=fragments)
    hub = Hub(broadcast, settings, heard=purger.heard)
    async with purging(purger):
        try:
            yield hub, cache
        finally:
            await hub.close()


@asynccontextmanager
async def purging(purger: Purger) -> AsyncIterator[None]:
    """Keep the cache true for as long as the context lasts."""
    with changes.listening(purger.changed):
        running = spawn(purger.run(), name="purges")
        try:
            yield
        finally:
            await cancel_and_wait(running)
