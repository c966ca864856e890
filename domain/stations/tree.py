"""The places of all stations in memory, in SQLite's R*Tree (https://www.sqlite.org/rtree.html)."""

from __future__ import annotations

import heapq
import math
import sqlite3
import weakref
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from domain.stations.geo import EARTH_RADIUS_M, MM_PER_M, Location, boxes_around, distance_m

# Where the search begins: in a city this circle holds a page of stations.
FIRST_REACH_M = 1_000.0
GROWTH_MIN, GROWTH_MAX = 1.5, 3.0
# The estimate aims beyond what is missing, since another round costs more than a few surplus stations.
GROWTH_SURPLUS = 1.3
WHOLE_GLOBE_M = math.pi * EARTH_RADIUS_M

TABLES = """
CREATE VIRTUAL TABLE place USING rtree(
    number, south, north, west, east, +station BLOB, +latitude REAL, +longitude REAL, +zone BLOB, +brand TEXT
);
CREATE TABLE known (station BLOB PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
"""
# The tree keeps corners as 32-bit floats, rounded outwards; the exact place stands in the columns beside them.
INSIDE = "FROM place WHERE north >= ? AND south <= ? AND east >= ? AND west <= ?"


class SpatialIndexMissing(RuntimeError):
    """Python's SQLite was built without the R*Tree module, which the search for stations needs."""


@dataclass(frozen=True, slots=True)
class Place:
    """What the index knows of a station."""

    station_id: UUID
    latitude: float
    longitude: float
    zone_id: UUID | None
    brand: str


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """Where a station stands in the list of the nearest ones: by distance, then by id."""

    distance_mm: int
    station_id: UUID


@dataclass(frozen=True, slots=True)
class Found:
    spot: Spot
    zone_id: UUID | None


class PlaceTree:
    """A set of places that answers what is near. It does no I/O and never waits."""

    def __init__(self) -> None:
        # Closed when nobody searches it any more: a search may outlive the index that replaced this tree.
        self._database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        weakref.finalize(self, self._database.close)
        try:
            self._database.executescript(TABLES)
        except sqlite3.OperationalError as error:
            raise SpatialIndexMissing(
                f"this Python's SQLite {sqlite3.sqlite_version} has no usable R*Tree ({error}); use a Python whose "
                "sqlite3 module is built with SQLITE_ENABLE_RTREE, as those of Debian, python.org and uv are"
            ) from error
        self._next_number = 1

    def __len__(self) -> int:
        return int(self._database.execute("SELECT COUNT(*) FROM known").fetchone()[0])

    def put(self, places: Iterable[Place]) -> None:
        """Add places, or move those that are known."""
        places = list(places)
        self._database.execute("BEGIN")
        try:
            self._forget(place.station_id for place in places)
            numbered = list(enumerate(places, start=self._next_number))
            self._next_number += len(numbered)
            self._database.executemany(
                "INSERT INTO known VALUES (?, ?)", ((place.station_id.bytes, number) for number, place in numbered)
            )
            self._database.executemany(
                "INSERT INTO place VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        number,
                        place.latitude,
                        place.latitude,
                        place.longitude,
                        place.longitude,
                        place.station_id.bytes,
                        place.latitude,
                        place.longitude,
                        place.zone_id.bytes if place.zone_id else None,
                        place.brand,
                    )
                    for number, place in numbered
                ),
            )
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def remove(self, station_ids: Collection[UUID]) -> None:
        self._forget(station_ids)

    def _forget(self, station_ids: Iterable[UUID]) -> None:
        for station_id in station_ids:
            known = self._database.execute("SELECT number FROM known WHERE station = ?", (station_id.bytes,)).fetchone()
            if known:
                self._database.execute("DELETE FROM place WHERE number = ?", known)
                self._database.execute("DELETE FROM known WHERE station = ?", (station_id.bytes,))

    def zones_within(self, center: Location, radius_m: float) -> set[UUID | None]:
        """Return the zones of the stations within the radius, and perhaps of some just outside it."""
        zones: set[UUID | None] = set()
        for box in boxes_around(center, radius_m):
            rows = self._database.execute(
                f"SELECT DISTINCT zone {INSIDE}",
                (box.south, box.north, box.west, box.east),
            )
            zones.update(UUID(bytes=zone) if zone else None for (zone,) in rows)
        return zones

    def zones_in(self, center: Location, radius_m: float) -> set[UUID | None]:
        """Return the zones of the stations within the radius, and of no other."""
        zones: set[UUID | None] = set()
        for box in boxes_around(center, radius_m):
            rows = self._database.execute(
                f"SELECT latitude, longitude, zone {INSIDE}",
                (box.south, box.north, box.west, box.east),
            )
            for latitude, longitude, zone in rows:
                if distance_m(center.latitude, center.longitude, latitude, longitude) <= radius_m:
                    zones.add(UUID(bytes=zone) if zone else None)
        return zones

    def zones_of(self, station_ids: Iterable[UUID]) -> set[UUID | None]:
        """Return the zones of these stations; of those that it does not know, none."""
        zones: set[UUID | None] = set()
        for station_id in station_ids:
            row = self._database.execute(
                "SELECT zone FROM known JOIN place USING (number) WHERE known.station = ?", (station_id.bytes,)
            ).fetchone()
            if row:
                zones.add(UUID(bytes=row[0]) if row[0] else None)
        return zones

    def nearest(
        self,
        center: Location,
        *,
        radius_m: float,
        limit: int,
        after: Spot | None = None,
        zones: Collection[UUID | None] | None = None,
    ) -> list[Found]:
        """Return up to `limit` stations within the radius and behind `after`, nearest first.

        With `zones`, only stations in those; None among them stands for the stations that have no zone. The circle
        grows until it holds enough, so that the cost follows the answer and not the radius.
        """
        wanted = None if zones is None else {zone.bytes if zone else None for zone in zones}
        beyond = (after.distance_mm, after.station_id.bytes) if after else (-1, b"")
        radius_m = min(radius_m, WHOLE_GLOBE_M)
        reach_m = min(radius_m, max(FIRST_REACH_M, beyond[0] / MM_PER_M * GROWTH_SURPLUS))
        while True:
            found = [
                (distance_mm, station, zone)
                for distance_mm, station, zone in self._within(center, reach_m)
                if (distance_mm, station) > beyond and (wanted is None or zone in wanted)
            ]
            if len(found) >= limit or reach_m >= radius_m:
                break
            growth = math.sqrt(limit / len(found)) * GROWTH_SURPLUS if found else GROWTH_MAX
            reach_m = min(radius_m, reach_m * min(GROWTH_MAX, max(GROWTH_MIN, growth)))
        return [
            Found(Spot(distance_mm, UUID(bytes=station)), UUID(bytes=zone) if zone else None)
            for distance_mm, station, zone in heapq.nsmallest(limit, found, key=lambda row: row[:2])
        ]

    def _within(self, center: Location, radius_m: float) -> Iterator[tuple[int, bytes, bytes | None]]:
        radius_mm = math.floor(radius_m * MM_PER_M)
        for box in boxes_around(center, radius_m):
            rows = self._database.execute(
                f"SELECT latitude, longitude, station, zone {INSIDE}",
                (box.south, box.north, box.west, box.east),
            )
            for latitude, longitude, station, zone in rows:
                distance_mm = round(distance_m(center.latitude, center.longitude, latitude, longitude) * MM_PER_M)
                if distance_mm <= radius_mm:
                    yield distance_mm, station, zone
