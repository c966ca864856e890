"""A transaction that cannot begin or commit costs its caller an error, and nobody else anything."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from urllib.parse import urlsplit, urlunsplit

import pytest
from tortoise import Tortoise
from tortoise.exceptions import IntegrityError, TransactionManagementError

from kernel.clock import utc_now
from kernel.settings import get_settings
from kernel.tasks import cancel_and_wait
from models.database import connected, transactional
from models.events import EventStream
from models.identity import User


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
        async with connected(sqlite_url), asyncio.timeout(5):
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

        async with connected(sqlite_url), asyncio.timeout(5):
            with pytest.raises(IntegrityError):
                await broken_at_commit()
            await _write("afterwards")
            rows = await Tortoise.get_connection("default").execute_query_dict("SELECT count(*) AS n FROM fuel_card")
            assert rows[0]["n"] == 0

    async def test_a_bulk_write_cut_off_while_it_begins_leaves_no_transaction_open(self, sqlite_url: str) -> None:
        async def sign_in(number: int) -> None:
            user = User(openid=f"o{number}", display_name="d", created_at=utc_now())
            await User.bulk_create([user], ignore_conflicts=True)

        async with connected(sqlite_url), asyncio.timeout(5):
            for steps in range(12):
                task = asyncio.create_task(sign_in(steps))
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                await _write(f"after {steps}")


class TestPostgres:
    async def test_a_server_that_stalls_costs_no_connections(
        self, postgres_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("YOUKA_DATABASE_COMMAND_TIMEOUT_S", "0.4")
        monkeypatch.setenv("YOUKA_DATABASE_POOL_SIZE_MAX", "2")
        get_settings.cache_clear()
        async with _gate_before(postgres_url) as (url, gate), connected(url), asyncio.timeout(20):
            await asyncio.gather(*(_write(f"before {number}") for number in range(4)))
            gate.clear()
            stalled = asyncio.gather(*(_write(f"stalled {number}") for number in range(2)), return_exceptions=True)
            await asyncio.sleep(0.6)
            gate.set()
            assert [type(outcome) for outcome in await stalled] == [TimeoutError, TimeoutError]
            async with asyncio.timeout(5):
                await asyncio.gather(*(_write(f"afterwards {number}") for number in range(4)))


@asynccontextmanager
async def _gate_before(url: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Give an address in front of the server, through which bytes pass while the event is set."""
    parts = urlsplit(url)
    gate = asyncio.Event()
    gate.set()
    pumps: set[asyncio.Task[None]] = set()

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                await gate.wait()
                target.write(data)
                await target.drain()
        target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(parts.hostname, parts.port or 5432)
        for source, target in ((reader, far_writer), (far_reader, writer)):
            pumps.add(asyncio.create_task(pump(source, target)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}")), gate
    finally:
        server.close()
        await cancel_and_wait(*pumps)
