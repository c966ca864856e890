"""A transaction that cannot begin or commit costs its caller an error, and nobody else anything."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from tortoise import Tortoise
from tortoise.exceptions import IntegrityError, TransactionManagementError

from bench.storm.proxy import Mode, Proxy
from kernel.clock import utc_now
from kernel.settings import get_settings
from models.database import connected, patient, transactional
from models.events import EventStream
from models.identity import User
from tests.services import LOOPBACK, find_free_port

COMMAND_TIMEOUT_S = 0.6


@pytest.fixture(autouse=True)
def _settings_of_this_test() -> Iterator[None]:
    yield
    get_settings.cache_clear()


@transactional
async def _write(name: str) -> None:
    await EventStream.create(name=name, position=1)


class TestSqlite:
    async def test_a_lock_held_too_long_by_another_process_is_an_error_and_not_the_end(
        self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("YOUKA_SQLITE_BUSY_TIMEOUT_MS", "20")
        get_settings.cache_clear()
        async with connected(sqlite_url), asyncio.timeout(30):
            with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite://"))) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(TransactionManagementError):
                    await _write("while locked")
                other.rollback()
            await _write("afterwards")
            assert [stream.name for stream in await EventStream.all()] == ["afterwards"]

    async def test_a_commit_that_fails_is_rolled_back(self, sqlite_url: str) -> None:
        @transactional
        async def broken_at_commit() -> None:
            connection = Tortoise.get_connection("default")
            await connection.execute_query("PRAGMA defer_foreign_keys = ON")
            await connection.execute_query(
                "INSERT INTO fuel_card (id, user_id, brand, number_sealed, number_digest, number_tail, created_at) "
                "VALUES ('a', 'nobody', 'SINOPEC', x'00', 'd', '0001', '2026-04-21')"
            )

        async with connected(sqlite_url), asyncio.timeout(30):
            with pytest.raises(IntegrityError):
                await broken_at_commit()
            await _write("afterwards")
            rows = await Tortoise.get_connection("default").execute_query_dict("SELECT count(*) AS n FROM fuel_card")
            assert rows[0]["n"] == 0

    async def test_a_bulk_write_cut_off_while_it_begins_leaves_no_transaction_open(self, sqlite_url: str) -> None:
        async def sign_in(number: int) -> None:
            user = User(openid=f"o{number}", display_name="d", created_at=utc_now())
            await User.bulk_create([user], ignore_conflicts=True)

        async with connected(sqlite_url), asyncio.timeout(30):
            for steps in range(12):
                task = asyncio.create_task(sign_in(steps))
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                await _write(f"after {steps}")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two connections, and statements that are given up soon."""
    monkeypatch.setenv("YOUKA_DATABASE_COMMAND_TIMEOUT_S", str(COMMAND_TIMEOUT_S))
    monkeypatch.setenv("YOUKA_DATABASE_CONNECT_TIMEOUT_S", str(COMMAND_TIMEOUT_S))
    monkeypatch.setenv("YOUKA_DATABASE_ACQUIRE_TIMEOUT_S", str(2 * COMMAND_TIMEOUT_S))
    monkeypatch.setenv("YOUKA_DATABASE_POOL_SIZE_MAX", "2")
    get_settings.cache_clear()


@asynccontextmanager
async def behind_a_proxy(url: str) -> AsyncIterator[Proxy]:
    """Open the database through a proxy."""
    parts = urlsplit(url)
    assert parts.port is not None
    proxy = Proxy(find_free_port(), parts.port)
    await proxy.listen()
    netloc = f"{parts.netloc.rpartition('@')[0]}@{LOOPBACK}:{proxy.port}"
    try:
        async with connected(urlunsplit(parts._replace(netloc=netloc))), asyncio.timeout(60):
            yield proxy
    finally:
        await proxy.close()


async def works_at_once() -> None:
    """More transactions at the same time than there are connections, sooner than a connection would be given up."""
    async with asyncio.timeout(COMMAND_TIMEOUT_S / 2):
        await asyncio.gather(*(_write(f"afterwards {number}") for number in range(4)))


async def names() -> set[str]:
    return {stream.name for stream in await EventStream.all()}


async def server_side(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


CONNECTION_LOST = (asyncpg.PostgresConnectionError, asyncpg.IdleInTransactionSessionTimeoutError, ConnectionError)
IDLE_IN_TRANSACTION = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
)


