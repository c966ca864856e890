"""The tree answers what looking at every station would."""

from __future__ import annotations

import random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.stations.bands import Place
from domain.stations.geo import Location, distance_m
from domain.stations.tree import Found, PlaceGivenTwice, PlaceTree, Spot

ZONES = [None, UUID(int=1), UUID(int=2)]

# Crowded on purpose: equal places, the date line, the poles, and a few far away.
coordinates = st.one_of(
    st.tuples(st.floats(31.22, 31.24), st.floats(121.46, 121.48)),
    st.tuples(st.sampled_from([31.23, 31.2304]), st.sampled_from([121.47, 121.4737])),
    st.tuples(st.floats(-1, 1), st.sampled_from([179.99, 180.0, -180.0, -179.99])),
    st.tuples(st.sampled_from([90.0, 89.99, -90.0, -89.995]), st.floats(-180, 180)),
    st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
)
places = st.lists(st.tuples(coordinates, st.sampled_from(ZONES)), max_size=60).map(
    lambda drawn: [
        Place(UUID(int=(7919 * number) % 65_537 + 1), latitude, longitude, zone)
        for number, ((latitude, longitude), zone) in enumerate(drawn)
    ]
)


def brute_force(
    among: list[Place], center: Location, radius_m: float, zones: list[UUID | None] | None = None
) -> list[Found]:
    away = [
        (place.station_id, distance_m(center.latitude, center.longitude, place.latitude, place.longitude))
        for place in among
        if zones is None or place.zone_id in zones
    ]
    found = sorted(Found(round(away_m * 1000), station_id, away_m) for station_id, away_m in away)
    return [one for one in found if one.distance_mm <= radius_m * 1000]


def tree_of(among: list[Place]) -> PlaceTree:
    tree = PlaceTree()
    tree.put(among)
    return tree


@settings(max_examples=300, deadline=None)
@given(
    among=places,
    center=coordinates,
    radius_m=st.one_of(st.integers(1, 50_000), st.just(20_037_600)),
    limit=st.integers(1, 12),
    zones=st.one_of(st.none(), st.lists(st.sampled_from(ZONES), unique=True)),
)
def test_pages_join_to_what_looking_at_every_station_finds(
    among: list[Place],
    center: tuple[float, float],
    radius_m: int,
    limit: int,
    zones: list[UUID | None] | None,
) -> None:
    tree, near = tree_of(among), Location(*center)
    after: Spot | None = None
    found: list[Found] = []
    while page := tree.nearest(near, radius_m=radius_m, limit=limit, after=after, zones=zones):
        assert len(page) <= limit
        found += page
        after = Spot(*page[-1][:2])
    assert found == brute_force(among, near, radius_m, zones)


@settings(max_examples=100, deadline=None)
@given(among=places, center=coordinates, radius_m=st.integers(1, 50_000))
def test_the_zones_within_are_those_of_the_stations_within(
    among: list[Place], center: tuple[float, float], radius_m: int
) -> None:
    near = Location(*center)
    found = tree_of(among).zones_within(near, radius_m)
    zones = {place.station_id: place.zone_id for place in among}
    assert {zones[one.station_id] for one in brute_force(among, near, radius_m)} <= found
    assert found <= {place.zone_id for place in among}


@settings(max_examples=100, deadline=None)
@given(before=places, after=places, removed=st.sets(st.integers(0, 59)))
def test_a_changed_tree_equals_a_new_one(before: list[Place], after: list[Place], removed: set[int]) -> None:
    tree = tree_of(before)
    tree.put(after)
    gone = {place.station_id for number, place in enumerate(before) if number in removed}
    tree.remove(gone)
    expected = {place.station_id: place for place in [*before, *after]}
    left = [place for key, place in expected.items() if key not in gone]
    assert len(tree) == len(left)
    near = Location(31.23, 121.47)
    assert tree.nearest(near, radius_m=3e7, limit=1000) == brute_force(left, near, 3e7)


