"""Stations that are kept, on a database that changes: what is shown is what would be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from domain.events import purges
from domain.identity.viewer import Viewer
from domain.pricing.operations import load_prices
from domain.pricing.records import PriceRecord
from domain.stations.feed import PriceFeed
from domain.stations.index import StationIndex
from kernel.clock import utc_now
from kernel.fragments import Fragments
from kernel.ids import new_id
from kernel.settings import Settings
from kernel.states import Product
from models.database import dialect
from models.pricing import Price, PriceZone
from models.stations import Station
from resolvers import loaders
from schema.execution.executor import GENERATES_AFTER
from schema.root import build
from schema.types.charges import Meter
from schema.types.context import Context, Services
from schema.types.relay import global_id
from subscriptions.broadcasting import create_broadcast
from subscriptions.execution import Executed, Executor
from subscriptions.fragments import KeptFragments, keeping_fragments, stations_of
from subscriptions.purging import hearing
from subscriptions.requests import GraphQLRequest
from tests.factories import viewer_of
from tests.stations.support import create_prices, create_stations, station_record
from tests.subscriptions.support import eventually

SCHEMA = build()
FIELDS = """id name brand address location { latitude } zone { name }
  prices(product: $product) { product unitPrice { text } effectiveFrom zone { code } }"""
NEAREST = f"""query Nearest($latitude: Float!, $product: Product) {{
  stations(near: {{latitude: $latitude, longitude: 121.4}}, radius: 50000, first: 6) {{
    edges {{ cursor distance node {{ {FIELDS} }} }} pageInfo {{ hasNextPage }} }} }}"""
LISTED = f"query Listed($product: Product) {{ stations(first: 9) {{ edges {{ node {{ {FIELDS} }} }} }} }}"
CHEAPEST = f"""query Cheapest($product: Product!) {{
  stations(near: {{latitude: 31.2, longitude: 121.4}}, product: $product, sort: PRICE, radius: 50000) {{
    edges {{ distance node {{ {FIELDS} }} }} }} }}"""
ONE = f"query One($id: ID!, $product: Product) {{ station(id: $id) {{ {FIELDS} }} }}"
SPOKEN = "query { stations(first: 5) { edges { node { name spoken } } } }"
COUNT = 12


class House:
    """Two ways to ask: one that keeps stations, and one that reads them each time."""

    def __init__(self, kept: KeptFragments, store: Fragments) -> None:
        self.kept, self.store, self.index = kept, store, StationIndex()
        nobody = cast(Any, None)
        self.services = Services(
            settings=Settings(), third_parties=nobody, policy=nobody, sealer=nobody, tokens=nobody, events=nobody,
            stations=self.index, prices=PriceFeed(self.index),
        )  # fmt: skip
        self.keeping = Executor(SCHEMA, loaders=loaders.build, fragments=kept)
        self.reading = Executor(SCHEMA, loaders=loaders.build)

    async def ready(self) -> None:
        """Wait until it is known for how long what is kept is true."""
        await eventually(lambda: self.kept.view() is not None)

    async def ask(
        self, by: Executor, text: str, *, viewer: Viewer | None = None, locale: Any = "en", **variables: Any
    ) -> tuple[Executed, Meter]:
        context = Context(self.services, viewer=viewer, locale=locale, meter=Meter())
        prepared = by.prepare(GraphQLRequest(text, variables, None, None), context)
        found = by.answer_bytes(prepared, context)
        assert context.meter is not None
        return found if isinstance(found, Executed) else await found, context.meter

    async def compare(self, text: str, **asked: Any) -> bytes:
        ours, ours_meter = await self.ask(self.keeping, text, **asked)
        theirs, theirs_meter = await self.ask(self.reading, text, **asked)
        assert ours.body == theirs.body, (text, asked)
        assert not ours.failed
        assert ours_meter == theirs_meter
        return ours.body


@pytest.fixture
async def house(database: str) -> AsyncIterator[House]:
    assert database
    # Without whole answers a fragment is kept at once.
    settings = Settings(response_cache_size_max_bytes=0)
    store = stations_of(settings)
    await create_prices({
        ("310000", "上海市"): {Product.GASOLINE_92: 8_000, Product.DIESEL_0: 7_500},
        ("320000", "江苏省"): {Product.GASOLINE_92: 7_900},
    })  # fmt: skip
    await create_stations(
        *(
            station_record(each, latitude=31.2 + each / 100, longitude=121.4, province=["上海市", "江苏省"][each % 2])
            for each in range(COUNT)
        )
    )
    async with (
        create_broadcast(settings) as broadcast,
        hearing(broadcast, settings, fragments=store),
        keeping_fragments(store, settings) as kept,
    ):
        # Whoever begins to hear forgets what it has.
        await eventually(lambda: store.generation > 0)
        yield House(kept, store)


async def change(random: Random) -> None:
    """Change one of the rows that are shown, each time in another way."""
    station = random.choice(await Station.all().order_by("id"))
    zone = random.choice(await PriceZone.all().order_by("id"))
    turn = random.randrange(5)
    if turn == 0:
        station.name = f"站{random.randrange(1_000)}"
        await station.save()
    elif turn == 1:
        await Station.filter(id=station.id).update(zone_id=random.choice([None, zone.id]))
    elif turn == 2:
        await PriceZone.filter(id=zone.id).update(name=f"价区{random.randrange(1_000)}")
    elif turn == 3:
        await Price.filter(zone_id=zone.id).update(milliyuan_per_litre=7_000 + random.randrange(2_000))
    else:
        await create_stations(station_record(random.randrange(90, 99), latitude=31.25, longitude=121.41))


async def test_what_is_shown_is_what_would_be_read(house: House) -> None:
    random = Random(1)
    for turn in range(90):
        if turn % 6 == 5:
            await change(random)
        if turn % 3:
            await house.ready()
        product = random.choice([Product.GASOLINE_92.name, Product.DIESEL_0.name])
        station = random.choice(await Station.all().order_by("id"))
        questions: list[tuple[str, dict[str, Any]]] = [
            (NEAREST, {"latitude": 31.2 + random.random() / 10}),
            (NEAREST, {"latitude": 31.2, "product": product}),
            (LISTED, {}),
            (CHEAPEST, {"product": product}),
            (ONE, {"id": global_id("Station", station.id)}),
            (SPOKEN, {}),
        ]
        text, variables = random.choice(questions)
        await house.compare(text, viewer=random.choice([None, viewer_of(new_id())]), **variables)
    assert hits() > 50


def hits() -> float:
    return REGISTRY.get_sample_value("youka_fragments_looked_up_total", {"result": "hit"}) or 0.0


async def test_the_nearest_to_another_place_are_there_already(house: House, statements: list[str]) -> None:
    await house.ready()
    # Code is generated for what was executed often enough, and the first time that it runs it finds nothing.
    for _ in range(GENERATES_AFTER + 1):
        await house.ask(house.keeping, NEAREST, latitude=31.22)
    statements.clear()
    await house.ask(house.keeping, NEAREST, latitude=31.22)
    assert statements == []
    # Those that were not among the nearest are read, with zones and prices.
    await house.ask(house.keeping, NEAREST, latitude=31.25)
    assert len(statements) == (1 if dialect() == "postgres" else 3)
    statements.clear()
    await house.compare(NEAREST, latitude=31.24)
    await Station.all().update(name="another")
    statements.clear()
    assert b"another" in await house.compare(NEAREST, latitude=31.24)


async def test_each_is_told_in_their_language(house: House) -> None:
    await house.ready()
    told = {locale: await house.compare(SPOKEN, locale=locale) for locale in ("en", "zh-CN") for _ in range(4)}
    assert told["en"] != told["zh-CN"]


async def test_a_price_that_is_to_come_ends_what_is_kept(house: House) -> None:
    record = PriceRecord("310000", "default", Product.GASOLINE_92, 8_888, "发改委", "https://example.com/notice")
    await load_prices(prices=[record], effective_from=utc_now() + timedelta(seconds=100), clock=utc_now)
    seconds = 0.0
    store = Fragments(1 << 20, tags=(purges.STATIONS,), clock=lambda: seconds)
    kept = KeptFragments(store, lasts_s=900)
    await eventually(lambda: kept.view() is not None)
    view = kept.view()
    assert view is not None
    assert view.keep("a station", "as it is", size_bytes=8)
    seconds = 90.0
    assert (found := kept.view()) is not None
    assert found.get("a station") == "as it is"
    seconds = 101.0
    assert kept.view() is None
    await eventually(lambda: kept.view() is not None)
    assert not store
    assert not view.keep("a station", "as it was", size_bytes=8), "what was begun before is not kept after it"
    await kept.close()


async def test_what_does_not_hear_of_changes_finds_nothing(house: House) -> None:
    await house.ready()
    house.store.open_until = 0.0
    assert house.kept.view() is None
    await house.compare(LISTED)
    assert not house.store


def test_where_whole_answers_are_kept_stations_are_kept_when_they_are_needed_again() -> None:
    both, fragments_alone = Settings(), Settings(response_cache_size_max_bytes=0)
    assert [stations_of(both).wants("station"), stations_of(fragments_alone).wants("station")] == [False, True]
