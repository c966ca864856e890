"""Which web pages may call, and what their browsers are told."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
import websockets

from kernel.settings import Settings
from tests.subscriptions.serving import COUNTED, bearer_of, connecting, services_of, serving
from tests.subscriptions.test_http import calling

APP, PARTNER, EVIL = "https://app.example", "https://partner.example:8443", "https://evil.example"
# `tests` is the client of the tokens here.
BOUND: dict[str, Any] = {"allowed_origins": (APP,), "client_origins": {"tests": (PARTNER,)}}


async def preflight(client: httpx.AsyncClient, origin: str) -> httpx.Response:
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    return await client.options("/graphql", headers=headers)


class TestBrowsers:
    @pytest.mark.parametrize("origin", [APP, PARTNER, "https://APP.example:443"])
    async def test_an_allowed_page_may_ask_and_read(self, origin: str) -> None:
        async with calling(**BOUND) as client:
            asked = await preflight(client, origin)
            answer = await client.post("/graphql", json={"query": "{ hello }"}, headers={"origin": origin})
        assert asked.status_code == 204
        assert "authorization" in asked.headers["access-control-allow-headers"]
        for each in (asked, answer):
            assert each.headers["access-control-allow-origin"] == origin
            assert each.headers["vary"] == "origin"
            assert "access-control-allow-credentials" not in each.headers

    @pytest.mark.parametrize("origin", [EVIL, "null", "http://app.example", "https://app.example.evil.example"])
    async def test_another_page_may_not(self, origin: str) -> None:
        async with calling(**BOUND) as client:
            asked = await preflight(client, origin)
            answer = await client.post("/graphql", json={"query": "{ hello }"}, headers={"origin": origin})
        assert (asked.status_code, asked.json()["errors"][0]["extensions"]["code"]) == (405, "METHOD_NOT_ALLOWED")
        for each in (asked, answer):
            assert "access-control-allow-origin" not in each.headers
            assert each.headers["vary"] == "origin"

    async def test_without_a_setting_no_page_may(self) -> None:
        async with calling() as client:
            assert (await preflight(client, APP)).status_code == 405

    async def test_events_are_read_by_an_allowed_page(self) -> None:
        async with (
            serving(services_of(**BOUND)) as address,
            httpx.AsyncClient(base_url=f"http://{address}") as client,
        ):
            headers = {"origin": APP, "accept": "text/event-stream"}
            answer = await client.post("/graphql", json={"query": "{ hello }"}, headers=headers)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["access-control-allow-origin"] == APP
        assert answer.headers["x-frame-options"] == "DENY"


class TestClients:
    async def test_a_clients_tokens_are_taken_from_its_own_pages(self) -> None:
        COUNTED.clear()
        token = {"authorization": bearer_of(uuid4())["Authorization"]}
        async with calling(**BOUND) as client:
            for origin, status in ((APP, 403), (EVIL, 403), (PARTNER, 200)):
                answer = await client.post(
                    "/graphql", json={"query": "mutation { count }"}, headers={**token, "origin": origin}
                )
                assert answer.status_code == status
                if status == 403:
                    assert answer.json()["errors"][0]["extensions"]["code"] == "ORIGIN_NOT_ALLOWED"
                    assert COUNTED == []
            # Who sends no origin is no page.
            assert (await client.post("/graphql", json={"query": "{ hello }"}, headers=token)).status_code == 200
        assert COUNTED == ["once"]

    async def test_on_a_websocket_too(self) -> None:
        COUNTED.clear()
        token = bearer_of(uuid4())
        async with serving(services_of(**BOUND)) as address:
            async with connecting(address, origin=APP) as client:
                await client.send({"type": "connection_init", "payload": token})
                await client.subscribe("mutation { count }")
                assert await client.closed() == (4403, "ORIGIN_NOT_ALLOWED")
            async with connecting(address, origin=PARTNER) as client:
                await client.initialise(token)
            with pytest.raises(websockets.InvalidStatus):
                async with connecting(address, origin=EVIL):
                    pass
        assert COUNTED == []


def test_the_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOUKA_ALLOWED_ORIGINS", f"{APP}, {PARTNER}")
    monkeypatch.setenv("YOUKA_CLIENT_ORIGINS", f'{{"tests": ["{APP}"]}}')
    settings = Settings()
    assert settings.allowed_origins == (APP, PARTNER)
    assert settings.client_origins == {"tests": (APP,)}
