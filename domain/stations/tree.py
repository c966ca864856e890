"""The places of all stations in memory, and the search for the nearest of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import NamedTuple, TypeAlias
from uuid import UUID

from domain.stations.bands import Band, Bands, Place, Span, on_globe
from domain.stations.geo import EARTH_RADIUS_M, MM_PER_M, Location, distance_m

# Bands 5.6 km and 560 m high; a search takes those of which few are enough, and which hold little besides.
BANDS_PER_DEGREE, LOW_BANDS_PER_DEGREE = 20, 200
LOW_BANDS_REACH_M = 2_500.0
# Where the search begins, until it is known how far it had to go from there.
FIRST_REACH_M, REACH_MIN_M = 1_000.0, 10.0
GROWTH_MIN, GROWTH_MAX = 1.5, 3.0
# The estimate aims beyond what is missing, since another round costs more than a few surplus stations.
GROWTH_SURPLUS = 1.2
WHOLE_GLOBE_M = math.pi * EARTH_RADIUS_M
# How far a search had to go is remembered by squares of so many to the degree, each about 2 km wide.
SQUARES_PER_DEGREE = 50
SQUARES_MAX = 20_000
# Cosines put places in the order of their distances, but for what rounding may do: of themselves, and to millimetres.
ROUNDING, ROUNDING_RADIANS = 1e-14, 0.002 / EARTH_RADIUS_M
# Between no two places is there such an angle.
NEARER_THAN_ALL, FARTHER_THAN_ALL, NOWHERE = 2.0, -2.0, -3.0


class PlaceGivenTwice(ValueError):
    """A station can be in one place only."""


class Spot(NamedTuple):
    """Where a station stands in the list of the nearest ones: by distance, then by id."""

    distance_mm: int
    station_id: UUID


class Found(NamedTuple):
    """A station's spot, and how far away it is in metres that are not rounded."""

    distance_mm: int
    station_id: UUID
    distance_m: float


# The places of a band from one on, with the cosine of the angle to each of them; NOWHERE for one that is not wanted.
_Near: TypeAlias = tuple[list[float], Band, int]


