"""Stations, zones and prices are read by statements whose text does not depend on how many there are."""

from __future__ import annotations

from uuid import uuid4

from domain.pricing.queries import current, zones_by_ids
from domain.stations.queries import by_ids
from kernel.states import Product
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
