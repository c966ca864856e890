"""Telling every process what this one has changed, right after the commit.

The event of a change follows, by the relay, and tells of it once more; so nothing is retried for long here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from uuid import uuid4

from domain.events import purges
from kernel.backoff import Backoff
from kernel.logs import get_logger
from kernel.tasks import spawn
from models import changes
from models.changes import Changes

log = get_logger(__name__)

Publish: TypeAlias = Callable[[str, Any], Awaitable[None]]

LEAVING_WITHIN_S = 2.0
# After it has told something it waits so long, for what is changed meanwhile goes in one message.
PAUSE_S = 0.005


class Teller:
    """Sends the tags of what was changed, those of one moment together; and, with a beat, that it is still there.

    `sent` is called with each beat as it is handed over, so that whoever hears it come back knows how old it is.
    """

    def __init__(self, publish: Publish, *, beat_s: float | None = None) -> None:
        self.origin = uuid4().hex
        self.beats = 0
        self._publish, self._beat_s = publish, beat_s
        self._waiting: set[str] = set()
        self._changed = asyncio.Event()
        self._leaving = False

    def tell(self, tags: Collection[str]) -> None:
        if tags:
            self._waiting.update(tags)
            self._changed.set()

    def leave(self) -> None:
        """Send what waits, and end."""
        self._leaving = True
        self._changed.set()

    async def run(self, sent: Callable[[int], None] = lambda _beat: None) -> None:
        backoff = Backoff()
        while not self._leaving or self._waiting:
            if not self._waiting and not self._leaving:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._beat_s):
                        await self._changed.wait()
            self._changed.clear()
            tags, self._waiting = self._waiting, set()
            if not tags and (self._leaving or self._beat_s is None):
                continue
            self.beats += 1
            sent(self.beats)
            try:
                await self._publish(purges.CHANNEL, purges.encode(self.origin, self.beats, tags))
                backoff.reset()
                if tags and not self._leaving:
                    await asyncio.sleep(PAUSE_S)
            except Exception as error:
                self._waiting |= tags
                delay_s = backoff.next_delay_s()
                log.warning("purges.not_sent", error=type(error).__name__, retry_in_s=round(delay_s, 3))
                await asyncio.sleep(delay_s)


@asynccontextmanager
async def telling(publish: Publish) -> AsyncIterator[None]:
    """Tell what this process changes for as long as the context lasts; it keeps no answers of its own."""
    teller = Teller(publish)

    def changed(found: Changes) -> None:
        teller.tell(purges.tags_of_changes(found))

    running = spawn(teller.run(), name="purges")
    try:
        with changes.listening(changed):
            yield
    finally:
        teller.leave()
        await asyncio.wait([running], timeout=LEAVING_WITHIN_S)
        running.cancel()
