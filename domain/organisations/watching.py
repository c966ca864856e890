"""Who follows something of an organisation hears at once that its members have changed, in every process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from uuid import UUID

from domain.events.ports import EventSource, HistoryGone
from domain.events.queries import head
from domain.events.streams import ORGANISATIONS
from kernel.tasks import cancel_and_wait, spawn


class MembershipWatch:
    """Tells whoever watches an organisation that something of it is another; what that is, they ask the database."""

    def __init__(self) -> None:
        self._watchers: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
        self._position = 0

    async def catch_up(self) -> None:
        """Listen to what comes from now on."""
        self._position = await head(ORGANISATIONS)

    @contextmanager
    def changes(self, organisation_id: UUID) -> Iterator[asyncio.Event]:
        """Give an event that is set at every change from now on; whoever waits for it clears it."""
        changed = asyncio.Event()
        self._watchers[organisation_id].add(changed)
        try:
            yield changed
        finally:
            watching = self._watchers[organisation_id]
            watching.discard(changed)
            if not watching:
                del self._watchers[organisation_id]

    async def run(self, events: EventSource) -> None:
        """Listen; ends only when it is cancelled."""
        while True:
            try:
                async with aclosing(events.follow(ORGANISATIONS, after=self._position)) as following:
                    async for event in following:
                        self._tell(UUID(str(event.payload["organisation_id"])))
                return
            except HistoryGone:
                await self.catch_up()
                for organisation_id in list(self._watchers):
                    self._tell(organisation_id)

    def _tell(self, organisation_id: UUID) -> None:
        for changed in self._watchers.get(organisation_id, ()):
            changed.set()


@asynccontextmanager
async def membership_watch(events: EventSource) -> AsyncIterator[MembershipWatch]:
    """Give a watch that listens for as long as the context lasts."""
    watch = MembershipWatch()
    await watch.catch_up()
    running = spawn(watch.run(events), name="organisations")
    try:
        yield watch
    finally:
        await cancel_and_wait(running)
