"""`priceChanges`: which prices reach whom."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.pricing import queries
from domain.stations import feed
from domain.stations.index import StationIndex
from kernel.states import Product
from models.events import Event
from schema.types.relay import global_id
from tests.subscriptions.happenings import change_price, create_station, create_zone, move
from tests.subscriptions.listening import House, Listener, cursor_of, listening
from tests.subscriptions.support import eventually

PRICES = """subscription ($stations: [ID!], $near: LocationInput, $radius: Int, $zone: ID, $product: Product,
    $after: String) {
  priceChanges(stationIds: $stations, near: $near, radius: $radius, zone: $zone, product: $product, after: $after) {
    ... on StreamEvent { cursor }
    ... on PriceChangeEvent { price { product unitPrice { milliyuan } zone { code } } previous { milliyuan } }
    ... on PriceGap { reason complete prices { product unitPrice { milliyuan } zone { code } } } } }"""


class TestPriceChanges:
    async def test_everybody_hears_of_every_price(self, house: House) -> None:
        one, other = await create_zone("yunnan-1"), await create_zone("yunnan-2")
        async with Listener(house) as client:
            await client.subscribe(PRICES)
            await listening(house, "prices")
            await change_price(one, Product.GASOLINE_92, 8_460, days_ago=9)
            await change_price(other, Product.DIESEL_0, 7_995, days_ago=9)
            await change_price(one, Product.GASOLINE_92, 8_465, days_ago=8)
            events = [(await client.data())["priceChanges"] for _ in range(3)]
        assert [event["cursor"] for event in events] == [await cursor_of("prices", n) for n in (1, 2, 3)]
        assert [event["price"] for event in events] == [
            {"product": "GASOLINE_92", "unitPrice": {"milliyuan": 8_460}, "zone": {"code": "yunnan-1"}},
            {"product": "DIESEL_0", "unitPrice": {"milliyuan": 7_995}, "zone": {"code": "yunnan-2"}},
            {"product": "GASOLINE_92", "unitPrice": {"milliyuan": 8_465}, "zone": {"code": "yunnan-1"}},
        ]
        assert [event["previous"] for event in events] == [None, None, {"milliyuan": 8_460}]

    async def test_the_product_and_the_stations_choose(self, house: House) -> None:
        one, other = await create_zone("yunnan-1"), await create_zone("yunnan-2")
        here, there, nowhere = [await create_station(zone) for zone in (one, other, None)]
        async with Listener(house) as client:
            variables = {"stations": [global_id("Station", here.id), global_id("Station", nowhere.id)]}
            await client.subscribe(PRICES, id="here", variables=variables)
            await client.subscribe(PRICES, id="diesel", variables={"product": "DIESEL_0"})
            variables_of_both = {"stations": [global_id("Station", there.id)], "product": "DIESEL_0"}
            await client.subscribe(PRICES, id="both", variables=variables_of_both)
            await listening(house, "prices", clients=3)
            await change_price(one, Product.GASOLINE_92, 8_460, days_ago=9)
            await change_price(one, Product.DIESEL_0, 7_995, days_ago=9)
            await change_price(other, Product.GASOLINE_92, 8_461, days_ago=9)
            await change_price(other, Product.DIESEL_0, 7_996, days_ago=9)
            heard: dict[str, list[int]] = {"here": [], "diesel": [], "both": []}
            for _ in range(5):
                message = await client.receive()
                price = message["payload"]["data"]["priceChanges"]["price"]
                heard[message["id"]].append(price["unitPrice"]["milliyuan"])
        assert heard == {"here": [8_460, 7_995], "diesel": [7_995, 7_996], "both": [7_996]}

    async def test_a_station_that_moves_to_another_zone_is_followed_there(self, house: House) -> None:
        one, other = await create_zone("yunnan-1"), await create_zone("yunnan-2")
        station = await create_station(one)
        async with Listener(house) as client:
            await client.subscribe(PRICES, variables={"stations": [global_id("Station", station.id)]})
            await listening(house, "prices")
            await change_price(other, Product.GASOLINE_92, 8_461, days_ago=9)
            await change_price(one, Product.GASOLINE_92, 8_460, days_ago=9)
            assert (await client.data())["priceChanges"]["price"]["zone"] == {"code": "yunnan-1"}
            await move(station, other)
            await change_price(one, Product.GASOLINE_92, 8_470, days_ago=8)
            await change_price(other, Product.GASOLINE_92, 8_471, days_ago=8)
            assert (await client.data())["priceChanges"]["price"]["unitPrice"] == {"milliyuan": 8_471}

    async def test_a_cursor_resumes(self, house: House) -> None:
        zone = await create_zone("yunnan-1")
        for number in range(5):
            await change_price(zone, Product.GASOLINE_92, 8_460 + number, days_ago=9 - number)
        async with Listener(house) as client:
            await client.subscribe(PRICES, variables={"after": await cursor_of("prices", 3)})
            heard = [(await client.data())["priceChanges"]["price"]["unitPrice"]["milliyuan"] for _ in range(2)]
        assert heard == [8_463, 8_464]

    async def test_stations_that_cannot_be_followed_are_refused(self, house: House) -> None:
        station = await create_station(None)
        known = global_id("Station", station.id)
        refused: list[tuple[list[str], str]] = [
            ([], "STATION_IDS_INVALID"),
            ([known] * 101, "STATION_IDS_INVALID"),
            ([known, global_id("Station", uuid4())], "NOT_FOUND"),
            ([known, "x"], "NOT_FOUND"),
            ([global_id("Order", station.id)], "NOT_FOUND"),
        ]
        async with Listener(house) as client:
            for stations, code in refused:
                await client.subscribe(PRICES, variables={"stations": stations})
                assert await client.error_code() == code, stations
            await client.subscribe(PRICES, variables={"stations": [known] * 100})
            await listening(house, "prices")

    async def test_a_cursor_of_another_stream_is_refused(self, house: House) -> None:
        async with Listener(house) as client:
            for cursor in (await cursor_of("stations", 0), await cursor_of("prices", 1), "x"):
                await client.subscribe(PRICES, variables={"after": cursor})
                assert await client.error_code() == "CURSOR_INVALID"


class TestPlaces:
    async def test_stations_around_a_place_choose(self, house: House) -> None:
        inside, outside = await create_zone("yunnan-1"), await create_zone("yunnan-2")
        # A hundredth of a degree of latitude is 1,112 m.
        await create_station(inside, latitude=25.009)
        # In the corner of the square around the circle, and not in the circle.
        await create_station(outside, latitude=25.008, longitude=102.708)
        near = {"latitude": 25.0, "longitude": 102.7}
        async with Listener(house) as client:
            await client.subscribe(PRICES, id="near", variables={"near": near, "radius": 1_010})
            await client.subscribe(PRICES, id="wide", variables={"near": near, "radius": 1_500, "product": "DIESEL_0"})
            await listening(house, "prices", clients=2)
            await change_price(outside, Product.DIESEL_0, 7_995, days_ago=9)
            await change_price(inside, Product.DIESEL_0, 7_996, days_ago=9)
            await change_price(inside, Product.GASOLINE_92, 8_460, days_ago=9)
            heard: dict[str, list[int]] = {"near": [], "wide": []}
            for _ in range(4):
                message = await client.receive()
                price = message["payload"]["data"]["priceChanges"]["price"]
                heard[message["id"]].append(price["unitPrice"]["milliyuan"])
        assert heard == {"near": [7_996, 8_460], "wide": [7_995, 7_996]}

    async def test_a_station_that_opens_nearby_is_heard_of(self, house: House) -> None:
        zone = await create_zone("yunnan-1")
        async with Listener(house) as client:
            await client.subscribe(PRICES, variables={"near": {"latitude": 25.0, "longitude": 102.7}})
            await listening(house, "prices")
            await change_price(zone, Product.DIESEL_0, 7_995, days_ago=9)
            await create_station(zone)
            await change_price(zone, Product.DIESEL_0, 7_996, days_ago=8)
            # The price of before may have been looked at before the station opened, or after.
            heard = {"milliyuan": 7_995}
            while heard == {"milliyuan": 7_995}:
                heard = (await client.data())["priceChanges"]["price"]["unitPrice"]
            assert heard == {"milliyuan": 7_996}

    async def test_one_zone_is_followed(self, house: House) -> None:
        one, other = await create_zone("yunnan-1"), await create_zone("yunnan-2")
        async with Listener(house) as client:
            await client.subscribe(PRICES, variables={"zone": global_id("PriceZone", other.id)})
            await listening(house, "prices")
            await change_price(one, Product.DIESEL_0, 7_995, days_ago=9)
            await change_price(other, Product.DIESEL_0, 7_996, days_ago=9)
            assert (await client.data())["priceChanges"]["price"]["zone"] == {"code": "yunnan-2"}

    async def test_places_that_are_none_are_refused(self, house: House) -> None:
        zone, station = await create_zone("yunnan-1"), await create_station(None)
        near = {"latitude": 25.0, "longitude": 102.7}
        of_zone, of_station = global_id("PriceZone", zone.id), global_id("Station", station.id)
        refused: list[tuple[dict[str, Any], str]] = [
            ({"stations": [of_station], "near": near}, "PLACE_AMBIGUOUS"),
            ({"stations": [of_station], "zone": of_zone}, "PLACE_AMBIGUOUS"),
            ({"near": near, "zone": of_zone}, "PLACE_AMBIGUOUS"),
            ({"near": near, "radius": 0}, "RADIUS_INVALID"),
            ({"near": near, "radius": 50_001}, "RADIUS_INVALID"),
            ({"near": {"latitude": 91.0, "longitude": 0.0}}, "LOCATION_INVALID"),
            ({"zone": of_station}, "NOT_FOUND"),
            ({"zone": global_id("PriceZone", uuid4())}, "NOT_FOUND"),
            ({"zone": "x"}, "NOT_FOUND"),
        ]
        async with Listener(house) as client:
            for variables, code in refused:
                await client.subscribe(PRICES, variables=variables)
                assert await client.error_code() == code, variables
        assert house.system.hub._channels == {}


class TestCost:
    async def test_an_event_is_looked_at_once_for_all_who_follow(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        zone = await create_zone("yunnan-1")
        station = await create_station(zone)
        statements: list[str] = []
        read = StationIndex._refresh

        async def counted(index: StationIndex) -> None:
            statements.append("stations")
            await read(index)

        async def refused(_ids: object) -> None:
            raise AssertionError("the price stands in the event")

        query = """subscription ($stations: [ID!]) { priceChanges(stationIds: $stations) {
          ... on PriceChangeEvent { price { unitPrice { milliyuan } } } } }"""
        async with Listener(house) as client:
            for number in range(40):
                variables = {"stations": [global_id("Station", station.id)]}
                await client.subscribe(query, id=str(number), variables=variables)
            await listening(house, "prices", clients=40)
            monkeypatch.setattr(StationIndex, "_refresh", counted)
            monkeypatch.setattr(feed, "prices_by_ids", refused)
            for number in range(3):
                await change_price(zone, Product.GASOLINE_92, 8_460 + number, days_ago=9 - number)
                heard = [(await client.data())["priceChanges"]["price"]["unitPrice"]["milliyuan"] for _ in range(40)]
                assert set(heard) == {8_460 + number}
        # One for the first who asks, and one that whoever came meanwhile shares.
        assert 3 <= len(statements) <= 6

    async def test_an_event_without_its_source_is_read_once(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        zone = await create_zone("yunnan-1")
        await change_price(zone, Product.GASOLINE_92, 8_460, days_ago=9)
        (event,) = await Event.filter(stream="prices")
        old = {name: value for name, value in event.payload.items() if not name.startswith("source")}
        await Event.filter(id=event.id).update(payload=old)
        read, reads = queries.prices_by_ids, []

        async def counted(ids: list[UUID]) -> Any:
            reads.append(ids)
            return await read(ids)

        monkeypatch.setattr(feed, "prices_by_ids", counted)
        start = await cursor_of("prices", 0)
        async with Listener(house) as client:
            for number in range(10):
                await client.subscribe(PRICES, id=str(number), variables={"after": start})
            for _ in range(10):
                assert (await client.data())["priceChanges"]["price"]["unitPrice"] == {"milliyuan": 8_460}
        assert len(reads) == 1


async def test_completing_a_subscription_leaves_its_channel(house: House) -> None:
    async with Listener(house) as client:
        for number in range(5):
            await client.subscribe(PRICES, id=str(number))
        await listening(house, "prices", clients=5)
        assert house.system.channels == {"prices"}
        for number in range(5):
            await client.send({"id": str(number), "type": "complete"})
        await eventually(lambda: house.system.channels == set() and not house.system.hub._channels)
