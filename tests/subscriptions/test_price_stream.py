"""`priceChanges`: which prices reach whom."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from domain.events.operations import append
from domain.events.streams import STATIONS, EventType
from domain.pricing.operations import load_prices
from domain.pricing.records import PriceRecord
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import Product, StationBrand
from models.database import transactional
from models.pricing import PriceZone
from models.stations import Station
from schema.types.relay import global_id
from tests.subscriptions.listening import House, Listener, cursor_of, listening
from tests.subscriptions.support import eventually

PRICES = """subscription ($stations: [ID!], $near: LocationInput, $radius: Int, $zone: ID, $product: Product,
    $after: String) {
  priceChanges(stationIds: $stations, near: $near, radius: $radius, zone: $zone, product: $product, after: $after) {
    ... on StreamEvent { cursor }
    ... on PriceChangeEvent { price { product unitPrice { milliyuan } zone { code } } previous { milliyuan } }
    ... on PriceGap { reason complete prices { product unitPrice { milliyuan } zone { code } } } } }"""

DAY = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)


async def create_zone(code: str) -> PriceZone:
    return await PriceZone.create(id=new_id(), province_code="530000", province_name="云南省", code=code, name=code)


async def create_station(zone: PriceZone | None) -> Station:
    identifier = new_id()
    return await Station.create(
        id=identifier, source_key=str(identifier), name="加油站", brand=StationBrand.SINOPEC, address="",
        province="云南省", city="", district="", latitude=25.0, longitude=102.7, zone=zone,
        created_at=utc_now(), updated_at=utc_now(),
    )  # fmt: skip


@transactional
async def move(station: Station, zone: PriceZone) -> None:
    """Do what an import does where a region has come into another zone."""
    await Station.filter(id=station.id).update(zone_id=zone.id)
    payload = {"station_ids": [str(station.id)]}
    await append(stream=STATIONS, type=EventType.STATIONS_CHANGED, payload=payload, now=utc_now())


async def change_price(zone: PriceZone, product: Product, milliyuan: int, *, days_ago: int) -> None:
    record = PriceRecord(
        province_code=zone.province_code, zone_code=zone.code, product=product, milliyuan=milliyuan,
        source="tests", source_url="https://prices.example/1",
    )  # fmt: skip
    await load_prices(prices=[record], effective_from=DAY - timedelta(days=days_ago), clock=utc_now)


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
            await listening(house, "prices", followers=3)
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


async def test_completing_a_subscription_leaves_its_channel(house: House) -> None:
    async with Listener(house) as client:
        for number in range(5):
            await client.subscribe(PRICES, id=str(number))
        await listening(house, "prices", followers=5)
        assert house.system.channels == {"prices"}
        for number in range(5):
            await client.send({"id": str(number), "type": "complete"})
        await eventually(lambda: house.system.channels == set() and not house.system.hub._channels)
