"""What a price event is worth to those who follow prices, found out once for all of them.

Thousands of subscribers look at the same event at the same moment. The stations' zones come from the index in memory,
brought up to date with one statement for each event; the price stands in the event itself.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.events.ports import StoredEvent
from domain.pricing.queries import ZonePrice, current, listed, prices_by_ids
from domain.stations.geo import Location
from domain.stations.index import StationIndex
from domain.stations.tree import PlaceTree
from kernel.states import Product
from kernel.tasks import spawn

PLACES_KEPT_MAX = 4_096
PRICES_KEPT_MAX = 1_024

Zones = frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Circle:
    center: Location
    radius_m: int


@dataclass(frozen=True, slots=True)
class Everywhere:
    pass


# Whose prices are followed: some stations', those of all stations in a circle, one zone's, or everybody's.
Place = frozenset[UUID] | Circle | UUID | Everywhere


class PriceFeed:
    """One per process. Its caches are bounded and never older than the event that they are asked about."""

    def __init__(self, index: StationIndex) -> None:
        self._index = index
        self._fresh_for = 0
        self._zones: OrderedDict[Place, tuple[int, Zones]] = OrderedDict()
        self._reads: OrderedDict[int, asyncio.Task[ZonePrice | None]] = OrderedDict()

    async def reaches(self, event: StoredEvent, place: Place) -> bool:
        """Whether the event's zone is one of the place's, as stations lie now: some move between zones."""
        zone_id = UUID(event.payload["zone_id"])
        if isinstance(place, Everywhere):
            return True
        if isinstance(place, UUID):
            return place == zone_id
        if event.position > self._fresh_for:
            await self._index.current()
            self._fresh_for = max(self._fresh_for, event.position)
        return zone_id in self._zones_of(self._index.tree, place)

    async def price_of(self, event: StoredEvent) -> ZonePrice | None:
        """Return the price that the event tells of; concurrent callers share one statement where one is needed."""
        told = _told_by(event)
        if told is not None:
            return told
        reading = self._reads.get(event.position)
        if reading is None:
            reading = self._reads[event.position] = spawn(_read(event), name="feed:price")
            while len(self._reads) > PRICES_KEPT_MAX:
                self._reads.popitem(last=False)
        try:
            # Shielded, since a subscriber that leaves must not take the answer away from the others.
            return await asyncio.shield(reading)
        except Exception:
            self._reads.pop(event.position, None)
            raise

    async def prices(self, place: Place, *, product: Product | None, limit: int, now: datetime) -> list[ZonePrice]:
        """Return up to `limit` prices that are in force at the place now."""
        if isinstance(place, Everywhere):
            rows = await listed(province_code=None, product=product, after=None, limit=limit, now=now)
            return [row.price for row in rows]
        zones = frozenset({place}) if isinstance(place, UUID) else self._zones_of(await self._index.current(), place)
        found = await current(zone_ids=zones, product=product, now=now)
        return [price for zone_id in sorted(found) for price in found[zone_id]][:limit]

    def _zones_of(self, tree: PlaceTree, place: frozenset[UUID] | Circle) -> Zones:
        version, zones = self._zones.get(place, (-1, frozenset()))
        if version != self._index.version:
            found = tree.zones_in(place.center, place.radius_m) if isinstance(place, Circle) else tree.zones_of(place)
            zones = frozenset(zone_id for zone_id in found if zone_id)
            self._zones[place] = (self._index.version, zones)
            while len(self._zones) > PLACES_KEPT_MAX:
                self._zones.popitem(last=False)
        self._zones.move_to_end(place)
        return zones


def _told_by(event: StoredEvent) -> ZonePrice | None:
    """Read the price from the event; events of 0.1.0 and before have no source in them."""
    payload = event.payload
    if "source" not in payload:
        return None
    return ZonePrice(
        id=UUID(payload["price_id"]),
        zone_id=UUID(payload["zone_id"]),
        product=Product(payload["product"]),
        milliyuan=int(payload["milliyuan"]),
        effective_from=datetime.fromisoformat(payload["effective_from"]),
        source=payload["source"],
        source_url=payload["source_url"],
    )


async def _read(event: StoredEvent) -> ZonePrice | None:
    (price,) = await prices_by_ids([UUID(event.payload["price_id"])])
    return price
