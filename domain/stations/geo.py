"""Places on the globe and the distances between them; no I/O. Degrees in, metres out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from kernel.errors import YoukaError

# The mean radius of the Earth (IUGG). Distances on a sphere are within 0.6% of those on the ellipsoid.
EARTH_RADIUS_M = 6_371_008.8
LATITUDE_MAX = 90.0
LONGITUDE_MAX = 180.0
# A little more than rounding may take away, so that a box never leaves out what the distance lets in.
BOX_MARGIN_DEGREES = 1e-6
MM_PER_M = 1000


class LocationInvalid(YoukaError):
    code = "LOCATION_INVALID"
    messages = {
        "zh-CN": "位置无效：纬度须在-90至90之间，经度须在-180至180之间",
        "en": "The location is invalid: latitude is from -90 to 90, longitude from -180 to 180",
    }


@dataclass(frozen=True, slots=True)
class Location:
    """A place in degrees. Raises LocationInvalid where it is not on the globe."""

    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        # NaN fails both comparisons.
        if not (abs(self.latitude) <= LATITUDE_MAX and abs(self.longitude) <= LONGITUDE_MAX):
            raise LocationInvalid


class Box(NamedTuple):
    """Every place between two parallels and two meridians; `west` is never greater than `east`."""

    south: float
    north: float
    west: float
    east: float


def distance_m(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Return the length of the great circle between two places (haversine, exact for near ones)."""
    south, north = math.radians(latitude), math.radians(other_latitude)
    half_height = math.sin((north - south) / 2)
    half_width = math.sin(math.radians(other_longitude - longitude) / 2)
    chord = half_height * half_height + math.cos(south) * math.cos(north) * half_width * half_width
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord)))


def boxes_around(center: Location, radius_m: float) -> list[Box]:
    """Return the boxes that together hold every place within the radius: two where they cross the date line.

    http://janmatuschek.de/LatitudeLongitudeBoundingCoordinates gives the width at the widest parallel of the circle.
    """
    angle = radius_m / EARTH_RADIUS_M
    height = math.degrees(angle) + BOX_MARGIN_DEGREES
    south, north = center.latitude - height, center.latitude + height
    if south <= -LATITUDE_MAX or north >= LATITUDE_MAX:
        # A circle around a pole crosses every meridian.
        return [Box(max(south, -LATITUDE_MAX), min(north, LATITUDE_MAX), -LONGITUDE_MAX, LONGITUDE_MAX)]
    width = math.degrees(math.asin(min(1.0, math.sin(angle) / math.cos(math.radians(center.latitude)))))
    west, east = center.longitude - width - BOX_MARGIN_DEGREES, center.longitude + width + BOX_MARGIN_DEGREES
    if east - west >= 2 * LONGITUDE_MAX:
        return [Box(south, north, -LONGITUDE_MAX, LONGITUDE_MAX)]
    if west < -LONGITUDE_MAX:
        west += 2 * LONGITUDE_MAX
        return [Box(south, north, west, LONGITUDE_MAX), Box(south, north, -LONGITUDE_MAX, east)]
    if east > LONGITUDE_MAX:
        east -= 2 * LONGITUDE_MAX
        return [Box(south, north, west, LONGITUDE_MAX), Box(south, north, -LONGITUDE_MAX, east)]
    return [Box(south, north, west, east)]
