"""Distances and boxes on the globe."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.stations.geo import Box, Location, LocationInvalid, boxes_around, distance_m

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)
QUARTER_M = 10_007_557.2


@pytest.mark.parametrize(
    ("here", "there", "expected_m"),
    [
        ((0, 0), (0, 0), 0),
        ((0, 0), (0, 90), QUARTER_M),
        ((90, 0), (0, 37), QUARTER_M),
        ((0, 0), (0, 180), 2 * QUARTER_M),
        ((90, 10), (90, -170), 0),
        ((0, 180), (0, -180), 0),
        ((0, 179.5), (0, -179.5), QUARTER_M / 90),
        # People's Square to Tian'anmen.
        ((31.2304, 121.4737), (39.9087, 116.3975), 1_067_900),
    ],
)
def test_known_distances(here: tuple[float, float], there: tuple[float, float], expected_m: float) -> None:
    assert distance_m(*here, *there) == pytest.approx(expected_m, rel=1e-3, abs=1e-6)


@given(latitudes, longitudes, latitudes, longitudes)
@example(90.0, 0.0, -90.0, 0.0)
def test_a_distance_is_symmetric_and_never_more_than_half_the_globe(a: float, b: float, c: float, d: float) -> None:
    there = distance_m(a, b, c, d)
    assert 0 <= there <= 2 * QUARTER_M * 1.000001
    assert there == pytest.approx(distance_m(c, d, a, b), abs=1e-6)


def contains(box: Box, latitude: float, longitude: float) -> bool:
    return box.south <= latitude <= box.north and box.west <= longitude <= box.east


@given(
    latitude=latitudes,
    longitude=longitudes,
    radius_m=st.floats(1, 2e6),
    bearing=st.floats(0, 2 * math.pi),
    share=st.floats(0, 1),
)
@example(latitude=0.0, longitude=180.0, radius_m=1000.0, bearing=1.57, share=0.9)
@example(latitude=89.999, longitude=0.0, radius_m=1000.0, bearing=0.0, share=1.0)
@example(latitude=-90.0, longitude=0.0, radius_m=1000.0, bearing=0.0, share=1.0)
def test_the_boxes_hold_every_place_within_the_radius(
    latitude: float, longitude: float, radius_m: float, bearing: float, share: float
) -> None:
    angle = radius_m * share / 6_371_008.8
    south = math.radians(latitude)
    there = math.asin(
        max(-1, min(1, math.sin(south) * math.cos(angle) + math.cos(south) * math.sin(angle) * math.cos(bearing)))
    )
    turn = math.atan2(
        math.sin(bearing) * math.sin(angle) * math.cos(south), math.cos(angle) - math.sin(south) * math.sin(there)
    )
    other = (math.degrees(there), (longitude + math.degrees(turn) + 540) % 360 - 180)
    if distance_m(latitude, longitude, *other) <= radius_m:
        assert any(contains(box, *other) for box in boxes_around(Location(latitude, longitude), radius_m))


@given(latitude=latitudes, longitude=longitudes, radius_m=st.floats(1, 5e4))
def test_boxes_are_small_away_from_the_poles(latitude: float, longitude: float, radius_m: float) -> None:
    boxes = boxes_around(Location(latitude, longitude), radius_m)
    assert 1 <= len(boxes) <= 2
    for box in boxes:
        assert box.west <= box.east
        assert box.west >= -180
        assert box.east <= 180
    if abs(latitude) < 80:
        height_m = 2 * radius_m + 1
        assert sum(box.east - box.west for box in boxes) * 111_320 * math.cos(math.radians(latitude)) <= height_m * 1.1


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        (90.000001, 0),
        (-91, 0),
        (0, 180.1),
        (0, -181),
        (math.nan, 0),
        (0, math.nan),
        (math.inf, 0),
        (0, -math.inf),
        (121.4737, 31.2304),
    ],
)
def test_what_is_not_on_the_globe_is_refused(latitude: float, longitude: float) -> None:
    with pytest.raises(LocationInvalid):
        Location(latitude, longitude)
