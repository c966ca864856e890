"""Reads without the ORM: equal answers of both engines, and connections that outlive what happens to their callers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import cast
from uuid import UUID, uuid4

import asyncpg
import pytest
from tortoise import Tortoise

from bench.storm.proxy import Mode
from kernel.settings import Settings, get_settings
from models.database import alone_connections, connected, reading_connections, transactional
from models.engines.plain import PREPARED_MAX, PlainConnections
from models.engines.postgres import PostgresClient
from models.events import EventStream
from models.identity import User
from models.lean import Statement, fetch, read_moment, read_uuid
from models.lean_transactions import write_alone
from tests.models.test_engines import COMMAND_TIMEOUT_S, behind_a_proxy, server_side
from tests.subscriptions.support import eventually

STREAMS = Statement(
    postgres="SELECT name, position FROM event_stream WHERE name = ANY($1::text[]) ORDER BY name",
    sqlite="SELECT name, position FROM event_stream WHERE name IN (SELECT value FROM json_each(?1)) ORDER BY name",
)
USERS = Statement(
    postgres="SELECT id, display_name, created_at FROM user_account WHERE id = ANY($1::uuid[]) AND created_at < $2 "
    "AND display_name <> $3 ORDER BY created_at LIMIT $4",
    sqlite="SELECT id, display_name, created_at FROM user_account WHERE id IN (SELECT value FROM json_each(?1)) "
    "AND created_at < ?2 AND display_name <> ?3 ORDER BY created_at LIMIT ?4",
)
PREPARED = Statement(postgres="SELECT count(*) FROM pg_prepared_statements", sqlite="")
PID = Statement(postgres="SELECT pg_backend_pid() AS pid", sqlite="SELECT 1 AS pid")
SLEEP = Statement(postgres="SELECT pg_sleep($1)", sqlite="SELECT ?1")
PLANS = Statement(
    postgres="SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1", sqlite="SELECT ?1"
)
WRITE = Statement(postgres="DELETE FROM event_stream RETURNING name", sqlite="SELECT 1")
OTHERS_END = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
SLEEPING = f"{OTHERS} AND state = 'active' AND query LIKE 'SELECT pg_sleep%'"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


async def positions(*names: str) -> dict[str, int]:
    return {row["name"]: row[1] for row in await fetch(STREAMS, names)}


class TestEitherEngine:
    @pytest.mark.usefixtures("database")
    async def test_values_are_given_and_returned_as_the_tables_keep_them(self) -> None:
        ids = [uuid4() for _ in range(3)]
        for hour, id in enumerate(ids):
            await User.create(
                id=id, openid=f"o{hour}", display_name=f"name {hour}", created_at=NOON + timedelta(hours=hour)
            )
        shanghai = timezone(timedelta(hours=8))
        rows = await fetch(USERS, [*ids, uuid4()], (NOON + timedelta(hours=1, seconds=1)).astimezone(shanghai), "x", 9)
        assert [(read_uuid(row["id"]), row["display_name"], read_moment(row[2])) for row in rows] == [
            (ids[0], "name 0", NOON),
            (ids[1], "name 1", NOON + timedelta(hours=1)),
        ]
        assert [row[1] for row in await fetch(USERS, ids, NOON + timedelta(days=1), "name 0", 1)] == ["name 1"]
        assert not await fetch(USERS, [], NOON, "", 1)

    @pytest.mark.usefixtures("database")
    async def test_a_transaction_sees_what_it_wrote_and_nobody_else_does(self) -> None:
        written, looked = asyncio.Event(), asyncio.Event()

        @transactional
        async def write() -> dict[str, int]:
            await EventStream.create(name="mine", position=7)
            written.set()
            if isinstance(Tortoise.get_connection("default")._parent, PostgresClient):
                # SQLite has one connection, which is the transaction's until it ends.
                await looked.wait()
            return await positions("mine")

        async def look() -> dict[str, int]:
            await written.wait()
            found = await positions("mine")
            looked.set()
            return found

        own, _ = await asyncio.gather(write(), look())
        assert own == {"mine": 7}
        assert await positions("mine") == {"mine": 7}

    async def test_hundreds_of_callers_that_are_cancelled_leave_it_working(self, database_url: str) -> None:
        chance = random.Random(20260601)
        async with connected(database_url), asyncio.timeout(30):
            await EventStream.create(name="here", position=1)
            for _ in range(10):
                tasks = [asyncio.create_task(positions("here")) for _ in range(50)]
                for task in tasks:
                    asyncio.get_running_loop().call_later(chance.uniform(0, 0.01), task.cancel)
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(isinstance(each, asyncio.CancelledError) or each == {"here": 1} for each in outcomes)
            assert await asyncio.gather(*(positions("here") for _ in range(20))) == [{"here": 1}] * 20


def plain() -> PlainConnections:
    found = cast(PostgresClient, Tortoise.get_connection("default"))._plain
    assert found is not None
    return found


@pytest.fixture(name="impatient")
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One connection that only reads, and statements that are given up soon."""
    monkeypatch.setenv("YOUKA_DATABASE_COMMAND_TIMEOUT_S", str(COMMAND_TIMEOUT_S))
    monkeypatch.setenv("YOUKA_DATABASE_CONNECT_TIMEOUT_S", str(COMMAND_TIMEOUT_S))
    monkeypatch.setenv("YOUKA_DATABASE_ACQUIRE_TIMEOUT_S", str(2 * COMMAND_TIMEOUT_S))
    monkeypatch.setenv("YOUKA_DATABASE_READING_CONNECTIONS_MAX", "1")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[str]:
    async with connected(postgres_url), asyncio.timeout(20):
        yield postgres_url


