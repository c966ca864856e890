"""The JavaScript clients that people use, and graphql-http's audits, against the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from kernel.clock import utc_now
from models.database import connected
from tests.javascript.conftest import Play
from tests.subscriptions.serving import (
    COUNTED,
    JOURNAL,
    Served,
    journal_cursor,
    services_of,
    serving,
    token_of,
)
from tests.subscriptions.support import eventually, running, settings_for, write

READ = "subscription Read($after: String) { journal(after: $after) { number cursor } }"
AUDITS = 61
LONG = {"type": "subscribe", "id": "1", "payload": {"query": "subscription { ticks(to: 9, everyS: 9) }"}}


@pytest.fixture
async def address() -> AsyncIterator[Served]:
    async with serving(services_of(connection_init_timeout_s=0.5)) as served:
        yield served


@pytest.fixture
async def journal(sqlite_url: str) -> AsyncIterator[Served]:
    async with (
        connected(sqlite_url),
        running(settings_for()) as system,
        serving(services_of(system.hub, reconnect_spread_ms=50)) as served,
    ):
        yield served


class TestSockets:
    async def test_graphql_ws_asks_everything_over_one_socket(self, address: Served, play: Play) -> None:
        COUNTED.clear()
        user_id = uuid4()
        async with play("socket", url=address, token=f"Bearer {token_of(user_id)}") as scenario:
            query, mutation, subscription, unknown, locked = await scenario.value("results")
            assert await scenario.value("sockets") == 1
        assert query == {"results": [{"data": {"whoami": str(user_id), "hello": "hello world"}}]}
        assert mutation == {"results": [{"data": {"count": 1}}]}
        assert subscription == {"results": [{"data": {"ticks": number}} for number in (1, 2, 3)]}
        for refused, code in ((unknown, "GRAPHQL_VALIDATION_FAILED"), (locked, "TOO_MUCH")):
            assert refused["results"] == []
            assert [error["extensions"]["code"] for error in refused["error"]] == [code]
        assert locked["error"][0]["message"] == "At most 5"

    async def test_graphql_ws_resumes_where_its_network_broke(self, journal: Served, play: Play) -> None:
        async with play("resume", url=journal, query=READ) as scenario:
            assert await scenario.value("connected") is False
            await eventually(lambda: journal.cohorts == 1)
            numbers = []
            for round_ in range(4):
                await write(JOURNAL, 3)
                numbers += [await scenario.value("number") for _ in range(3)]
                assert journal.cut() == 1
                # Nobody listens while these are written, or somebody does already; either way they come.
                await write(JOURNAL, 2)
                assert await scenario.value("connected") is True
                numbers += [await scenario.value("number") for _ in range(2)]
                assert numbers == list(range(1, 5 * (round_ + 1) + 1))

    async def test_graphql_ws_renews_its_token_without_a_new_socket(self, address: Served, play: Play) -> None:
        user_id = uuid4()
        old = token_of(user_id, now=utc_now() - timedelta(seconds=3_597))
        newer = f"Bearer {token_of(user_id)}"
        async with play("renew", url=address, token=f"Bearer {old}", newer=newer) as scenario:
            ticks, pong = [], None
            until = asyncio.get_running_loop().time() + 5
            while asyncio.get_running_loop().time() < until:
                what, value = await scenario.told()
                assert what in {"tick", "pong"}, (what, value)
                if what == "pong":
                    pong = value
                else:
                    ticks.append(value)
            await scenario.tell("enough")
        assert pong is not None
        assert 3_500_000 < pong["expiresInMs"] <= 3_600_000
        assert ticks == list(range(1, len(ticks) + 1))

    async def test_graphql_ws_is_told_that_its_token_has_expired(self, address: Served, play: Play) -> None:
        token = token_of(uuid4(), now=utc_now() - timedelta(hours=2))
        async with play("refused", url=address, params={"authorization": f"Bearer {token}"}) as scenario:
            assert await scenario.value("closed") == {"code": 4403, "reason": "TOKEN_EXPIRED"}
            assert (await scenario.value("outcome"))["error"]["code"] == 4403

    @pytest.mark.parametrize(
        ("protocols", "frames", "code"),
        [
            (["graphql-ws"], [], 4406),
            (["graphql-transport-ws"], [], 4408),
            (["graphql-transport-ws"], [{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }"}}], 4401),
            (["graphql-transport-ws"], [{"type": "connection_init"}] * 2, 4429),
            (["graphql-transport-ws"], [{"type": "start"}], 4400),
            (["graphql-ws", "graphql-transport-ws"], [{"type": "connection_init"}, LONG, LONG], 4409),
        ],
    )
    async def test_close_codes_reach_the_other_side(
        self, address: Served, play: Play, protocols: list[str], frames: list[object], code: int
    ) -> None:
        async with play("raw", url=address, protocols=protocols, frames=frames) as scenario:
            closed = await scenario.value("closed")
        assert closed["code"] == code
        assert closed["reason"]


class TestEvents:
    async def test_graphql_sse_asks_everything(self, address: Served, play: Play) -> None:
        COUNTED.clear()
        user_id = uuid4()
        async with play("events", url=address, token=f"Bearer {token_of(user_id)}") as scenario:
            query, mutation, subscription, unknown = await scenario.value("results")
        assert query == {"results": [{"data": {"whoami": str(user_id)}}]}
        assert mutation == {"results": [{"data": {"count": 1}}]}
        assert subscription == {"results": [{"data": {"ticks": number}} for number in (1, 2, 3)]}
        (refused,) = unknown["results"]
        assert refused["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"

    async def test_event_source_resumes_by_its_last_id(self, journal: Served, play: Play) -> None:
        await write(JOURNAL, 3)
        async with play("source", url=journal, query=READ, after=journal_cursor(0)) as scenario:
            assert await scenario.value("connected") is True
            assert [await scenario.value("number") for _ in range(3)] == [1, 2, 3]
            expected = 3
            for _ in range(3):
                assert journal.cut() == 1
                await write(JOURNAL, 2)
                assert await scenario.value("connected") is True
                assert [await scenario.value("number") for _ in range(2)] == [expected + 1, expected + 2]
                expected += 2
            await scenario.tell("enough")


class TestConformance:
    async def test_every_audit_of_graphql_over_http_passes(self, address: Served, play: Play) -> None:
        async with play("audits", url=address) as scenario:
            audits = await scenario.value("audits")
        # Warnings are for what a server should and may do; this one does all of it.
        assert [audit for audit in audits if audit["status"] != "ok"] == []
        assert len(audits) == AUDITS
