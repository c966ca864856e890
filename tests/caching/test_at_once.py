"""Answers that are kept are given by the connection itself, to whoever may have them, and to nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from app import Application
from domain.identity.revocations import Revocations
from subscriptions.door import Door
from subscriptions.draining import Server
from subscriptions.http_connections import http_connection
from subscriptions.server import GraphQLApp
from tests.caching.test_over_http import ACCOUNT, BIND, CREATE
from tests.factories import SINOPEC_NUMBER
from tests.schema.conftest import Client, client, nobody  # noqa: F401 -- fixtures.
from tests.services import find_free_port
from tests.subscriptions.support import eventually

MINE = "query Mine { viewer { profile { id displayName } wallet { balance { fen } } } }"


@asynccontextmanager
async def over_sockets(asking: Client) -> AsyncIterator[Client]:
    """The same client and application, with a server between them."""
    app: Any = asking.http._transport.app  # type: ignore[attr-defined]
    assert isinstance(app, Application)
    port = find_free_port()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, lifespan="off", log_config=None, access_log=False, proxy_headers=False,
        http=http_connection(asking.settings),
    )  # fmt: skip
    server = Server(config, drain=app.house.drain)
    running = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            yield Client(http, asking.settings, asking.viewer, asking.headers)
    finally:
        server.should_exit = True
        await running


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods of the requests that were not answered at once, or refused for who asks."""
    begun: list[str] = []
    respond, begin = GraphQLApp._respond, Door._begun

    async def counted(self: GraphQLApp, request: Any, *rest: Any) -> None:
        begun.append(request.method)
        await respond(self, request, *rest)

    def counted_too(self: Door, *given: Any) -> Any:
        begun.append("POST")
        return begin(self, *given)

    monkeypatch.setattr(GraphQLApp, "_respond", counted)
    monkeypatch.setattr(Door, "_begun", counted_too)
    return begun


async def test_it_is_the_same_answer_until_something_changes(client: Client, tasks: list[str]) -> None:  # noqa: F811
    async with over_sockets(client) as mine:
        bound = await mine.ask(BIND, {"input": {"number": SINOPEC_NUMBER}})
        card = bound["bindCard"]["card"]["id"]
        first = await mine.post(ACCOUNT, {"first": 20})
        tasks.clear()
        again = [await mine.post(ACCOUNT, {"first": 20}) for _ in range(3)]
        assert tasks == []
        for each in again:
            assert each.status_code == 200
            assert each.json()["data"] == first.json()["data"]
            assert set(each.headers) == set(first.headers)
            assert each.json()["extensions"]["cost"]["remaining"] >= 0
        assert len({each.headers["x-request-id"] for each in again}) == 3
        money = {"cardId": card, "amount": "100.00", "idempotencyKey": "recharge-it-once"}
        order = (await mine.ask(CREATE, {"input": money}))["createRecharge"]["order"]["id"]
        shown = (await mine.ask(ACCOUNT, {"first": 20}))["viewer"]["orders"]["edges"]
        assert [each["node"]["id"] for each in shown] == [order]


async def test_who_may_not_have_it_does_not(
    client: Client,  # noqa: F811
    tasks: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with over_sockets(client) as mine:
        kept = (await mine.post(MINE)).json()["data"]
        assert (await mine.post(MINE)).json()["data"] == kept
        tasks.clear()
        stranger = await mine.another_person()
        assert (await stranger.post(MINE)).json()["data"] != kept
        anonymous = Client(mine.http, mine.settings)
        assert (await anonymous.post(MINE)).json()["data"] == {"viewer": None}
        form = await mine.http.post(
            "/graphql",
            content=b'{"query":"x"}',
            headers={**mine.headers, "content-type": "text/plain"},
        )
        assert form.status_code == 415
        assert tasks == ["POST"] * 3
        monkeypatch.setattr(Revocations, "covers", lambda *_, **__: True)
        assert (await mine.post(MINE)).status_code == 401
