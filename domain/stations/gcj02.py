"""The coordinates of Chinese maps (GCJ-02, GB 20263), which lie up to some hundred metres beside WGS 84; no I/O.

The shift is not published by its authority. This is the approximation that is in general use, right within a few
metres; outside of China there is no shift.
"""

from __future__ import annotations

import math

from domain.stations.geo import Location

# The ellipsoid of Krasovsky (1940): its major semi-axis in metres, and the square of its eccentricity.
SEMI_AXIS_M = 6_378_245.0
ECCENTRICITY_SQUARED = 0.00669342162296594323
SOUTH, NORTH, WEST, EAST = 0.8293, 55.8271, 72.004, 137.8347
ORIGIN_LATITUDE, ORIGIN_LONGITUDE = 35.0, 105.0
TWO_THIRDS = 2.0 / 3.0


def from_wgs84(place: Location) -> Location:
    """Return where a Chinese map shows a place that is given in WGS 84."""
    if not (SOUTH <= place.latitude <= NORTH and WEST <= place.longitude <= EAST):
        return place
    north_m, east_m = _shift_m(place.longitude - ORIGIN_LONGITUDE, place.latitude - ORIGIN_LATITUDE)
    radians = math.radians(place.latitude)
    magic = 1 - ECCENTRICITY_SQUARED * math.sin(radians) ** 2
    meridian_m = SEMI_AXIS_M * (1 - ECCENTRICITY_SQUARED) / (magic * math.sqrt(magic))
    parallel_m = SEMI_AXIS_M / math.sqrt(magic) * math.cos(radians)
    return Location(
        place.latitude + math.degrees(north_m / meridian_m), place.longitude + math.degrees(east_m / parallel_m)
    )


def _shift_m(x: float, y: float) -> tuple[float, float]:
    """Return the shift to the north and to the east, for degrees from the origin of the formula."""
    root, product = math.sqrt(abs(x)), x * y
    waves = TWO_THIRDS * (20.0 * math.sin(6.0 * x * math.pi) + 20.0 * math.sin(2.0 * x * math.pi))
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * product + 0.2 * root + waves
    north += TWO_THIRDS * (20.0 * math.sin(y * math.pi) + 40.0 * math.sin(y / 3.0 * math.pi))
    north += TWO_THIRDS * (160.0 * math.sin(y / 12.0 * math.pi) + 320.0 * math.sin(y * math.pi / 30.0))
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * product + 0.1 * root + waves
    east += TWO_THIRDS * (20.0 * math.sin(x * math.pi) + 40.0 * math.sin(x / 3.0 * math.pi))
    east += TWO_THIRDS * (150.0 * math.sin(x / 12.0 * math.pi) + 300.0 * math.sin(x / 30.0 * math.pi))
    return north, east
