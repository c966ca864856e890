"""The places of all stations in memory, in SQLite's R*Tree (https://www.sqlite.org/rtree.html)."""

from __future__ import annotations

import math
import sqlite3
import weakref
from collections.abc import Collection, Iterable
from typing import NamedTuple, TypeAlias
from uuid import UUID

from domain.stations.geo import EARTH_RADIUS_M, MM_PER_M, Location, boxes_around, distance_m

# Where the search begins, until it is known how far it had to go from there.
FIRST_REACH_M = 1_000.0
GROWTH_MIN, GROWTH_MAX = 1.5, 3.0
# The estimate aims beyond what is missing, since another round costs more than a few surplus stations.
GROWTH_SURPLUS = 1.3
WHOLE_GLOBE_M = math.pi * EARTH_RADIUS_M
# How far a search had to go is remembered by squares of so many to the degree, each about 5 km wide.
SQUARES_PER_DEGREE = 20
SQUARES_MAX = 50_000
# Chords put places in the order of their distances, but for what rounding may do: little, except across the globe.
ROUNDING_M, ROUNDING_AFAR_M = 0.002, 1_000.0
AFAR_M = 1_000_000.0

TABLES = "CREATE VIRTUAL TABLE place USING rtree(number, south, north, west, east)"
# The tree keeps corners as 32-bit floats, rounded outwards; the exact place is with the number.
INSIDE = "SELECT number FROM place WHERE north >= ? AND south <= ? AND east >= ? AND west <= ?"


class PlaceGivenTwice(ValueError):
    """A station can be in one place only."""


class SpatialIndexMissing(RuntimeError):
    """Python's SQLite was built without the R*Tree module, which the search for stations needs."""


class Place(NamedTuple):
    """What the index knows of a station."""

    station_id: UUID
    latitude: float
    longitude: float
    zone_id: UUID | None
    brand: str


class Spot(NamedTuple):
    """Where a station stands in the list of the nearest ones: by distance, then by id."""

    distance_mm: int
    station_id: UUID


class Found(NamedTuple):
    spot: Spot
    zone_id: UUID | None


# A place and where it is on a globe whose radius is 1, so that a chord takes no trigonometry; and what of it stands in
# the formula of `distance_m`: its latitude in radians, and the cosine of that.
_Known: TypeAlias = tuple[float, float, float, Place, float, float]


