"""Which scopes a sign-in gives (RFC 6749, section 3.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from app import create_app
from domain.access.rules import MINI_PROGRAM_GRANT as GRANT_TYPE
from domain.identity.tokens import authority
from kernel.clock import utc_now
from kernel.settings import Settings
from tests.sandbox_fixtures import Sandbox

USUAL = "cards profile recharge"


@pytest.fixture
async def house(sqlite_url: str, sandbox: Sandbox) -> AsyncIterator[tuple[httpx.AsyncClient, Settings]]:
    settings = sandbox.settings(database_url=sqlite_url, worker_in_server=False)
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
    ):
        yield http, settings


def code_of(sandbox: Sandbox) -> str:
    return str(sandbox.client.post("/control/wx-login", json={"user": "demo"}).json()["code"])


@pytest.mark.parametrize(
    ("asked", "given"),
    [(None, USUAL), ("webhooks", "webhooks"), ("recharge webhooks", "recharge webhooks"), (USUAL, USUAL)],
)
async def test_the_token_has_the_scopes_that_are_asked_for(
    house: tuple[httpx.AsyncClient, Settings], sandbox: Sandbox, asked: str | None, given: str
) -> None:
    http, settings = house
    form = {"grant_type": GRANT_TYPE, "code": code_of(sandbox), **({"scope": asked} if asked else {})}
    answer = (await http.post("/oauth/token", data=form)).json()
    assert answer["scope"] == given
    viewer = authority(settings).authenticate(answer["access_token"], now=utc_now())
    assert viewer.scopes == frozenset(given.split())


@pytest.mark.parametrize("scope", ["staff", "webhooks staff", "", " ", "WEBHOOKS"])
async def test_another_scope_is_refused_and_the_code_can_still_be_used(
    house: tuple[httpx.AsyncClient, Settings], sandbox: Sandbox, scope: str
) -> None:
    http, _settings = house
    form = {"grant_type": GRANT_TYPE, "code": code_of(sandbox)}
    refused = await http.post("/oauth/token", data={**form, "scope": scope})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
    assert (await http.post("/oauth/token", data=form)).status_code == 200
