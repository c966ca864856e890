"""Documents by their hash, on every transport alike."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from schema.extensions.trusted import hash_of
from tests.subscriptions.events import reading
from tests.subscriptions.serving import COUNTED, TRUSTED, TRUSTED_QUERY, Served, connecting, services_of, serving

UNKNOWN = hash_of("nobody has seen this")
KNOWN = hash_of(TRUSTED_QUERY)


def persisted(digest: object) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": digest}}


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


@pytest.fixture
async def address() -> AsyncIterator[Served]:
    async with serving(services_of()) as served:
        yield served


@pytest.fixture
async def strict() -> AsyncIterator[Served]:
    async with serving(services_of(trusted_documents_only=True)) as served:
        yield served


def code_of(answer: Any) -> str:
    assert "data" not in answer
    return str(answer["errors"][0]["extensions"]["code"])


@TRANSPORTS
class TestEveryTransport:
    async def test_a_known_document_runs_by_its_id(self, address: Served, ask: Ask) -> None:
        for fields in (
            {"extensions": persisted(KNOWN)},
            {"extensions": persisted(KNOWN.upper()), "query": TRUSTED_QUERY},
            {"documentId": f"sha256:{KNOWN}"},
            {"documentId": KNOWN, "query": None},
        ):
            given = {name: value for name, value in fields.items() if value is not None}
            assert await ask(address, given) == {"data": {"hello": "hello world"}}

    async def test_an_unknown_id_is_not_found(self, address: Served, ask: Ask) -> None:
        for fields in ({"extensions": persisted(UNKNOWN)}, {"documentId": f"sha256:{UNKNOWN}"}, {"documentId": "x"}):
            assert code_of(await ask(address, fields)) == "PERSISTED_QUERY_NOT_FOUND"

    async def test_an_id_must_name_what_is_sent_with_it(self, address: Served, ask: Ask) -> None:
        for fields in (
            {"extensions": persisted(KNOWN), "query": "{ hello }"},
            {"documentId": KNOWN, "query": "{ hello }"},
            {"documentId": KNOWN, "extensions": persisted(hash_of(TRUSTED))},
        ):
            assert code_of(await ask(address, fields)) == "PERSISTED_QUERY_MISMATCH"

    async def test_a_text_may_come_with_its_own_id(self, address: Served, ask: Ask) -> None:
        fields = {"query": "{ hello }", "extensions": persisted(hash_of("{ hello }"))}
        assert await ask(address, fields) == {"data": {"hello": "hello world"}}

    async def test_only_trusted_documents_run_where_nothing_else_may(self, strict: Served, ask: Ask) -> None:
        COUNTED.clear()
        for fields in (
            {"query": "mutation { count }"},
            {"query": "mutation { count }", "extensions": persisted(hash_of("mutation { count }"))},
            {"query": TRUSTED_QUERY + " "},
        ):
            assert code_of(await ask(strict, fields)) == "DOCUMENT_NOT_TRUSTED"
        assert COUNTED == []
        assert code_of(await ask(strict, {"documentId": UNKNOWN})) == "PERSISTED_QUERY_NOT_FOUND"
        for fields in ({"documentId": KNOWN}, {"query": TRUSTED_QUERY}):
            assert await ask(strict, fields) == {"data": {"hello": "hello world"}}


async def test_subscriptions_too(strict: Served) -> None:
    fields = {"documentId": f"sha256:{hash_of(TRUSTED)}", "variables": {"to": 2}}
    for ask in (over_sse, over_websocket):
        assert await ask(strict, fields) == {"data": {"ticks": 1}}


@pytest.mark.parametrize("extensions", [{"persistedQuery": 1}, {"persistedQuery": {}}, persisted(5), persisted("")])
async def test_an_id_that_is_none_is_malformed(address: Served, extensions: dict[str, Any]) -> None:
    for ask in (over_http, over_get, over_sse):
        assert code_of(await ask(address, {"extensions": extensions, "query": "{ hello }"})) == "BAD_REQUEST"
    async with connecting(address) as client:
        await client.initialise()
        await client.subscribe("{ hello }", extensions=extensions)
        assert (await client.closed())[0] == 4400
