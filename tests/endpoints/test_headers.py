"""Every answer says that nothing of it runs in a page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from endpoints import graphiql
from endpoints.headers import SecurityHeaders
from kernel.headers import FIXED, security_headers
from kernel.settings import Settings
from tests.subscriptions.test_http import calling


async def page(_request: Request) -> Response:
    return PlainTextResponse("x", headers={"Referrer-Policy": "origin"})


async def leaving(_request: Request) -> Response:
    raise ClientDisconnect


def application(**values: Any) -> Starlette:
    routes = [Route("/", page), Route("/leaving", leaving)]
    return Starlette(
        routes=routes, middleware=[Middleware(SecurityHeaders, headers=security_headers(Settings(**values)))]
    )


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application())
    async with httpx.AsyncClient(transport=transport, base_url="http://youka.test") as opened:
        yield opened


async def test_every_answer_has_them_and_one_of_its_own_stays(client: httpx.AsyncClient) -> None:
    for path in ("/", "/nowhere"):
        answer = await client.get(path)
        for name, value in FIXED.items():
            expected = "origin" if path == "/" and name == "referrer-policy" else value
            assert answer.headers.get_list(name) == [expected]


async def test_graphql_has_them_whatever_it_answers() -> None:
    async with calling(hsts_max_age_s=60) as client:
        for body in (b'{"query": "{ hello }"}', b"null"):
            answer = await client.post("/graphql", content=body, headers={"content-type": "application/json"})
            for name, value in FIXED.items():
                assert answer.headers.get_list(name) == [value]
            assert answer.headers["strict-transport-security"] == "max-age=60; includeSubDomains"


def test_https_is_insisted_on_only_where_a_setting_says_so() -> None:
    assert "strict-transport-security" not in security_headers(Settings())


def test_the_page_keeps_its_own_policy() -> None:
    assert "script-src 'self'" in graphiql.page().headers["content-security-policy"]


async def test_a_sender_who_has_gone_is_no_error_of_ours() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/leaving", "headers": [], "query_string": b"", "root_path": ""}
    # What is raised here the server would log with a traceback.
    await application()(scope, _nothing, send)


async def _nothing() -> Any:
    return {"type": "http.disconnect"}