@pytest.mark.usefixtures("impatient")
class TestPostgres:
    @pytest.mark.parametrize("mode", [Mode.STALL, Mode.DROP_REPLIES, Mode.SWALLOW])
    async def test_silence_costs_an_error_after_one_timeout_and_no_connection(
        self, postgres_url: str, mode: Mode
    ) -> None:
        async with behind_a_proxy(postgres_url) as proxy:
            await asyncio.gather(*(_write(f"before {number}") for number in range(4)))
            await proxy.set(mode)
            begun = time.monotonic()
            outcomes = await asyncio.gather(*(_write(f"lost {number}") for number in range(2)), return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [TimeoutError, TimeoutError]
            assert time.monotonic() - begun < 1.5 * COMMAND_TIMEOUT_S
            await proxy.set(Mode.CLEAR)
            await works_at_once()
            assert await names() == {f"{when} {number}" for when in ("before", "afterwards") for number in range(4)}

    async def test_a_commit_whose_reply_is_lost_stands_and_is_an_error(self, postgres_url: str) -> None:
        async with behind_a_proxy(postgres_url) as proxy:

            @transactional
            async def cut_off_at_commit() -> None:
                await EventStream.create(name="committed", position=1)
                await proxy.set(Mode.DROP_REPLIES)

            await _write("before")
            with pytest.raises(TimeoutError):
                await cut_off_at_commit()
            await proxy.set(Mode.CLEAR)
            await works_at_once()
            assert "committed" in await names()

    async def test_rows_that_a_lost_client_has_locked_are_free_soon(self, postgres_url: str) -> None:
        async with behind_a_proxy(postgres_url) as proxy:

            @transactional
            async def lock_and_vanish() -> None:
                await EventStream.select_for_update().get(name="wanted")
                await proxy.set(Mode.SWALLOW)
                await EventStream.filter(name="wanted").update(position=2)

            @transactional
            async def wait_for_it() -> None:
                await EventStream.select_for_update().get(name="wanted")
                await EventStream.filter(name="wanted").update(position=3)

            await _write("wanted")
            # Whose patience ends first is chance: the server's end of the connection may still arrive.
            with pytest.raises((TimeoutError, *CONNECTION_LOST)):
                await lock_and_vanish()
            await proxy.set(Mode.CLEAR)
            # The server has given up waiting for the client about when the client gave up waiting for the server.
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                await wait_for_it()
            assert (await EventStream.get(name="wanted")).position == 3
            assert await server_side(postgres_url, IDLE_IN_TRANSACTION) == 0

    async def test_a_lock_held_too_long_is_an_error_that_the_connection_outlives(self, postgres_url: str) -> None:
        async with behind_a_proxy(postgres_url):
            await _write("wanted")
            pids = await _pids()
            holder = await asyncpg.connect(postgres_url)
            try:
                async with holder.transaction():
                    await holder.execute("SELECT * FROM event_stream WHERE name = 'wanted' FOR UPDATE")
                    with pytest.raises(asyncpg.QueryCanceledError):
                        await EventStream.filter(name="wanted").update(position=2)
            finally:
                await holder.close()
            assert await _pids() == pids
            await works_at_once()

    async def test_a_cut_connection_is_an_error_and_the_next_call_has_another(self, postgres_url: str) -> None:
        async with behind_a_proxy(postgres_url) as proxy:

            @transactional
            async def cut_off() -> None:
                await EventStream.create(name="lost", position=1)
                await proxy.set(Mode.CUT)
                await EventStream.create(name="lost too", position=1)

            await _write("before")
            with pytest.raises(CONNECTION_LOST):
                await cut_off()
            with pytest.raises(OSError, match="Connect"):
                await _write("refused")
            await proxy.set(Mode.CLEAR)
            await works_at_once()
            assert await names() == {"before", *(f"afterwards {number}" for number in range(4))}

    async def test_whoever_finds_no_connection_free_is_told_in_time(self, postgres_url: str) -> None:
        async with behind_a_proxy(postgres_url):
            entered, leave = asyncio.Semaphore(0), asyncio.Event()

            @transactional
            async def occupy() -> None:
                await EventStream.all().count()
                entered.release()
                while not leave.is_set():
                    # A transaction in which nothing happens would be ended by the server.
                    await EventStream.all().count()

            busy = [asyncio.create_task(occupy()) for _ in range(2)]
            for _ in busy:
                await entered.acquire()
            begun = time.monotonic()
            with pytest.raises(TimeoutError):
                await _write("too many")
            assert 2 * COMMAND_TIMEOUT_S <= time.monotonic() - begun < 4 * COMMAND_TIMEOUT_S
            leave.set()
            await asyncio.gather(*busy)
            await works_at_once()

    async def test_a_command_has_more_time_than_a_request(self, postgres_url: str) -> None:
        slow = f"SELECT pg_sleep({2 * COMMAND_TIMEOUT_S})"
        async with connected(postgres_url):
            with pytest.raises(asyncpg.QueryCanceledError):
                await Tortoise.get_connection("default").execute_query(slow)
        async with connected(postgres_url, patient(get_settings())):
            await Tortoise.get_connection("default").execute_query(slow)


async def _pids() -> set[int]:
    rows = await Tortoise.get_connection("default").execute_query_dict("SELECT pg_backend_pid() AS pid")
    return {row["pid"] for row in rows}
