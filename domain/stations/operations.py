"""Writing stations and the zones they lie in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from domain.events.operations import append
from domain.events.streams import STATIONS, EventType
from domain.pricing.queries import zone_map
from domain.pricing.records import CREATED, UNCHANGED, UPDATED, Outcome
from domain.pricing.rules import ZoneMap
from domain.pricing.statements import hold
from domain.stations.records import StationRecord
from kernel.ids import new_id
from models.database import transactional
from models.stations import Station

STATIONS_PER_EVENT_MAX = 500
STATIONS_PER_BATCH_MAX = 500
ROWS_PER_UPDATE_MAX = 100
# What an import may change; the zone follows from it.
COLUMNS = ("name", "brand", "address", "province", "city", "district", "latitude", "longitude")


@transactional
async def load(*, records: Sequence[StationRecord], now: datetime) -> list[Outcome]:
    """Create or update stations by their source key, each at most once per call, and tell of those that changed.

    The zones are read behind the lock, so that a change of zones either is seen here or finds these stations later.
    """
    await hold(STATIONS)
    zones = await zone_map()
    known = {row.source_key: row for row in await Station.filter(source_key__in=[one.source_key for one in records])}
    outcomes: list[Outcome] = []
    created: list[Station] = []
    changed: list[Station] = []
    for record in records:
        row = known.get(record.source_key)
        values = {column: getattr(record, column) for column in COLUMNS}
        values["zone_id"] = _zone_of(record, zones)
        if row is None:
            created.append(Station(id=new_id(), source_key=record.source_key, created_at=now, updated_at=now, **values))
            outcomes.append(CREATED)
        elif any(getattr(row, column) != value for column, value in values.items()):
            row.update_from_dict({**values, "updated_at": now})
            changed.append(row)
            outcomes.append(UPDATED)
        else:
            outcomes.append(UNCHANGED)
    if created:
        await Station.bulk_create(created)
    if changed:
        await Station.bulk_update(changed, [*COLUMNS, "zone_id", "updated_at"], batch_size=ROWS_PER_UPDATE_MAX)
    await _tell([row.id for row in (*created, *changed)], now)
    return outcomes


async def assign_zones(*, now: datetime) -> int:
    """Find the zone of every station again, write those that moved, and return how many did.

    Run it after zones or regions changed. It goes through the stations in batches, each in its own transaction.
    """
    moved, last = 0, UUID(int=0)
    while True:
        seen, count = await _assign_batch(last, now)
        if seen is None:
            return moved
        moved, last = moved + count, seen


@transactional
async def _assign_batch(after: UUID, now: datetime) -> tuple[UUID | None, int]:
    await hold(STATIONS)
    rows = await Station.filter(id__gt=after).order_by("id").limit(STATIONS_PER_BATCH_MAX)
    if not rows:
        return None, 0
    zones = await zone_map()
    moved = []
    for row in rows:
        zone_id = _zone_of(row, zones)
        if zone_id != row.zone_id:
            row.zone_id, row.updated_at = zone_id, now
            moved.append(row)
    if moved:
        await Station.bulk_update(moved, ["zone_id", "updated_at"], batch_size=ROWS_PER_UPDATE_MAX)
    await _tell([row.id for row in moved], now)
    return rows[-1].id, len(moved)


@transactional
async def remove(*, source_keys: Collection[str], now: datetime) -> int:
    """Delete the stations with these source keys and return how many there were."""
    await hold(STATIONS)
    rows = await Station.filter(source_key__in=list(source_keys))
    if rows:
        await Station.filter(id__in=[row.id for row in rows]).delete()
    await _tell([row.id for row in rows], now)
    return len(rows)


def _zone_of(place: Station | StationRecord, zones: ZoneMap) -> UUID | None:
    return zones.zone_of(province=place.province, city=place.city, district=place.district)


async def _tell(station_ids: Sequence[UUID], now: datetime) -> None:
    for start in range(0, len(station_ids), STATIONS_PER_EVENT_MAX):
        ids = [str(station_id) for station_id in station_ids[start : start + STATIONS_PER_EVENT_MAX]]
        await append(stream=STATIONS, type=EventType.STATIONS_CHANGED, payload={"station_ids": ids}, now=now)
