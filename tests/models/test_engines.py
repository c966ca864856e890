"""A transaction that cannot begin or commit costs its caller an error, and nobody else anything."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace

import asyncpg
import pytest
from tortoise import Tortoise
from tortoise.exceptions import IntegrityError, TransactionManagementError

from domain.identity.operations import sign_in
from kernel.clock import utc_now
from kernel.settings import get_settings
from models.database import connected, drain, transactional
from models.events import EventStream
from models.identity import User


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
            assert await EventStream.all().values_list("name", flat=True) == ["afterwards"]
        get_settings.cache_clear()

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
            with pytest.raises((IntegrityError, sqlite3.IntegrityError)):
                await broken_at_commit()
            await _write("afterwards")
            rows = await Tortoise.get_connection("default").execute_query_dict("SELECT count(*) AS n FROM fuel_card")
            assert rows[0]["n"] == 0

    async def test_a_bulk_write_cut_off_while_it_begins_leaves_no_transaction_open(self, sqlite_url: str) -> None:
        async with connected(sqlite_url), asyncio.timeout(5):
            for steps in range(12):
                user = User(openid=f"o{steps}", display_name="d", created_at=utc_now())
                task = asyncio.create_task(User.bulk_create([user], ignore_conflicts=True))
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                await _write(f"after {steps}")


class TestPostgres:
    async def test_connections_that_die_before_a_transaction_begins_go_back_to_the_pool(
        self, postgres_url: str
    ) -> None:
        size = get_settings().database_pool_size_max
        async with connected(postgres_url), asyncio.timeout(20):
            for number in range(size + 2):
                await _write(f"before {number}")
                _cut_off(postgres_url)
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await _write(f"cut off {number}")
            async with asyncio.timeout(3):
                await _write("afterwards")


def _cut_off(url: str) -> None:
    """End every other connection to the database while this event loop is not looking."""
    import threading

    async def work() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        finally:
            await connection.close()

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    thread.join()