class PlaceTree:
    """A set of places that answers what is near. It does no I/O and never waits."""

    def __init__(self) -> None:
        self._places: dict[UUID, Place] = {}
        self._bands, self._low_bands = Bands(BANDS_PER_DEGREE), Bands(LOW_BANDS_PER_DEGREE)
        # For each square, how far one has to go for one station, as if they were spread evenly.
        self._reaches: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._places)

    def put(self, places: Iterable[Place]) -> None:
        """Add places, or move those that are known. Raises PlaceGivenTwice, and changes nothing then."""
        places = list(places)
        if len({place.station_id for place in places}) < len(places):
            raise PlaceGivenTwice
        self.remove([place.station_id for place in places])
        for place in places:
            self._places[place.station_id] = place
            self._bands.add(place)
            self._low_bands.add(place)

    def remove(self, station_ids: Collection[UUID]) -> None:
        for station_id in station_ids:
            place = self._places.pop(station_id, None)
            if place is not None:
                self._bands.remove(place)
                self._low_bands.remove(place)

    def _inside(self, center: Location, radius_m: float) -> list[Span]:
        return (self._low_bands if radius_m <= LOW_BANDS_REACH_M else self._bands).inside(center, radius_m)

    def zones_within(self, center: Location, radius_m: float) -> set[UUID | None]:
        """Return the zones of the stations within the radius, and perhaps of some just outside it."""
        zones: set[UUID | None] = set()
        for band, begin, end in self._inside(center, radius_m):
            zones.update(band.zone_ids[begin:end])
        return zones

    def zones_in(self, center: Location, radius_m: float) -> set[UUID | None]:
        """Return the zones of the stations within the radius, and of no other."""
        return {
            band.zone_ids[at]
            for band, begin, end in self._inside(center, radius_m)
            for at in range(begin, end)
            if distance_m(center.latitude, center.longitude, band.latitudes[at], band.longitudes[at]) <= radius_m
        }

    def zones_of(self, station_ids: Iterable[UUID]) -> set[UUID | None]:
        """Return the zones of these stations; of those that it does not know, none."""
        places = (self._places.get(station_id) for station_id in station_ids)
        return {place.zone_id for place in places if place is not None}

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
        row, column = int(center.latitude * SQUARES_PER_DEGREE), int(center.longitude * SQUARES_PER_DEGREE)
        square = row * 360 * SQUARES_PER_DEGREE + column
        for_one_m = self._reaches.get(square)
        begin_m = FIRST_REACH_M if for_one_m is None else for_one_m * math.sqrt(limit) * GROWTH_SURPLUS
        if after is not None:
            # A ring around what was shown, of the same area.
            begin_m = math.hypot(begin_m, after.distance_mm / MM_PER_M)
        reach_m = min(radius_m, begin_m)
        wanted = None if zones is None else frozenset(zones)
        while True:
            found = self._within(center, reach_m, limit, after, wanted)
            if len(found) >= limit or reach_m >= radius_m:
                break
            growth = math.sqrt(limit / len(found)) * GROWTH_SURPLUS if found else GROWTH_MAX
            reach_m = min(radius_m, reach_m * min(GROWTH_MAX, max(GROWTH_MIN, growth)))
        # What narrows the search down is no measure of how far others have to go.
        if after is None and zones is None:
            if len(self._reaches) >= SQUARES_MAX:
                self._reaches.clear()
            last_m = found[-1].distance_m if len(found) >= limit else reach_m
            self._reaches[square] = max(REACH_MIN_M, last_m) / math.sqrt(max(1, len(found)))
        return found

    def _within(
        self, center: Location, radius_m: float, limit: int, after: Spot | None, zones: frozenset[UUID | None] | None
    ) -> list[Found]:
        """Return the first `limit` stations within the radius, in the order of their spots."""
        near = self._cosines(center, radius_m, zones)
        highest, surely_behind = NEARER_THAN_ALL, NEARER_THAN_ALL
        ranked = [cosine for cosines, _, _ in near for cosine in cosines]
        if after is not None:
            highest, surely_behind = _cosines_around(after.distance_mm / MM_PER_M)
            ranked = [cosine for cosine in ranked if cosine <= highest]
        _, lowest = _cosines_around(radius_m)
        last = limit - 1 + (sum(cosine > surely_behind for cosine in ranked) if after is not None else 0)
        if last < len(ranked):
            ranked.sort(reverse=True)
            lowest = max(lowest, _below(ranked[last]))
        south, here, width = math.radians(center.latitude), center.longitude, math.cos(math.radians(center.latitude))
        sin, radians, made = math.sin, math.radians, tuple.__new__
        radius_mm = math.floor(radius_m * MM_PER_M)
        found: list[Found] = []
        for cosines, band, begin in near:
            for at, cosine in enumerate(cosines, begin):
                if lowest <= cosine <= highest:
                    # `distance_m`, to the last bit, of which a part is known.
                    north = radians(band.latitudes[at])
                    half_height, half_width = sin((north - south) / 2), sin(radians(band.longitudes[at] - here) / 2)
                    squared = half_height * half_height + width * math.cos(north) * half_width * half_width
                    away_m = 2 * EARTH_RADIUS_M * math.asin(math.sqrt(squared if squared < 1.0 else 1.0))
                    distance_mm, station_id = round(away_m * MM_PER_M), band.station_ids[at]
                    if distance_mm <= radius_mm and (after is None or (distance_mm, station_id) > after):
                        found.append(made(Found, (distance_mm, station_id, away_m)))
        found.sort()
        return found[:limit]

    def _cosines(self, center: Location, radius_m: float, zones: frozenset[UUID | None] | None) -> list[_Near]:
        x, y, z = on_globe(center.latitude, center.longitude)
        near = []
        for band, begin, end in self._inside(center, radius_m):
            parts = iter(band.globe[3 * begin : 3 * end])
            cosines = [x * a + y * b + z * c for a, b, c in zip(parts, parts, parts, strict=True)]
            if zones is not None:
                cosines = [
                    cosine if zone_id in zones else NOWHERE
                    for cosine, zone_id in zip(cosines, band.zone_ids[begin:end], strict=True)
                ]
            near.append((cosines, band, begin))
        return near


def _below(cosine: float) -> float:
    """Return the least cosine of a place that may stand before one with this cosine."""
    return cosine - ROUNDING - ROUNDING_RADIANS * math.sqrt(max(0.0, 1.0 - cosine * cosine))


def _cosines_around(away_m: float) -> tuple[float, float]:
    """Return the cosines beyond which places surely are nearer than this, and farther away."""
    angle = away_m / EARTH_RADIUS_M
    nearer, farther = angle - ROUNDING_RADIANS, angle + ROUNDING_RADIANS
    return (
        math.cos(nearer) + ROUNDING if nearer > 0 else NEARER_THAN_ALL,
        math.cos(farther) - ROUNDING if farther < math.pi else FARTHER_THAN_ALL,
    )