def test_a_large_tree_agrees_in_city_and_desert() -> None:
    generator = random.Random(7)
    among = [
        Place(UUID(int=number + 1), generator.gauss(31.2, 0.5), generator.gauss(121.4, 0.5), ZONES[number % 3])
        for number in range(5_000)
    ]
    tree = tree_of(among)
    for _ in range(40):
        near = Location(generator.gauss(31.2, 1.5), generator.gauss(121.4, 1.5))
        assert tree.nearest(near, radius_m=50_000, limit=21) == brute_force(among, near, 50_000)[:21]


def test_a_failed_change_leaves_the_tree_as_it_was() -> None:
    place = Place(UUID(int=1), 31.2, 121.4, None)
    tree = tree_of([place])
    with pytest.raises(PlaceGivenTwice):
        tree.put([Place(UUID(int=1), 0.0, 0.0, None), Place(UUID(int=1), 1.0, 1.0, None)])
    assert [one.distance_mm for one in tree.nearest(Location(31.2, 121.4), radius_m=1, limit=5)] == [0]


@settings(max_examples=100, deadline=None)
@given(among=places, center=coordinates, radius_m=st.integers(1, 50_000))
def test_the_zones_in_a_circle_are_those_of_its_stations_and_no_others(
    among: list[Place], center: tuple[float, float], radius_m: int
) -> None:
    near = Location(*center)
    tree, zones = tree_of(among), {place.station_id: place.zone_id for place in among}
    inside = [
        station_id
        for station_id in zones
        if any(one.station_id == station_id and one.distance_m <= radius_m for one in brute_force(among, near, 3e7))
    ]
    assert tree.zones_in(near, radius_m) == tree.zones_of(inside) == {zones[station_id] for station_id in inside}


@pytest.mark.parametrize(
    "spread", [0.000_01, 0.003, 0.3, 8.0], ids=["a crossing", "a quarter", "a region", "a country"]
)
def test_each_page_agrees_while_stations_move(spread: float) -> None:
    generator = random.Random(11)

    def place(number: int) -> Place:
        return Place(
            UUID(int=generator.getrandbits(100) << 20 | number),
            generator.gauss(31.2, spread),
            generator.gauss(121.4, spread),
            ZONES[number % 3],
        )

    places = [place(number) for number in range(1_500)]
    tree = tree_of(places)
    for number in range(25):
        gone = places.pop(generator.randrange(len(places)))
        moved = places[number]._replace(latitude=places[number + 1].latitude, zone_id=ZONES[number % 2])
        places[number] = moved
        places.append(place(2_000 + number))
        tree.remove([gone.station_id])
        tree.put([moved, places[-1]])
        near = Location(generator.gauss(31.2, spread), generator.gauss(121.4, spread))
        for zones in (None, ZONES[:2]):
            expected = brute_force(places, near, 50_000, zones)
            after: Spot | None = None
            for begin in (0, 21, 42):
                page = tree.nearest(near, radius_m=50_000, limit=21, after=after, zones=zones)
                assert page == expected[begin : begin + 21]
                after = Spot(*page[-1][:2]) if page else after
    assert len(tree) == 1_500


def test_stations_of_one_distance_follow_their_ids_from_page_to_page() -> None:
    # A tenth of a millimetre lies between some of them, which the list cannot tell apart.
    among = [
        Place(UUID(int=(7919 * number) % 65_537 + 1), 31.23 + (number % 5) * 1e-9, 121.47, None)
        for number in range(300)
    ]
    tree, near = tree_of(among), Location(31.24, 121.47)
    expected = brute_force(among, near, 5_000)
    after: Spot | None = None
    for begin in range(0, 300, 7):
        page = tree.nearest(near, radius_m=5_000, limit=7, after=after)
        assert page == expected[begin : begin + 7]
        after = Spot(*page[-1][:2])
    assert len(tree.nearest(near, radius_m=5_000, limit=7, after=after)) == 0
