"""One request over each transport, and its answer as HTTP would have it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.subscriptions.events import reading
from tests.subscriptions.serving import Served, connecting


async def over_http(address: Served, fields: dict[str, Any]) -> Any:
    async with httpx.AsyncClient(base_url=f"http://{address}") as http:
        return (await http.post("/graphql", json=fields)).json()


async def over_get(address: Served, fields: dict[str, Any]) -> Any:
    parameters = {name: each if isinstance(each, str) else json.dumps(each) for name, each in fields.items()}
    async with httpx.AsyncClient(base_url=f"http://{address}") as http:
        return (await http.get("/graphql", params=parameters)).json()


async def over_sse(address: Served, fields: dict[str, Any]) -> Any:
    async with reading(address, **fields) as events:
        if events.response.status_code != 200:
            return json.loads(await events.response.aread())
        event = await events.next()
        assert event is not None
        return event.payload


async def over_websocket(address: Served, fields: dict[str, Any]) -> Any:
    async with connecting(address) as client:
        await client.initialise()
        await client.send({"id": "1", "type": "subscribe", "payload": fields})
        message = await client.receive()
        return {"errors": message["payload"]} if message["type"] == "error" else message["payload"]


Ask = Callable[[Served, dict[str, Any]], Awaitable[Any]]
TRANSPORTS = pytest.mark.parametrize("ask", [over_http, over_get, over_sse, over_websocket])
