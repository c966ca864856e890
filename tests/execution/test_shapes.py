"""What the database writes of rows is what would be made of them, whatever is selected."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any
from uuid import uuid4

import orjson
import pytest

from domain.identity.viewer import Viewer
from kernel.states import Product, StationBrand
from models.database import dialect
from models.orders import RechargeOrder
from models.pricing import PriceZone
from models.stations import Station
from schema.types.relay import global_id
from tests.both_ways import BothWays
from tests.factories import create_card
from tests.orders.test_pages import create_world
from tests.reads import note_reads
from tests.stations.support import NOW, create_prices, create_stations, station_record

# What JSON writes in ways of its own, and what SQL and templates could take for something else.
TEXTS = ("", "'\"\\/{0}{}%s$1", "\u0001\b\f\n\r\t\u007f", "路🛢️\u2028", "  ", "</script>")
SHAPED = "concat('{"
STATION = dict.fromkeys(("id", "name", "brand", "address", "province", "city", "district"), "") | {
    "location": "latitude longitude",
    "zone": "id provinceCode provinceName code name",
}
PRICE = dict.fromkeys(("id", "product", "effectiveFrom", "source", "sourceUrl"), "") | {
    "unitPrice": "milliyuan yuan text"
}
WORDS = "id state failureKind refundState reviewState reviewReason payDeadlineAt createdAt updatedAt"
ORDER = dict.fromkeys(WORDS.split(), "") | {
    "amount": "fen yuan text",
    "price": "fen yuan text",
    "card": "id brand maskedNumber boundAt checkedAt unboundAt",
}
AMOUNTS_FEN = (1, 10, 99, 100, 12_345, 123_456_789, 99_999_999_999)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that connections for reading alone are sent from now on; ask for the database first."""
    found: list[str] = []
    note_reads(monkeypatch, found)
    return found


def drawn(chance: Random, fields: dict[str, str]) -> str:
    """Return some of the fields in any order, under any names, some of them twice."""
    parts = ["__typename"] if chance.random() < 0.3 else []
    for number, name in enumerate(chance.sample(list(fields), chance.randint(1, len(fields)))):
        for alias in chance.sample(["", f"r{number}: ", f"_{'A' * 64}{number}: "], chance.choice([1, 1, 2])):
            below = fields[name].split()
            parts.append(f"{alias}{name}" + (f" {{ {drawn(chance, dict.fromkeys(below, ''))} }}" if below else ""))
    return " ".join(parts)


async def create_filling_stations() -> list[Station]:
    """Return stations in a zone with prices of all products, in one with a single price, in one with none, in none."""
    await create_stations(*(station_record(number, latitude=31 + number / 1e5, longitude=121.4) for number in range(9)))
    await create_stations(station_record(9, latitude=31, longitude=121.4, province="大洋省"))
    prices = {product: 7_501 + 9 * place for place, product in enumerate(Product)}
    zones = {("310000", "上海市"): prices, ("320000", "江苏省"): {Product.DIESEL_0: 10}, ("330000", "浙江省"): {}}
    await create_prices(zones)
    await create_prices({("310000", "上海市"): {Product.DIESEL_0: 9_990}}, at=NOW - timedelta(days=1, microseconds=1))
    one, none = await PriceZone.get(province_code="320000"), await PriceZone.get(province_code="330000")
    rows = await Station.all().order_by("name")
    for number, row in enumerate(rows):
        row.address, row.brand = TEXTS[number % len(TEXTS)], list(StationBrand)[number % len(StationBrand)]
        row.zone_id = {1: one.id, 2: none.id}.get(number, row.zone_id)
        await row.save()
    return rows


