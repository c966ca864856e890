"""Automatic persisted queries: a client sends a document once, and its hash from then on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import redis as sync_redis

from schema.extensions import persisted_stores
from schema.extensions.persisted_stores import SIZE, TEXTS, USED, MemoryStore, RedisStore, opened_store
from schema.extensions.trusted import hash_of
from tests.services import find_free_port
from tests.subscriptions.documents import TRUSTED_QUERY, documents_of
from tests.subscriptions.serving import COUNTED, Served, connecting, services_of, serving
from tests.subscriptions.transports import TRANSPORTS, Ask, over_http, over_sse, over_websocket

QUERY = "query Mine { hello }"
ANSWER = {"data": {"hello": "hello world"}}


def by_hash(text: str, **fields: Any) -> dict[str, Any]:
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash_of(text)}}, **fields}


def code_of(answer: Any) -> str:
    assert "data" not in answer
    return str(answer["errors"][0]["extensions"]["code"])


@pytest.fixture
async def address() -> AsyncIterator[Served]:
    async with serving(services_of()) as served:
        yield served


@TRANSPORTS
class TestEveryTransport:
    async def test_a_document_is_sent_once(self, address: Served, ask: Ask) -> None:
        assert code_of(await ask(address, by_hash(QUERY))) == "PERSISTED_QUERY_NOT_FOUND"
        assert await ask(address, by_hash(QUERY, query=QUERY)) == ANSWER
        assert await ask(address, by_hash(QUERY)) == ANSWER

    async def test_a_hash_of_another_document_changes_nothing(self, address: Served, ask: Ask) -> None:
        assert code_of(await ask(address, by_hash(QUERY, query="{ whoami }"))) == "PERSISTED_QUERY_MISMATCH"
        assert code_of(await ask(address, by_hash(QUERY))) == "PERSISTED_QUERY_NOT_FOUND"

    async def test_what_cannot_be_executed_is_not_kept(self, address: Served, ask: Ask) -> None:
        for text in ("{ unknown }", "{ hello", "{" + " hello" * 501 + "}"):
            assert code_of(await ask(address, by_hash(text, query=text))) != "PERSISTED_QUERY_NOT_FOUND"
            assert code_of(await ask(address, by_hash(text))) == "PERSISTED_QUERY_NOT_FOUND"

    async def test_there_is_no_place_where_only_trusted_documents_run_or_the_settings_say_so(self, ask: Ask) -> None:
        for values in ({"trusted_documents_only": True}, {"persisted_queries_size_max_bytes": 0}):
            async with serving(services_of(**values)) as address:
                assert code_of(await ask(address, by_hash(QUERY))) == "PERSISTED_QUERY_NOT_SUPPORTED"
                assert await ask(address, by_hash(TRUSTED_QUERY)) == ANSWER

    async def test_a_document_over_the_limit_runs_and_is_not_kept(self, ask: Ask) -> None:
        async with serving(services_of(persisted_query_size_max_bytes=len(QUERY) - 1)) as address:
            assert await ask(address, by_hash(QUERY, query=QUERY)) == ANSWER
            assert code_of(await ask(address, by_hash(QUERY))) == "PERSISTED_QUERY_NOT_FOUND"


class TestProtocol:
    async def test_what_one_transport_has_heard_all_know(self, address: Served) -> None:
        text = "subscription Mine($to: Int!) { ticks(to: $to) }"
        async with connecting(address) as client:
            await client.initialise()
            await client.send(
                {"id": "1", "type": "subscribe", "payload": by_hash(text, query=text, variables={"to": 1})}
            )
            assert await client.data() == {"ticks": 1}
        assert await over_sse(address, by_hash(text, variables={"to": 1})) == {"data": {"ticks": 1}}

    async def test_a_mutation_by_hash_needs_post(self, address: Served) -> None:
        COUNTED.clear()
        text = "mutation Mine { count }"
        await over_http(address, by_hash(text, query=text))
        parameters = {"extensions": f'{{"persistedQuery":{{"version":1,"sha256Hash":"{hash_of(text)}"}}}}'}
        async with httpx.AsyncClient(base_url=f"http://{address}") as http:
            answer = await http.get("/graphql", params=parameters)
        assert (answer.status_code, code_of(answer.json())) == (405, "OPERATION_NOT_ALLOWED")
        assert COUNTED == ["once"]

    @pytest.mark.parametrize(
        ("accept", "status"), [("application/json", 200), ("application/graphql-response+json", 400)]
    )
    async def test_not_found_has_the_status_that_clients_expect(
        self, address: Served, accept: str, status: int
    ) -> None:
        async with httpx.AsyncClient(base_url=f"http://{address}") as http:
            answer = await http.post("/graphql", json=by_hash(QUERY), headers={"accept": accept})
        assert (answer.status_code, code_of(answer.json())) == (status, "PERSISTED_QUERY_NOT_FOUND")

    async def test_another_version_is_refused(self, address: Served) -> None:
        fields = {"extensions": {"persistedQuery": {"version": 2, "sha256Hash": hash_of(QUERY)}}, "query": QUERY}
        for ask in (over_http, over_sse, over_websocket):
            assert code_of(await ask(address, fields)) == "PERSISTED_QUERY_NOT_SUPPORTED"

    async def test_a_text_that_was_changed_in_the_store_is_not_executed(self) -> None:
        store = MemoryStore(size_max_bytes=1_000)
        await store.put(hash_of(QUERY), "{ whoami }")
        services = services_of()
        async with serving(services, documents=documents_of(services.settings, store)) as address:
            assert code_of(await over_http(address, by_hash(QUERY))) == "PERSISTED_QUERY_NOT_FOUND"


class TestStores:
    async def test_memory_forgets_what_was_unused_for_longest(self) -> None:
        store = MemoryStore(size_max_bytes=30)
        for digest in "abc":
            await store.put(digest, digest * 10)
        assert await store.get("a") == "a" * 10
        await store.put("d", "油" * 3)
        assert [await store.get(digest) for digest in "abcd"] == ["a" * 10, None, "c" * 10, "油" * 3]
        assert store.size_bytes == 29
        await store.put("e", "e" * 31)
        assert store.size_bytes == 0

    async def test_redis_is_shared_by_processes(self, redis_url: str) -> None:
        first, second = (RedisStore(redis_url, size_max_bytes=1_000) for _ in range(2))
        await first.put("a", "{ a }")
        assert await second.get("a") == "{ a }"
        assert await second.get("b") is None
        for store in (first, second):
            await store.aclose()

    async def test_redis_forgets_what_was_unused_for_longest(self, redis_url: str) -> None:
        store = RedisStore(redis_url, size_max_bytes=30)
        for digest in "abc":
            await store.put(digest, digest * 10)
        # Another process uses it, which is what keeps it.
        other = RedisStore(redis_url, size_max_bytes=30)
        assert await other.get("a") == "a" * 10
        for _ in range(2):
            await store.put("d", "d" * 10)
        with sync_redis.Redis.from_url(redis_url) as client:
            assert client.hkeys(TEXTS) == [b"a", b"c", b"d"]
            assert client.zcard(USED) == 3
            assert client.get(SIZE) == b"30"
            await store.put("e", "e" * 31)
            assert (client.hkeys(TEXTS), client.zcard(USED), client.get(SIZE)) == ([], 0, b"0")
        for each in (store, other):
            await each.aclose()

    async def test_without_redis_each_process_keeps_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        store = RedisStore(f"redis://127.0.0.1:{find_free_port()}/0", size_max_bytes=1_000)
        await store.put("a", "{ a }")
        assert await store.get("a") == "{ a }"
        # Redis is left alone for a while, so that not every request waits for it.
        monkeypatch.setattr(persisted_stores, "REDIS_PATIENCE_S", 1_000.0)
        began_s = time.monotonic()
        assert await store.get("b") is None
        assert time.monotonic() - began_s < persisted_stores.REDIS_PAUSE_S
        await store.aclose()

    async def test_the_settings_choose_the_store(self, redis_url: str) -> None:
        for values, kind in (
            ({}, MemoryStore),
            ({"redis_url": redis_url}, RedisStore),
            ({"persisted_queries_size_max_bytes": 0}, type(None)),
        ):
            async with opened_store(services_of(**values).settings) as store:
                assert isinstance(store, kind)
