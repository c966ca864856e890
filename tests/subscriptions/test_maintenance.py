"""Maintenance holds on every transport: nothing is executed that changes something, and everything else goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from domain.switches.queries import Maintenance, ServiceState
from kernel.clock import utc_now
from schema.types.context import Services
from tests.subscriptions.events import reading
from tests.subscriptions.serving import COUNTED, Served, connecting, services_of, serving

COUNT = "mutation { count }"
TICKS = "subscription { ticks(to: 2) }"


@pytest.fixture
def services() -> Services:
    services = services_of()
    services.switches.state = ServiceState(maintenance=Maintenance(utc_now(), None, None))
    COUNTED.clear()
    return services


@pytest.fixture
async def address(services: Services) -> AsyncIterator[Served]:
    async with serving(services) as served:
        yield served


async def test_over_http(address: Served, services: Services) -> None:
    async with httpx.AsyncClient(base_url=f"http://{address}") as http:
        refused = (await http.post("/graphql", json={"query": COUNT})).json()
        assert refused["data"] is None
        (error,) = refused["errors"]
        assert error["extensions"] == {"code": "MAINTENANCE", "until": None}
        assert error["message"] == "系统维护中，暂时无法办理，请稍后再试"
        assert COUNTED == []
        assert (await http.post("/graphql", json={"query": "{ hello }"})).json() == {"data": {"hello": "hello world"}}
        services.switches.state = ServiceState()
        assert (await http.post("/graphql", json={"query": COUNT})).json() == {"data": {"count": 1}}


async def test_over_a_websocket(address: Served) -> None:
    async with connecting(address) as client:
        await client.initialise()
        await client.subscribe(COUNT)
        message = await client.receive()
        assert message["type"] == "next"
        assert message["payload"]["data"] is None
        assert message["payload"]["errors"][0]["extensions"]["code"] == "MAINTENANCE"
        assert COUNTED == []
        assert (await client.receive())["type"] == "complete"
        await client.subscribe(TICKS, id="2")
        assert [await client.data(), await client.data()] == [{"ticks": 1}, {"ticks": 2}]


async def test_over_an_event_stream(address: Served) -> None:
    async with reading(address, COUNT) as events:
        event = await events.next()
        assert event is not None
        assert event.payload["data"] is None
        assert event.payload["errors"][0]["extensions"]["code"] == "MAINTENANCE"
    assert COUNTED == []
