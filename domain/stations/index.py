"""The nearest stations, found in memory and never older than the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from domain.events.streams import STATIONS
from domain.stations.bands import Place
from domain.stations.tree import PlaceTree
from models.events import Event
from models.joining import Joined
from models.lean import Statement, fetch
from models.stations import Station

# Loading and catching up yield to other requests after each batch.
STATIONS_PER_BATCH_MAX = 1_000
# Beyond these, reading everything anew is cheaper than following one event after another.
EVENTS_PER_CATCH_UP_MAX = 200
CHANGES_PER_CATCH_UP_MAX = 20_000
HEAD = Statement(
    postgres="SELECT position FROM event_stream WHERE name = $1",
    sqlite="SELECT position FROM event_stream WHERE name = ?1",
)
COLUMNS = ("id", "latitude", "longitude", "zone_id")


class StationIndex:
    """Follows the stream of changed stations. One per process; loaded when it is first asked.

    Every answer is at least as new as the moment it was asked for, whichever process made the change: the position of
    the stream is read each time, and only what changed since is read again.
    """

    def __init__(self) -> None:
        self._tree = PlaceTree()
        # Grows with every change of the tree, so that what was derived from it can be told apart from what is true now.
        self.version = 0
        self._position: int | None = None
        self._turn = asyncio.Lock()
        # A refresh under way may have looked before somebody asked; the next one is for all who ask meanwhile.
        self._refreshes = Joined(self._refreshed, at_once_max=1)

    @property
    def tree(self) -> PlaceTree:
        """The tree as it was when it was last brought up to date."""
        return self._tree

    async def current(self) -> PlaceTree:
        """Return the tree, brought up to date. Callers that wait share one refresh that began after they asked."""
        return await self._refreshes.load(None)

    async def _refreshed(self, askers: Sequence[None]) -> list[PlaceTree]:
        async with self._turn:
            await self._refresh()
        return [self._tree] * len(askers)

    async def _refresh(self) -> None:
        head = await _head()
        if head == self._position:
            return
        changed = await self._changed_until(head)
        if changed is None:
            await self._load()
        else:
            await self._follow(changed)
        # What was read is at least as new as the head; a change made meanwhile is read once more next time.
        self._position = head
        self.version += 1

    async def _changed_until(self, head: int) -> set[UUID] | None:
        """Return which stations changed since the tree was up to date, or None where all must be read."""
        # A head that went back belongs to another database, or to one that was restored.
        if self._position is None or not 0 < head - self._position <= EVENTS_PER_CATCH_UP_MAX:
            return None
        events = Event.filter(stream=STATIONS, position__gt=self._position, position__lte=head)
        payloads = await events.values_list("payload", flat=True)
        if len(payloads) != head - self._position:
            return None
        changed = {UUID(station_id) for payload in payloads for station_id in payload["station_ids"]}  # type: ignore[call-overload]
        return changed if len(changed) <= CHANGES_PER_CATCH_UP_MAX else None

    async def _load(self) -> None:
        # The old tree answers nobody while this one grows: callers wait for their turn.
        tree = PlaceTree()
        async for places in _all_places():
            tree.put(places)
            await asyncio.sleep(0)
        self._tree = tree

    async def _follow(self, changed: Collection[UUID]) -> None:
        ids = sorted(changed)
        for start in range(0, len(ids), STATIONS_PER_BATCH_MAX):
            batch = ids[start : start + STATIONS_PER_BATCH_MAX]
            places = _places(await Station.filter(id__in=batch).values_list(*COLUMNS))
            self._tree.put(places)
            self._tree.remove(set(batch) - {place.station_id for place in places})


async def _head() -> int:
    rows = await fetch(HEAD, STATIONS)
    return int(rows[0][0]) if rows else 0


async def _all_places() -> AsyncIterator[list[Place]]:
    last = UUID(int=0)
    while True:
        rows = Station.filter(id__gt=last).order_by("id").limit(STATIONS_PER_BATCH_MAX)
        places = _places(await rows.values_list(*COLUMNS))
        if not places:
            return
        yield places
        last = places[-1].station_id


def _places(rows: Iterable[tuple[Any, ...]]) -> list[Place]:
    # Few zones are those of many stations, and the database gives each row its own.
    seen: dict[UUID | None, UUID | None] = {}
    return [
        Place(id, latitude, longitude, seen.setdefault(zone_id, zone_id)) for id, latitude, longitude, zone_id in rows
    ]
