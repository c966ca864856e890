"""The limits of documents and of time hold on every transport alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from schema.extensions.trusted import hash_of
from tests.subscriptions.documents import TRUSTED_QUERY
from tests.subscriptions.serving import COUNTED, Served, connecting, services_of, serving
from tests.subscriptions.support import eventually
from tests.subscriptions.transports import TRANSPORTS, Ask, over_http, over_sse, over_websocket

OVER: dict[str, dict[str, Any]] = {
    "TOKENS": {"query": "{" + " hello" * 100 + "}"},
    "DEPTH": {"query": "{...{...{...{hello}}}}"},
    "FIELDS": {"query": "mutation { count count count count count count }"},
    "ALIASES": {"query": "mutation { a:count b:count c:count }"},
    "DIRECTIVES": {"query": "mutation { count @skip(if:false) @include(if:true) @include(if:true) }"},
    "SPREADS": {"query": "mutation { ...F ...F ...F } fragment F on Mutation { count }"},
    "VALUES": {"query": "mutation { count(waitsS:[1,2,3,4,5]) }"},
    "VALUE_LENGTH": {"query": 'query { hello(name:"' + "x" * 41 + '") }'},
    "VARIABLES_BYTES": {"query": "mutation { count }", "variables": {"a": "x" * 100}},
}
LIMITS: dict[str, Any] = {
    "document_tokens_max": 100,
    "document_depth_max": 3,
    "document_fields_max": 5,
    "document_aliases_max": 2,
    "document_directives_max": 2,
    "document_spreads_max": 2,
    "document_values_max": 5,
    "document_value_length_max": 40,
    "variables_size_max_bytes": 100,
}


@pytest.fixture
async def address() -> AsyncIterator[Served]:
    async with serving(services_of(**LIMITS)) as served:
        yield served


@TRANSPORTS
async def test_what_is_over_a_limit_is_not_executed(address: Served, ask: Ask) -> None:
    COUNTED.clear()
    for limit, fields in OVER.items():
        answer = await ask(address, fields)
        assert "data" not in answer
        (error,) = answer["errors"]
        assert error["extensions"]["code"] == "DOCUMENT_LIMIT_EXCEEDED", error
        assert error["extensions"]["limit"] == limit
        assert str(error["extensions"]["maximum"]) in error["message"]
    assert COUNTED == []
    assert await ask(address, {"query": "{ hello }"}) == {"data": {"hello": "hello world"}}


@TRANSPORTS
async def test_introspection_and_suggestions_are_off_in_production(ask: Ask) -> None:
    async with serving(services_of(environment="production")) as address:
        answer = await ask(address, {"query": "{ __schema { types { name } } }"})
        assert answer["errors"][0]["extensions"]["code"] == "INTROSPECTION_DISABLED"
        assert "data" not in answer
        answer = await ask(address, {"query": "{ helo }"})
        assert answer["errors"][0]["message"] == "Cannot query field 'helo' on type 'Query'."
        assert await ask(address, {"documentId": hash_of(TRUSTED_QUERY)}) == {"data": {"hello": "hello world"}}


class TestTime:
    @pytest.mark.parametrize("ask", [over_http, over_sse, over_websocket])
    async def test_a_slow_query_ends_with_a_typed_error(self, ask: Ask) -> None:
        COUNTED.clear()
        async with serving(services_of(operation_timeout_s=0.2)) as address:
            answer = await ask(address, {"query": "{ slow }"})
        assert answer["data"] is None
        (error,) = answer["errors"]
        assert error["extensions"] == {"code": "OPERATION_TIMED_OUT", "maximum": 0.2}
        assert COUNTED == ["begun"]

    @pytest.mark.parametrize("ask", [over_http, over_sse, over_websocket])
    async def test_a_slow_mutation_is_done_all_the_same(self, ask: Ask) -> None:
        COUNTED.clear()
        async with serving(services_of(operation_timeout_s=0.2)) as address:
            answer = await ask(address, {"query": "mutation { count(waitsS: 0.6) }"})
            assert answer["data"] is None
            assert answer["errors"][0]["extensions"]["code"] == "OPERATION_TIMED_OUT"
            assert COUNTED == ["begun"]
            await eventually(lambda: COUNTED == ["begun", "once"])

    async def test_a_stop_waits_for_a_mutation_whose_client_has_gone(self) -> None:
        COUNTED.clear()
        async with serving(services_of(operation_timeout_s=0.2)) as address:
            await over_http(address, {"query": "mutation { count(waitsS: 0.6) }"})
            assert COUNTED == ["begun"]
        assert COUNTED == ["begun", "once"]

    async def test_a_subscription_may_take_longer(self) -> None:
        async with serving(services_of(operation_timeout_s=0.2)) as address, connecting(address) as client:
            await client.initialise()
            await client.subscribe("subscription { ticks(to: 3, everyS: 0.3) }")
            assert [await client.data() for _ in range(3)] == [{"ticks": number} for number in (1, 2, 3)]

    async def test_others_are_served_meanwhile(self) -> None:
        async with (
            serving(services_of(operation_timeout_s=30.0)) as address,
            httpx.AsyncClient(base_url=f"http://{address}") as http,
        ):
            slow = asyncio.create_task(over_http(address, {"query": "{ slow }"}))
            answer = await http.post("/graphql", json={"query": "{ hello }"})
            assert answer.json() == {"data": {"hello": "hello world"}}
            assert not slow.done()
            slow.cancel()
