"""Places and ways over GraphQL: asked of the map service once a page, and estimated where it is not there."""

from __future__ import annotations

import pytest

from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import StationBrand
from models.stations import Station
from tests.sandbox_fixtures import Sandbox
from tests.schema.conftest import Client

NEAR = "{ latitude: 31.2, longitude: 121.45 }"
DRIVES = f"""
query {{
  stations(first: 5) {{ edges {{ node {{ name drivingDistance(from: {NEAR}) {{ meters seconds estimated }} }} }} }}
}}"""
PLACES = f"""
query {{
  searchPlaces(text: "停车场", near: {NEAR}, first: 2) {{ title distance location {{ latitude }} }}
  placeAt(location: {NEAR}) {{ title district }}
  stations(first: 5) {{ edges {{ node {{ name }} }} }}
}}"""


@pytest.fixture(autouse=True)
async def stations(client: Client) -> None:
    for number in range(3):
        await Station.create(
            id=new_id(),
            source_key=f"s{number}",
            name=f"站{number}",
            brand=StationBrand.SINOPEC,
            address="",
            province="上海市",
            city="上海市",
            district="徐汇区",
            latitude=31.21 + number / 100,
            longitude=121.45,
            created_at=utc_now(),
            updated_at=utc_now(),
        )


async def test_a_page_of_stations_is_one_request(client: Client, sandbox: Sandbox) -> None:
    before = sandbox.state()["map_requests"]
    edges = (await client.ask(DRIVES))["stations"]["edges"]
    drives = [edge["node"]["drivingDistance"] for edge in edges]
    assert [drive["estimated"] for drive in drives] == [False] * 3
    assert all(drive["seconds"] > 0 for drive in drives)
    await client.ask(DRIVES)
    assert sandbox.state()["map_requests"] == before + 1


@pytest.mark.parametrize("mode", ["timeout", "error_500", "quota", "garbage"])
async def test_a_dead_map_is_estimated_and_says_so(client: Client, sandbox: Sandbox, mode: str) -> None:
    sandbox.faults(lbs=mode)
    edges = (await client.ask(DRIVES))["stations"]["edges"]
    assert [edge["node"]["drivingDistance"]["estimated"] for edge in edges] == [True] * 3
    assert all(edge["node"]["drivingDistance"]["meters"] > 0 for edge in edges)
    assert all(edge["node"]["drivingDistance"]["seconds"] is None for edge in edges)


async def test_places(client: Client) -> None:
    data = await client.ask(PLACES)
    assert [place["title"] for place in data["searchPlaces"]] == ["停车场1", "停车场2"]
    assert data["placeAt"] == {"title": "沙箱广场", "district": "徐汇区"}


async def test_the_rest_answers_where_the_map_does_not(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults(lbs="quota")
    body = (await client.post(PLACES)).json()
    assert {error["extensions"]["code"] for error in body["errors"]} == {"PLACES_UNAVAILABLE"}
    assert body["data"]["searchPlaces"] is None
    assert body["data"]["placeAt"] is None
    assert len(body["data"]["stations"]["edges"]) == 3


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (f'{{ searchPlaces(text: " ", near: {NEAR}) {{ title }} }}', "SEARCH_TEXT_INVALID"),
        (f'{{ searchPlaces(text: "x", near: {NEAR}, first: 0) {{ title }} }}', "PAGE_SIZE_INVALID"),
        ("{ placeAt(location: { latitude: 91, longitude: 0 }) { title } }", "LOCATION_INVALID"),
    ],
)
async def test_refusals(client: Client, sandbox: Sandbox, query: str, code: str) -> None:
    before = sandbox.state()["map_requests"]
    assert await client.code(query) == code
    assert sandbox.state()["map_requests"] == before
