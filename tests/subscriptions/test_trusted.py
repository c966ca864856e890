"""Documents by their hash, on every transport alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from schema.extensions.trusted import hash_of
from tests.subscriptions.documents import TRUSTED, TRUSTED_QUERY
from tests.subscriptions.serving import COUNTED, Served, connecting, services_of, serving
from tests.subscriptions.transports import TRANSPORTS, Ask, over_get, over_http, over_sse, over_websocket

UNKNOWN = hash_of("nobody has seen this")
KNOWN = hash_of(TRUSTED_QUERY)


def persisted(digest: object) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": digest}}


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
