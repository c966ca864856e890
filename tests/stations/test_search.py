"""Searching stations through the schema."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from strawberry.types import ExecutionResult

from domain.stations.geo import EARTH_RADIUS_M
from kernel.errors import YoukaError
from kernel.states import Product
from models.stations import Station
from tests.stations.support import NOW, Ask, create_prices, create_stations, station_record

SHANGHAI, JIANGSU, ZHEJIANG = ("310000", "上海市"), ("320000", "江苏省"), ("330000", "浙江省")
SQUARE = {"latitude": 31.2304, "longitude": 121.4737}

SEARCH = """
query Search($near: LocationInput, $radius: Int! = 5000, $product: Product, $sort: StationSort! = DISTANCE,
             $first: Int! = 20, $after: String) {
  stations(near: $near, radius: $radius, product: $product, sort: $sort, first: $first, after: $after) {
    edges { cursor distance node { name prices(product: $product) { product unitPrice { yuan } } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""
WITH_PRICES = """
query ($near: LocationInput!, $first: Int!) {
  stations(near: $near, radius: 50000, first: $first) {
    edges { distance node {
      id name brand zone { id code name }
      prices { id product unitPrice { milliyuan text } effectiveFrom source zone { provinceCode } }
      priceHistory(product: GASOLINE_92, first: 2) { edges { node { unitPrice { yuan } } } }
    } }
  }
}
"""

BAD_SEARCHES: list[tuple[dict[str, Any], str]] = [
    ({"near": SQUARE, "sort": "PRICE"}, "PRODUCT_REQUIRED"),
    ({"sort": "PRICE", "product": "GASOLINE_92"}, "LOCATION_REQUIRED"),
    ({"near": SQUARE, "radius": 0}, "RADIUS_INVALID"),
    ({"near": SQUARE, "radius": -5}, "RADIUS_INVALID"),
    ({"near": SQUARE, "radius": 50_001}, "RADIUS_INVALID"),
    ({"near": {"latitude": 91, "longitude": 0}}, "LOCATION_INVALID"),
    ({"near": {"latitude": 121.4737, "longitude": 31.2304}}, "LOCATION_INVALID"),
    ({"near": {"latitude": 0, "longitude": 1e300}}, "LOCATION_INVALID"),
    ({"near": SQUARE, "first": 0}, "PAGE_SIZE_INVALID"),
    ({"near": SQUARE, "first": 101}, "PAGE_SIZE_INVALID"),
    ({"near": SQUARE, "after": ""}, "CURSOR_INVALID"),
    ({"near": SQUARE, "after": "bm9uc2Vuc2U"}, "CURSOR_INVALID"),
    ({"near": SQUARE, "after": "WzEsMl0"}, "CURSOR_INVALID"),  # [1,2]
    ({"near": SQUARE, "after": "W3RydWUsIngiXQ"}, "CURSOR_INVALID"),  # [true,"x"]
    ({"after": "WzVd"}, "CURSOR_INVALID"),  # [5]
]
BAD_LISTS: list[tuple[dict[str, Any], str]] = [
    ({"province": "上海"}, "PROVINCE_INVALID"),
    ({"first": 0}, "PAGE_SIZE_INVALID"),
    ({"after": "x"}, "CURSOR_INVALID"),
    ({"after": "WyIzMTAwMDAiLCJcdTAwMDAiLCI5MiJd"}, "CURSOR_INVALID"),  # ["310000","\\u0000","92"]
]


@pytest.fixture
async def three_provinces(database: str) -> None:
    """Nine stations on a line eastwards, 100 m apart, in three provinces by turns; one province has no 98."""
    assert database
    await create_prices(
        {
            SHANGHAI: {Product.GASOLINE_92: 8460, Product.GASOLINE_98: 10_500},
            JIANGSU: {Product.GASOLINE_92: 8400, Product.GASOLINE_98: 10_200},
            ZHEJIANG: {Product.GASOLINE_92: 8460},
        }
    )
    provinces = [SHANGHAI[1], JIANGSU[1], ZHEJIANG[1]]
    await create_stations(
        *(
            station_record(
                number, latitude=31.2304, longitude=121.4737 + 0.00105 * number, province=provinces[number % 3]
            )
            for number in range(9)
        )
    )


def codes(result: ExecutionResult) -> list[str | None]:
    """Return the codes as the server presents them: of the refusal itself, or of the GraphQL error."""
    return [
        error.original_error.code
        if isinstance(error.original_error, YoukaError)
        else (error.extensions or {}).get("code")
        for error in result.errors or []
    ]


def numbers(data: Any) -> list[int]:
    return [int(edge["node"]["name"].split("(")[1].removesuffix("号站)")) for edge in data["stations"]["edges"]]


async def all_pages(ask: Ask, **variables: Any) -> list[int]:
    found: list[int] = []
    after = None
    while True:
        result = await ask(SEARCH, after=after, **variables)
        assert result.errors is None
        assert result.data is not None
        page = result.data["stations"]
        found += numbers(result.data)
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return found


@pytest.mark.usefixtures("three_provinces")
class TestStations:
    async def test_the_nearest_come_first_with_their_distance(self, ask: Ask) -> None:
        result = await ask(SEARCH, near=SQUARE, first=3)
        assert result.errors is None
        assert result.data is not None
        assert numbers(result.data) == [0, 1, 2]
        assert [edge["distance"] for edge in result.data["stations"]["edges"]] == [0, 100, 200]
        assert result.data["stations"]["pageInfo"]["hasNextPage"] is True
        assert result.data["stations"]["edges"][0]["node"]["prices"] == [
            {"product": "GASOLINE_92", "unitPrice": {"yuan": "8.46"}},
            {"product": "GASOLINE_98", "unitPrice": {"yuan": "10.50"}},
        ]

    async def test_a_distance_is_rounded_once(self, ask: Ask) -> None:
        # 833.4996 m, which are 833,500 mm, and 833.5004 m, which are as many.
        for number, away_m in ((60, 833.4996), (61, 833.5004)):
            north = SQUARE["latitude"] + math.degrees(away_m / EARTH_RADIUS_M)
            await create_stations(station_record(number, latitude=north, longitude=SQUARE["longitude"]))
        for search in ({}, {"product": "GASOLINE_92", "sort": "PRICE"}):
            result = await ask(SEARCH, near=SQUARE, **search)
            assert result.data is not None
            shown = dict(
                zip(numbers(result.data), [e["distance"] for e in result.data["stations"]["edges"]], strict=True)
            )
            assert (shown[60], shown[61]) == (833, 834)

    async def test_the_radius_is_a_limit(self, ask: Ask) -> None:
        result = await ask(SEARCH, near=SQUARE, radius=250)
        assert result.data is not None
        assert numbers(result.data) == [0, 1, 2]

    async def test_with_a_product_only_stations_with_its_price_are_listed(self, ask: Ask) -> None:
        result = await ask(SEARCH, near=SQUARE, product="GASOLINE_98")
        assert result.data is not None
        assert numbers(result.data) == [0, 1, 3, 4, 6, 7]

    async def test_the_cheapest_come_first_then_the_nearest_then_those_without_a_price(self, ask: Ask) -> None:
        by_92 = await ask(SEARCH, near=SQUARE, product="GASOLINE_92", sort="PRICE")
        assert by_92.data is not None
        assert numbers(by_92.data) == [1, 4, 7, 0, 2, 3, 5, 6, 8]
        by_98 = await ask(SEARCH, near=SQUARE, product="GASOLINE_98", sort="PRICE")
        assert by_98.data is not None
        assert numbers(by_98.data) == [1, 4, 7, 0, 3, 6, 2, 5, 8]

    async def test_pages_join_to_the_whole(self, ask: Ask) -> None:
        for variables, expected in (
            ({}, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
            ({"product": "GASOLINE_98"}, [0, 1, 3, 4, 6, 7]),
            ({"product": "GASOLINE_98", "sort": "PRICE"}, [1, 4, 7, 0, 3, 6, 2, 5, 8]),
            ({"product": "GASOLINE_92", "sort": "PRICE"}, [1, 4, 7, 0, 2, 3, 5, 6, 8]),
        ):
            for first in (1, 2, 4, 9):
                assert await all_pages(ask, near=SQUARE, first=first, **variables) == expected, (variables, first)

    @pytest.mark.parametrize("first", [1, 4, 9])
    async def test_without_a_place_every_station_is_listed(self, ask: Ask, first: int) -> None:
        names = await Station.all().order_by("id").values_list("name", flat=True)
        by_id = [int(str(name).split("(")[1].removesuffix("号站)")) for name in names]
        assert sorted(by_id) == list(range(9))
        assert await all_pages(ask, first=first) == by_id
        with_98 = [number for number in by_id if number in {0, 1, 3, 4, 6, 7}]
        assert await all_pages(ask, first=first, product="GASOLINE_98") == with_98
        result = await ask(SEARCH, first=1)
        assert result.data is not None
        assert result.data["stations"]["edges"][0]["distance"] is None

    async def test_bad_input_is_refused_with_a_code(self, ask: Ask) -> None:
        for variables, code in BAD_SEARCHES:
            result = await ask(SEARCH, **variables)
            assert result.data is None
            assert codes(result) == [code], variables

    async def test_a_cursor_of_another_order_is_refused(self, ask: Ask) -> None:
        nearest = await ask(SEARCH, near=SQUARE, first=1)
        assert nearest.data is not None
        cursor = nearest.data["stations"]["pageInfo"]["endCursor"]
        result = await ask(SEARCH, near=SQUARE, first=1, after=cursor, sort="PRICE", product="GASOLINE_92")
        assert codes(result) == ["CURSOR_INVALID"]

    async def test_a_refusal_speaks_the_callers_language_and_names_the_limit(self, ask: Ask) -> None:
        result = await ask(SEARCH, near=SQUARE, radius=0, locale="zh-CN")
        assert result.errors is not None
        assert result.errors[0].message == "搜索半径须在1至50000米之间"
        assert (result.errors[0].extensions or {})["maximum"] == 50_000

    async def test_literals_that_are_no_number_are_refused(self, ask: Ask) -> None:
        for literal in ("NaN", "Infinity", '"31.2"', "1e999"):
            result = await ask(
                f"{{ stations(near: {{latitude: {literal}, longitude: 121}}) {{ edges {{ cursor }} }} }}"
            )
            assert result.errors, literal

    async def test_the_number_of_statements_does_not_grow_with_the_page(self, ask: Ask, statements: list[str]) -> None:
        counts = []
        for first in (1, 9):
            await ask(WITH_PRICES, near=SQUARE, first=first)
            statements.clear()
            result = await ask(WITH_PRICES, near=SQUARE, first=first)
            assert result.errors is None
            assert result.data is not None
            assert len(result.data["stations"]["edges"]) == first
            counts.append(len(statements))
        # The head, the stations, their zones, prices and histories, and the zones of those prices.
        assert counts[0] == counts[1] <= 6


@pytest.mark.usefixtures("three_provinces")
class TestOneStation:
    async def test_it_is_found_by_its_id_alone_and_as_a_node(self, ask: Ask) -> None:
        found = await ask(WITH_PRICES, near=SQUARE, first=1)
        assert found.data is not None
        node = found.data["stations"]["edges"][0]["node"]
        query = "query ($id: ID!) { station(id: $id) { id name } node(id: $id) { id ... on Station { name } } }"
        result = await ask(query, id=node["id"])
        assert result.errors is None
        expected = {"id": node["id"], "name": node["name"]}
        assert result.data == {"station": expected, "node": expected}

    async def test_prices_and_zones_are_nodes(self, ask: Ask) -> None:
        found = await ask(WITH_PRICES, near=SQUARE, first=1)
        assert found.data is not None
        station = found.data["stations"]["edges"][0]["node"]
        query = """query ($price: ID!, $zone: ID!) {
          price: node(id: $price) { ... on Price { unitPrice { milliyuan } zone { id } } }
          zone: node(id: $zone) { ... on PriceZone { provinceName } }
        }"""
        result = await ask(query, price=station["prices"][0]["id"], zone=station["zone"]["id"])
        assert result.errors is None
        assert result.data == {
            "price": {"unitPrice": {"milliyuan": 8460}, "zone": {"id": station["zone"]["id"]}},
            "zone": {"provinceName": "上海市"},
        }

    async def test_an_unknown_one_is_null(self, ask: Ask) -> None:
        unknown = "U3RhdGlvbjowMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDA"
        for id in ("", "x", "U3RhdGlvbjp4", unknown, "中国", "\0", "a" * 10_000):
            result = await ask("query ($id: ID!) { station(id: $id) { name } node(id: $id) { id } }", id=id)
            assert result.errors is None
            assert result.data == {"station": None, "node": None}

    async def test_a_station_without_a_zone_has_no_prices(self, ask: Ask) -> None:
        await create_stations(station_record(50, latitude=31.0, longitude=121.0, province="无此省"))
        result = await ask(
            """query ($near: LocationInput!) { stations(near: $near, radius: 10) { edges { node {
              zone { id } prices { id } priceHistory(product: GASOLINE_92) { edges { cursor } pageInfo { hasNextPage } }
            } } } }""",
            near={"latitude": 31.0, "longitude": 121.0},
        )
        assert result.errors is None
        assert result.data is not None
        assert result.data["stations"]["edges"][0]["node"] == {
            "zone": None,
            "prices": [],
            "priceHistory": {"edges": [], "pageInfo": {"hasNextPage": False}},
        }

    async def test_its_price_history_comes_newest_first_in_pages(self, ask: Ask) -> None:
        for days, milliyuan in ((-20, 8000), (-10, 8100), (10, 9999)):
            await create_prices({SHANGHAI: {Product.GASOLINE_92: milliyuan}}, at=NOW + timedelta(days=days))
        query = """query ($id: ID!, $after: String) { station(id: $id) { priceHistory(
            product: GASOLINE_92, first: 2, after: $after
        ) { edges { node { unitPrice { milliyuan } effectiveFrom } } pageInfo { hasNextPage endCursor } } } }"""
        near = await ask(WITH_PRICES, near=SQUARE, first=1)
        assert near.data is not None
        station = near.data["stations"]["edges"][0]["node"]["id"]
        first = await ask(query, id=station)
        assert first.data is not None
        page = first.data["station"]["priceHistory"]
        assert [edge["node"]["unitPrice"]["milliyuan"] for edge in page["edges"]] == [8460, 8100]
        assert page["edges"][0]["node"]["effectiveFrom"] == "2026-05-01T04:00:00.000Z"
        second = await ask(query, id=station, after=page["pageInfo"]["endCursor"])
        assert second.data is not None
        page = second.data["station"]["priceHistory"]
        assert [edge["node"]["unitPrice"]["milliyuan"] for edge in page["edges"]] == [8000]
        assert page["pageInfo"]["hasNextPage"] is False
        bad = await ask(query, id=station, after="WyIyMDI2LTA1LTAxIl0")  # ["2026-05-01"]
        assert codes(bad) == ["CURSOR_INVALID"]


@pytest.mark.usefixtures("three_provinces")
class TestPrices:
    QUERY = """query ($province: String, $product: Product, $first: Int! = 50, $after: String) {
      prices(province: $province, product: $product, first: $first, after: $after) {
        edges { node { product unitPrice { milliyuan } zone { provinceCode } } } pageInfo { hasNextPage endCursor }
      }
    }"""

    async def listed(self, ask: Ask, **variables: Any) -> list[tuple[str, str, int]]:
        found = []
        while True:
            result = await ask(self.QUERY, **variables)
            assert result.errors is None
            assert result.data is not None
            page = result.data["prices"]
            for edge in page["edges"]:
                node = edge["node"]
                found.append((node["zone"]["provinceCode"], node["product"], node["unitPrice"]["milliyuan"]))
            if not page["pageInfo"]["hasNextPage"]:
                return found
            variables["after"] = page["pageInfo"]["endCursor"]

    @pytest.mark.parametrize("first", [1, 2, 50])
    async def test_all_are_listed_by_province_and_product(self, ask: Ask, first: int) -> None:
        assert await self.listed(ask, first=first) == [
            ("310000", "GASOLINE_92", 8460),
            ("310000", "GASOLINE_98", 10_500),
            ("320000", "GASOLINE_92", 8400),
            ("320000", "GASOLINE_98", 10_200),
            ("330000", "GASOLINE_92", 8460),
        ]

    async def test_they_are_narrowed(self, ask: Ask) -> None:
        assert await self.listed(ask, province="320000", product="GASOLINE_98") == [("320000", "GASOLINE_98", 10_200)]
        assert await self.listed(ask, province="999999") == []

    async def test_bad_input_is_refused_with_a_code(self, ask: Ask) -> None:
        for variables, code in BAD_LISTS:
            result = await ask(self.QUERY, **variables)
            assert result.data is None
            assert codes(result) == [code], variables


@pytest.mark.usefixtures("three_provinces")
async def test_a_station_deleted_under_a_search_is_left_out(ask: Ask) -> None:
    await ask(SEARCH, near=SQUARE)
    # Behind the back of the events, as between the search and the reading of its rows.
    await Station.filter(name="中国石化(1号站)").delete()
    result = await ask(SEARCH, near=SQUARE, first=3)
    assert result.errors is None
    assert result.data is not None
    assert 1 not in numbers(result.data)