@pytest.mark.parametrize("seed", range(6))
async def test_stations_are_written_as_they_are_read(database: str, sent: list[str], seed: int) -> None:
    rows, house, chance = await create_filling_stations(), BothWays(), Random(seed)
    for _ in range(6):
        prices = f" prices {{ {drawn(chance, PRICE)} }}" if chance.random() < 0.7 else ""
        fields = drawn(chance, STATION) + prices
        one = f"query ($id: ID!) {{ found: station(id: $id) {{ {fields} }} }}"
        near = f"""{{ stations(near: {{latitude: 31, longitude: 121.4}}, first: {chance.choice([1, 20])}) {{
          edges {{ cursor distance node {{ {fields} }} }} pageInfo {{ endCursor hasNextPage }} }} }}"""
        for row in chance.sample(rows, 4):
            sent.clear()
            assert b'"errors"' not in await house.known(None, one, id=global_id("Station", row.id))
            assert any(SHAPED in each for each in sent) == (dialect() == "postgres")
        assert b'"errors"' not in await house.known(None, near)
    assert await house.known(None, one, id=global_id("Station", uuid4())) == b'{"data":{"found":null}}'


async def create_orders(seed: int) -> tuple[Viewer, list[RechargeOrder]]:
    world, _ = await create_world(seed)
    chance, viewer = Random(seed), world.viewers[0]
    cards = [await create_card(viewer, f"100011110000000{number:04}") for number in range(3)]
    cards[0].checked_at = cards[1].unbound_at = NOW + timedelta(microseconds=999)
    for card in cards:
        await card.save()
    orders = await RechargeOrder.filter(user_id=viewer.user_id)
    for order in orders:
        order.card_id = chance.choice(cards).id
        order.amount_fen = chance.choice(AMOUNTS_FEN)
        await order.save()
    return viewer, orders


@pytest.mark.parametrize("seed", range(4))
async def test_orders_are_written_as_they_are_read(database: str, sent: list[str], seed: int) -> None:
    (viewer, orders), house, chance = await create_orders(seed), BothWays(), Random(seed)
    assert orders
    for _ in range(6):
        text = f"""query ($first: Int!) {{ viewer {{ wallet {{ balance {{ fen }} }} orders(first: $first) {{
          edges {{ {chance.choice(["cursor", "__typename", "again: node { id }"])} node {{ {drawn(chance, ORDER)} }} }}
          pageInfo {{ startCursor endCursor hasNextPage }}
        }} }} }}"""
        sent.clear()
        assert b'"errors"' not in await house.known(viewer, text, first=chance.choice([1, 5, 100]))
        assert any(SHAPED in each for each in sent) == (dialect() == "postgres")


@pytest.mark.parametrize(
    "fields",
    [
        "prices(product: GASOLINE_92) { product }",
        "prices(product: $product) { product }",
        "prices { zone { name } }",
        "a: prices { product } b: prices { id }",
        "spoken",
        "... on Node { id } name spoken",
    ],
)
async def test_what_a_statement_cannot_say_is_read(database: str, sent: list[str], fields: str) -> None:
    rows, house = await create_filling_stations(), BothWays()
    uses = "($id: ID!, $product: Product)" if "$" in fields else "($id: ID!)"
    text = f"query {uses} {{ station(id: $id) {{ {fields} }} }}"
    for row in rows[:3]:
        assert b'"errors"' not in await house.known(None, text, id=global_id("Station", row.id))
    assert not any(SHAPED in each for each in sent)


async def test_two_shapes_of_one_page_are_not_taken_for_one(database: str, sent: list[str]) -> None:
    viewer, _ = await create_orders(1)
    text = "{ viewer { orders(first: 3) { edges { node { id } } again: edges { cursor node { amount { fen } } } } } }"
    assert b'"errors"' not in await BothWays().known(viewer, text)
    assert not any(SHAPED in each for each in sent)


async def test_what_fails_beside_it_is_told_as_by_others(database: str) -> None:
    """The general way is taken for a part in which anything fails, and finds rows in a shape."""
    viewer, _ = await create_orders(2)
    wrong = "wallet { topUps(first: 0) { edges { cursor } } }"
    text = f"{{ viewer {{ orders(first: 3) {{ edges {{ node {{ id state }} }} }} {wrong} }} }}"
    found: dict[str, Any] = orjson.loads(await BothWays().known(viewer, text))
    assert [each["path"] for each in found["errors"]] == [["viewer", "wallet", "topUps"]]