class TestPostgres:
    @pytest.mark.usefixtures("postgres")
    async def test_a_connection_is_used_again_with_what_was_prepared(self) -> None:
        pids = {(await fetch(PID))[0]["pid"] for _ in range(5)}
        assert len(pids) == 1
        assert (plain().size, plain().idle) == (1, 1)
        assert list(plain()._free[0].prepared) == [PID.postgres]

    @pytest.mark.usefixtures("postgres")
    async def test_what_is_prepared_is_bounded_here_and_at_the_server(self) -> None:
        for number in [*range(PREPARED_MAX + 50), 0]:
            (found,) = await fetch(Statement(postgres=f"SELECT {number} AS number", sqlite=""))
            assert found["number"] == number
        (counted,) = await fetch(PREPARED)
        assert len(plain()._free[0].prepared) == PREPARED_MAX
        assert PREPARED_MAX <= counted["count"] <= PREPARED_MAX + 2

    @pytest.mark.usefixtures("postgres")
    async def test_a_statement_is_planned_once(self) -> None:
        for number in range(10):
            await fetch(STREAMS, [f"name {each}" for each in range(number)])
        (counted,) = await fetch(PLANS, STREAMS.postgres)
        assert tuple(counted) == (10, 0)

    @pytest.mark.usefixtures("postgres")
    async def test_there_are_never_more_than_the_settings_allow(self) -> None:
        pids = {rows[0]["pid"] for rows in await asyncio.gather(*(fetch(PID) for _ in range(50)))}
        assert len(pids) <= plain().size == reading_connections(Settings()) == 5

    @pytest.mark.parametrize(("most", "reading"), [(1, 0), (2, 0), (3, 1), (10, 4), (12, 5), (100, 5)])
    def test_they_are_among_those_that_a_process_may_open(self, most: int, reading: int) -> None:
        assert reading_connections(Settings(database_pool_size_max=most)) == reading

    @pytest.mark.usefixtures("postgres")
    async def test_what_is_a_transaction_by_itself_has_connections_of_its_own(self) -> None:
        statement = "SELECT pg_backend_pid() AS pid, current_setting('transaction_read_only') AS read_only"
        rows = [row for rows in await asyncio.gather(*(write_alone(statement) for _ in range(50))) for row in rows]
        alone = {row["pid"] for row in rows}
        assert {row["read_only"] for row in rows} == {"off"}
        assert len(alone) <= alone_connections(Settings()) == 2
        assert not alone & {(await fetch(PID))[0]["pid"] for _ in range(5)}
        pool = Tortoise.get_connection("default")
        assert not alone & {(await pool.execute_query_dict(PID.postgres))[0]["pid"] for _ in range(5)}

    @pytest.mark.parametrize("joined", [True, False])
    def test_each_kind_leaves_some_to_the_others(self, joined: bool) -> None:
        for most in range(1, 40):
            settings = Settings(database_pool_size_max=most, joined_loads=joined)
            alone = alone_connections(settings)
            assert alone <= (2 if joined else 4)
            assert most - alone - reading_connections(settings) >= max(1, most // 4)

    async def test_where_none_is_for_reading_the_pool_reads(self, postgres_url: str) -> None:
        async with connected(postgres_url, Settings(database_pool_size_max=1)):
            await EventStream.create(name="here", position=1)
            assert await positions("here") == {"here": 1}
            assert cast(PostgresClient, Tortoise.get_connection("default"))._plain is None

    @pytest.mark.usefixtures("postgres")
    async def test_they_can_only_read(self) -> None:
        await EventStream.create(name="here", position=1)
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await fetch(WRITE)
        assert await positions("here") == {"here": 1}

    async def test_those_that_were_ended_while_idle_cost_nobody_an_error(self, postgres: str) -> None:
        before = {rows[0]["pid"] for rows in await asyncio.gather(*(fetch(PID) for _ in range(9)))}
        await server_side(postgres, OTHERS_END)
        await eventually(lambda: all(each.connection.is_closed() for each in plain()._free))
        after = {rows[0]["pid"] for rows in await asyncio.gather(*(fetch(PID) for _ in range(9)))}
        assert not before & after
        assert plain().size == plain().idle <= 5

    async def test_one_that_is_ended_under_a_statement_is_an_error_and_replaced(self, postgres: str) -> None:
        await EventStream.create(name="here", position=1)
        sleeping = asyncio.gather(*(fetch(SLEEP, 2.0) for _ in range(5)), return_exceptions=True)
        waiting = [asyncio.create_task(positions("here")) for _ in range(5)]
        await until(postgres, SLEEPING, 5)
        await server_side(postgres, OTHERS_END)
        assert {type(each) for each in await sleeping} <= {
            asyncpg.AdminShutdownError,
            asyncpg.ConnectionDoesNotExistError,
        }
        assert await asyncio.gather(*waiting) == [{"here": 1}] * 5

    async def test_tables_may_change_under_what_was_prepared(self, postgres: str) -> None:
        every = Statement(postgres="SELECT * FROM event_stream", sqlite="")
        await EventStream.create(name="here", position=1)
        (before,) = await fetch(every)
        await server_side(postgres, "ALTER TABLE event_stream ADD COLUMN note text")
        (after,) = await fetch(every)
        assert [*cast(asyncpg.Record, after).keys()] == [*cast(asyncpg.Record, before).keys(), "note"]

    @pytest.mark.usefixtures("impatient")
    async def test_silence_costs_an_error_after_one_timeout_and_no_connection(self, postgres_url: str) -> None:
        async with behind_a_proxy(postgres_url) as proxy:
            await EventStream.create(name="here", position=1)
            assert await positions("here") == {"here": 1}
            await proxy.set(Mode.SWALLOW)
            with pytest.raises(TimeoutError):
                await positions("here")
            await proxy.set(Mode.CLEAR)
            assert await positions("here") == {"here": 1}
            assert (plain().size, plain().idle) == (1, 1)

    @pytest.mark.usefixtures("impatient")
    async def test_the_server_gives_up_first_and_the_connection_stays(self, postgres_url: str) -> None:
        async with connected(postgres_url):
            pid = (await fetch(PID))[0]["pid"]
            with pytest.raises(asyncpg.QueryCanceledError):
                await fetch(SLEEP, 5.0)
            assert (await fetch(PID))[0]["pid"] == pid

    @pytest.mark.usefixtures("impatient")
    async def test_who_waits_for_a_connection_too_long_is_told_so(self, postgres_url: str) -> None:
        async with connected(postgres_url, Settings(database_acquire_timeout_s=0.05)):
            sleeping = asyncio.create_task(fetch(SLEEP, 0.4))
            await asyncio.sleep(0)
            with pytest.raises(TimeoutError):
                await fetch(PID)
            await sleeping
            assert await fetch(PID)

    async def test_closing_waits_for_what_is_under_way(self, postgres_url: str) -> None:
        async with connected(postgres_url):
            sleeping = asyncio.create_task(fetch(SLEEP, 0.2))
            await until(postgres_url, SLEEPING, 1)
        assert len(await sleeping) == 1
        await until(postgres_url, OTHERS, 0)


async def until(url: str, statement: str, wanted: int) -> None:
    """Return once the server counts as many as wanted."""
    async with asyncio.timeout(10):
        while await server_side(url, statement) != wanted:  # noqa: ASYNC110 - the server calls nobody
            await asyncio.sleep(0.02)


def test_ids_of_either_engine_are_the_same() -> None:
    id = uuid4()
    assert read_uuid(str(id)) == read_uuid(id) == UUID(str(id))