class PlaceTree:
    """A set of places that answers what is near. It does no I/O and never waits."""

    def __init__(self) -> None:
        # Closed when nobody searches it any more: a search may outlive the index that replaced this tree.
        self._database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        weakref.finalize(self, self._database.close)
        try:
            self._database.execute(TABLES)
        except sqlite3.OperationalError as error:
            raise SpatialIndexMissing(
                f"this Python's SQLite {sqlite3.sqlite_version} has no usable R*Tree ({error}); use a Python whose "
                "sqlite3 module is built with SQLITE_ENABLE_RTREE, as those of Debian, python.org and uv are"
            ) from error
        self._next_number = 1
        self._numbers: dict[UUID, int] = {}
        self._places: dict[int, _Known] = {}
        self._reaches: dict[tuple[int, int, int], float] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def put(self, places: Iterable[Place]) -> None:
        """Add places, or move those that are known. Raises PlaceGivenTwice, and changes nothing then."""
        places = list(places)
        if len({place.station_id for place in places}) < len(places):
            raise PlaceGivenTwice
        numbered = list(enumerate(places, start=self._next_number))
        self._database.execute("BEGIN")
        try:
            self._forget_corners(place.station_id for place in places)
            self._database.executemany(
                "INSERT INTO place VALUES (?, ?, ?, ?, ?)",
                (
                    (number, place.latitude, place.latitude, place.longitude, place.longitude)
                    for number, place in numbered
                ),
            )
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
        self._next_number += len(numbered)
        for number, place in numbered:
            self._forget(place.station_id)
            self._numbers[place.station_id] = number
            north = math.radians(place.latitude)
            self._places[number] = (*_on_globe(place.latitude, place.longitude), place, north, math.cos(north))

    def remove(self, station_ids: Collection[UUID]) -> None:
        self._forget_corners(station_ids)
        for station_id in station_ids:
            self._forget(station_id)

    def _forget_corners(self, station_ids: Iterable[UUID]) -> None:
        known = ((self._numbers[each],) for each in station_ids if each in self._numbers)
        self._database.executemany("DELETE FROM place WHERE number = ?", known)

    def _forget(self, station_id: UUID) -> None:
        number = self._numbers.pop(station_id, None)
        if number is not None:
            del self._places[number]

    def _inside(self, center: Location, radius_m: float) -> list[_Known]:
        """Return the places within the radius, and some just outside it."""
        places, found = self._places, []
        for box in boxes_around(center, radius_m):
            rows = self._database.execute(INSIDE, (box.south, box.north, box.west, box.east)).fetchall()
            found += [places[number] for (number,) in rows]
        return found

    def zones_within(self, center: Location, radius_m: float) -> set[UUID | None]:
        """Return the zones of the stations within the radius, and perhaps of some just outside it."""
        return {known[3].zone_id for known in self._inside(center, radius_m)}

    def zones_in(self, center: Location, radius_m: float) -> set[UUID | None]:
        """Return the zones of the stations within the radius, and of no other."""
        return {
            place.zone_id
            for _, _, _, place, _, _ in self._inside(center, radius_m)
            if distance_m(center.latitude, center.longitude, place.latitude, place.longitude) <= radius_m
        }

    def zones_of(self, station_ids: Iterable[UUID]) -> set[UUID | None]:
        """Return the zones of these stations; of those that it does not know, none."""
        numbers = (self._numbers.get(station_id) for station_id in station_ids)
        return {self._places[number][3].zone_id for number in numbers if number is not None}

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
        radius_m = min(radius_m, WHOLE_GLOBE_M)
        square = (int(center.latitude * SQUARES_PER_DEGREE), int(center.longitude * SQUARES_PER_DEGREE), limit)
        # What narrows the search down is no measure of how far others have to go.
        usual = after is None and zones is None
        begin_m = self._reaches.get(square, FIRST_REACH_M) if usual else FIRST_REACH_M
        if after is not None:
            begin_m = max(begin_m, after.distance_mm / MM_PER_M * GROWTH_SURPLUS)
        reach_m = min(radius_m, begin_m)
        wanted = None if zones is None else frozenset(zones)
        while True:
            found = self._within(center, reach_m, limit, after, wanted)
            if len(found) >= limit or reach_m >= radius_m:
                break
            growth = math.sqrt(limit / len(found)) * GROWTH_SURPLUS if found else GROWTH_MAX
            reach_m = min(radius_m, reach_m * min(GROWTH_MAX, max(GROWTH_MIN, growth)))
        if usual:
            if len(self._reaches) >= SQUARES_MAX:
                self._reaches.clear()
            last_m = found[-1].spot.distance_mm / MM_PER_M if len(found) >= limit else reach_m
            self._reaches[square] = max(FIRST_REACH_M, last_m * GROWTH_SURPLUS)
        return found

    def _within(
        self, center: Location, radius_m: float, limit: int, after: Spot | None, zones: frozenset[UUID | None] | None
    ) -> list[Found]:
        """Return the first `limit` stations within the radius, in the order of their spots."""
        x, y, z = _on_globe(center.latitude, center.longitude)
        known = self._inside(center, radius_m)
        if zones is not None:
            known = [each for each in known if each[3].zone_id in zones]
        near = [((each[0] - x) ** 2 + (each[1] - y) ** 2 + (each[2] - z) ** 2, each) for each in known]
        near.sort(key=_chord)
        radius_mm = math.floor(radius_m * MM_PER_M)
        found: list[Found] = []
        enough = math.inf
        # Whatever is nearer than this surely stands before the page.
        before = -1.0 if after is None else _chord_of(after.distance_mm / MM_PER_M, -1)
        south, longitude = math.radians(center.latitude), center.longitude
        width, sin, radians, made = math.cos(south), math.sin, math.radians, tuple.__new__
        for chord, (_, _, _, place, north, its_width) in near:
            if chord > enough:
                break
            if chord < before:
                continue
            # `distance_m`, to the last bit, of which a part is known.
            half_height, half_width = sin((north - south) / 2), sin(radians(place[2] - longitude) / 2)
            squared = half_height * half_height + width * its_width * half_width * half_width
            away_m = 2 * EARTH_RADIUS_M * math.asin(math.sqrt(squared if squared < 1.0 else 1.0))
            distance_mm = round(away_m * MM_PER_M)
            spot = made(Spot, (distance_mm, place[0]))
            if distance_mm <= radius_mm and (after is None or spot > after):
                found.append(made(Found, (spot, place[3])))
                if len(found) == limit:
                    # Whatever comes may still stand before one of them, as long as rounding can make it do so.
                    enough = _chord_of(max(each.spot.distance_mm for each in found) / MM_PER_M, 1)
        found.sort()
        return found[:limit]


def _on_globe(latitude: float, longitude: float) -> tuple[float, float, float]:
    north, east = math.radians(latitude), math.radians(longitude)
    width = math.cos(north)
    return width * math.cos(east), width * math.sin(east), math.sin(north)


def _chord(near: tuple[float, _Known]) -> float:
    return near[0]


def _chord_of(away_m: float, side: int) -> float:
    """Return the square of the chord to places that surely are farther away (`side` 1), or nearer (-1)."""
    away_m += side * (ROUNDING_M if away_m < AFAR_M else ROUNDING_AFAR_M)
    if away_m <= 0:
        return -1.0
    if away_m >= WHOLE_GLOBE_M:
        return math.inf
    half = math.sin(away_m / (2 * EARTH_RADIUS_M))
    return 4 * half * half
