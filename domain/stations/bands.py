"""Places on a globe in bands of latitude, each of them sorted from west to east."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from typing import NamedTuple, TypeAlias
from uuid import UUID

from domain.stations.geo import LATITUDE_MAX, Location, boxes_around


class Place(NamedTuple):
    """What the index knows of a station."""

    station_id: UUID
    latitude: float
    longitude: float
    zone_id: UUID | None


class Band(NamedTuple):
    """Places beside each other. Who looks at many of them reads numbers that lie together, and no objects.

    `globe` has three numbers for each: where it is on a globe whose radius is 1.
    """

    longitudes: array[float]
    latitudes: array[float]
    globe: array[float]
    station_ids: list[UUID]
    zone_ids: list[UUID | None]


# The places of a band from one up to another.
Span: TypeAlias = tuple[Band, int, int]


class Bands:
    """Places by bands of one height, so many to a degree."""

    def __init__(self, per_degree: int) -> None:
        self._per_degree = per_degree
        self._bands: dict[int, Band] = {}

    def add(self, place: Place) -> None:
        band = self._bands.setdefault(self._number(place.latitude), Band(array("d"), array("d"), array("d"), [], []))
        at = bisect_left(band.longitudes, place.longitude)
        band.longitudes.insert(at, place.longitude)
        band.latitudes.insert(at, place.latitude)
        band.globe[3 * at : 3 * at] = array("d", on_globe(place.latitude, place.longitude))
        band.station_ids.insert(at, place.station_id)
        band.zone_ids.insert(at, place.zone_id)

    def remove(self, place: Place) -> None:
        number = self._number(place.latitude)
        band = self._bands[number]
        at = band.station_ids.index(place.station_id, bisect_left(band.longitudes, place.longitude))
        del band.longitudes[at], band.latitudes[at], band.globe[3 * at : 3 * at + 3]
        del band.station_ids[at], band.zone_ids[at]
        if not band.station_ids:
            del self._bands[number]

    def inside(self, center: Location, radius_m: float) -> list[Span]:
        """Return the places within the radius, and some just outside it."""
        spans, bands = [], self._bands
        for south, north, west, east in boxes_around(center, radius_m):
            for number in range(self._number(south), self._number(north) + 1):
                if number in bands:
                    band = bands[number]
                    begin = bisect_left(band.longitudes, west)
                    end = bisect_right(band.longitudes, east, begin)
                    if begin < end:
                        spans.append((band, begin, end))
        return spans

    def _number(self, latitude: float) -> int:
        return int((latitude + LATITUDE_MAX) * self._per_degree)


def on_globe(latitude: float, longitude: float) -> tuple[float, float, float]:
    north, east = math.radians(latitude), math.radians(longitude)
    width = math.cos(north)
    return width * math.cos(east), width * math.sin(east), math.sin(north)
