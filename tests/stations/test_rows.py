"""Stations, zones and prices are read by statements whose text does not depend on how many there are."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from domain.pricing.queries import PriceFacts, ZonePrice, current, zones_by_ids
from domain.stations.along import priced, whole
from domain.stations.queries import by_ids
from kernel.clock import written
from kernel.states import Product
from models.database import dialect
from models.pricing import PriceZone
from models.stations import Station
from tests.stations.support import NOW, create_prices, create_stations, station_record


async def test_a_station_is_what_its_row_says(database: str) -> None:
    await create_stations(*(station_record(number, latitude=31.2 + number, longitude=121.4) for number in range(3)))
    await create_prices({("310000", "上海市"): {Product.GASOLINE_92: 7_500}})
    rows = await Station.all()
    missing = uuid4()
    found = await by_ids([rows[2].id, missing, rows[0].id, rows[2].id])
    assert [each and each.id for each in found] == [rows[2].id, None, rows[0].id, rows[2].id]
    for row, facts in ((rows[2], found[0]), (rows[0], found[2])):
        assert facts is not None
        assert all(getattr(facts, name) == getattr(row, name) for name in facts._fields)


async def test_a_zone_is_what_its_row_says(database: str) -> None:
    await create_prices({(f"{code}0000", f"省{code}"): {Product.GASOLINE_92: 7_500} for code in (31, 32)})
    rows = await PriceZone.all()
    found = await zones_by_ids([rows[1].id, uuid4(), rows[0].id])
    assert [each and each.id for each in found] == [rows[1].id, None, rows[0].id]
    for row, zone in ((rows[1], found[0]), (rows[0], found[2])):
        assert zone is not None
        assert all(getattr(zone, name) == getattr(row, name) for name in zone._fields)


async def test_what_is_read_along_is_what_is_read_by_itself(database: str, statements: list[str]) -> None:
    await create_stations(*(station_record(number, latitude=31.2 + number, longitude=121.4) for number in range(3)))
    await create_stations(station_record(9, latitude=31.2, longitude=121.4, province="大洋省"))
    await create_prices(
        {("310000", "上海市"): {Product.GASOLINE_92: 7_500, Product.DIESEL_0: 7_100}, ("320000", "江苏省"): {}}
    )
    rows = await Station.all().order_by("name")
    ids = [rows[2].id, uuid4(), *(row.id for row in rows), rows[0].id]
    zone_ids = [row.zone_id for row in rows if row.zone_id]
    zones, prices = (
        dict(zip(zone_ids, await zones_by_ids(zone_ids), strict=True)),
        await current(zone_ids=zone_ids, now=NOW),
    )
    statements.clear()
    for read, named in ((priced, False), (whole, True)):
        found = await read(ids, now=NOW)
        assert [each and each.station for each in found] == await by_ids(ids)
        for each in filter(None, found):
            zone_id = each.station.zone_id
            assert each.zone == (zones.get(zone_id) if named and zone_id else None)
            assert [_as_shown(price) for price in each.prices] == [
                _as_shown(price) for price in (prices.get(zone_id, []) if zone_id else [])
            ]
    if dialect() == "postgres":
        assert len(statements) == 4


def _as_shown(price: ZonePrice | PriceFacts) -> tuple[Any, ...]:
    moment = price.effective_from
    return str(price.id), *price[1:4], moment if isinstance(moment, str) else written(moment), *price[5:]


async def test_nobody_asked_for_is_nobody_found(database: str) -> None:
    assert await by_ids([]) == []
    assert await zones_by_ids([]) == []


async def test_the_database_is_sent_the_same_text_for_one_and_for_many(database: str, statements: list[str]) -> None:
    for count in (1, 2, 30):
        ids = [uuid4() for _ in range(count)]
        await by_ids(ids)
        await zones_by_ids(ids)
        await current(zone_ids=ids, now=NOW)
    assert len(statements) == 9
    assert len(set(statements)) == 3
