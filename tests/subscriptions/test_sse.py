"""`/graphql` as an event stream: the protocol, resuming by `Last-Event-ID`, and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from kernel.clock import utc_now
from tests.subscriptions.events import EVENTS, reading
from tests.subscriptions.serving import (
    COUNTED,
    JOURNAL,
    Served,
    bearer_of,
    journal_cursor,
    services_of,
    serving,
    token_of,
)
from tests.subscriptions.support import eventually, running, settings_for, write

TICKS = "subscription S($to: Int!) { ticks(to: $to) }"
FOREVER = "subscription { ticks(to: 1000000, everyS: 60) }"
READ = "subscription Read($after: String) { journal(after: $after) { number cursor } }"
MIXED = {"accept": "application/graphql-response+json, application/json, text/event-stream"}


@pytest.fixture
async def address() -> AsyncIterator[Served]:
    async with serving(services_of(request_body_size_max_bytes=8_192)) as served:
        yield served


@pytest.fixture
async def journal(sqlite_database: str) -> AsyncIterator[Served]:
    """A server whose journal can be written to."""
    async with running(settings_for()) as system, serving(services_of(system.hub)) as served:
        yield served


async def body(response: httpx.Response) -> Any:
    return json.loads(await response.aread())


class TestProtocol:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_a_subscription_streams_and_completes(self, address: Served, method: str) -> None:
        async with reading(address, TICKS, method=method, variables={"to": 3}) as events:
            headers = events.response.headers
            assert (events.response.status_code, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
            assert headers["cache-control"] == "no-store, no-transform"
            assert headers["x-accel-buffering"] == "no"
            assert len(headers["x-request-id"]) == 32
            assert [await events.data() for _ in range(3)] == [{"ticks": 1}, {"ticks": 2}, {"ticks": 3}]
            await events.completes()
            assert len(events.retries_ms) == 1
            assert 1 <= events.retries_ms[0] <= services_of().settings.reconnect_spread_ms

    async def test_queries_and_mutations_give_one_result(self, address: Served) -> None:
        COUNTED.clear()
        for document, data in (("{ hello }", {"hello": "hello world"}), ("mutation { count }", {"count": 1})):
            async with reading(address, document) as events:
                assert await events.data() == data
                await events.completes()

    async def test_a_mutation_is_not_made_by_get(self, address: Served) -> None:
        COUNTED.clear()
        async with reading(address, "mutation { count }", method="GET") as events:
            assert events.response.status_code == 405
            assert events.response.headers["allow"] == "POST"
        assert COUNTED == []

    @pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
    async def test_no_page_can_post_without_asking(self, address: Served, content_type: str) -> None:
        COUNTED.clear()
        async with httpx.AsyncClient(base_url=f"http://{address}") as http:
            response = await http.post(
                "/graphql",
                content=b'{"query": "mutation { count }"}',
                headers={**EVENTS, "content-type": content_type},
            )
        assert response.status_code == 415
        assert COUNTED == []

    async def test_a_client_of_both_gets_streams_for_subscriptions_only(self, address: Served) -> None:
        async with reading(address, TICKS, headers=MIXED, variables={"to": 1}) as events:
            assert await events.data() == {"ticks": 1}
        async with reading(address, "{ hello }", headers=MIXED) as events:
            assert events.response.headers["content-type"].startswith("application/graphql-response+json")
            assert await body(events.response) == {"data": {"hello": "hello world"}}
        async with reading(address, "{ unknown }", headers=MIXED) as events:
            assert events.response.status_code == 400

    @pytest.mark.parametrize(
        ("document", "code"),
        [
            ("subscription {", "GRAPHQL_PARSE_FAILED"),
            ("subscription { unknown }", "GRAPHQL_VALIDATION_FAILED"),
            ("subscription { locked }", "TOO_MUCH"),
            ("subscription { ticks(to: 1, breaksAt: 1) }", "INTERNAL"),
            ("query A { hello } query B { hello }", "OPERATION_NAME_REQUIRED"),
        ],
    )
    async def test_errors_of_the_operation_are_events(self, address: Served, document: str, code: str) -> None:
        async with reading(address, document) as events:
            assert events.response.status_code == 200
            event = await events.next()
            assert event is not None
            assert event.kind == "next"
            assert event.payload["errors"][0]["extensions"]["code"] == code
            await events.completes()

    async def test_a_quiet_stream_has_heartbeats(self) -> None:
        async with (
            serving(services_of(sse_heartbeat_interval_s=0.05)) as address,
            reading(address, "subscription { ticks(to: 2, everyS: 0.5) }") as events,
        ):
            assert [await events.data(), await events.data()] == [{"ticks": 1}, {"ticks": 2}]
            assert events.comments >= 3

    async def test_nothing_runs_on_after_the_reader_is_gone(self, address: Served) -> None:
        before = asyncio.all_tasks()
        with capture_logs() as logs:
            async with reading(address, FOREVER) as events:
                await events.data()
            await eventually(lambda: not [task for task in asyncio.all_tasks() - before if _is_ours(task)])
        assert logs == []


def _is_ours(task: asyncio.Task[Any]) -> bool:
    return task.get_name().startswith(("operation:", "subscription", "events:", "wire", "outbox"))


class TestIdentity:
    async def test_the_token_names_the_viewer(self, address: Served) -> None:
        user_id = uuid4()
        async with reading(address, "{ whoami }", headers=bearer_of(user_id)) as events:
            assert await events.data() == {"whoami": str(user_id)}

    async def test_a_bad_token_opens_nothing(self, address: Served) -> None:
        for token in ("x", token_of(uuid4(), now=utc_now() - timedelta(hours=2))):
            async with reading(address, FOREVER, headers={"authorization": f"Bearer {token}"}) as events:
                assert events.response.status_code == 401

    async def test_the_stream_ends_with_its_token(self, address: Served) -> None:
        token = token_of(uuid4(), now=utc_now() - timedelta(seconds=3_598))
        async with reading(address, FOREVER, headers={"authorization": f"Bearer {token}"}) as events:
            assert await events.data() == {"ticks": 1}
            event = await events.next()
            assert event is not None
            assert [error["extensions"]["code"] for error in event.payload["errors"]] == ["TOKEN_EXPIRED"]
            await events.completes()


class TestResuming:
    async def test_the_last_id_resumes(self, journal: Served) -> None:
        await write(JOURNAL, 5)
        async with reading(journal, READ, variables={"after": journal_cursor(0)}) as events:
            heard = [await events.next() for _ in range(3)]
        assert [event.payload["data"]["journal"]["number"] for event in heard if event] == [1, 2, 3]
        assert [event.id for event in heard if event] == [
            event.payload["data"]["journal"]["cursor"] for event in heard if event
        ]
        last = heard[-1]
        assert last is not None
        assert last.id is not None
        for method in ("GET", "POST"):
            # The address that EventSource comes back to still has the first cursor in it.
            headers = {"last-event-id": last.id}
            variables = {"after": journal_cursor(0)}
            async with reading(journal, READ, method=method, headers=headers, variables=variables) as events:
                assert [(await events.data())["journal"]["number"] for _ in range(2)] == [4, 5]

    async def test_a_document_without_the_variable_cannot_resume(self, journal: Served) -> None:
        other_name = "subscription Q($x: String) { journal(after: $x) { number } }"
        for document in ("subscription { journal { number } }", other_name):
            async with reading(journal, document, headers={"last-event-id": journal_cursor(0)}) as events:
                assert events.response.status_code == 400
                assert (await body(events.response))["errors"][0]["extensions"]["code"] == "RESUME_UNSUPPORTED"
        async with reading(journal, "{ hello }", headers={"last-event-id": "x"}) as events:
            assert await events.data() == {"hello": "hello world"}

    async def test_an_overlong_id_is_refused(self, journal: Served) -> None:
        async with reading(journal, READ, headers={"last-event-id": "x" * 1_025}) as events:
            assert events.response.status_code == 400
