"""Reading a database past the code that wrote it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from kernel.settings import Settings

Row = Mapping[str, Any]

CONNECT_WITHIN_S = 5.0
LEASE = timedelta(seconds=Settings.model_fields["job_lease_s"].default)

# Orders that somebody or something still has to move; what waits for a person moves no more.
MOVING = """
SELECT COUNT(*) AS moving FROM recharge_order
WHERE state NOT IN ('SUCCEEDED', 'FAILED') OR refund_state = 'PROCESSING'
"""
LEASED = """
SELECT id, lease_owner FROM job WHERE done_at IS NULL AND parked_at IS NULL AND lease_until IS NOT NULL
"""
TAKEN = LEASED + " AND lease_until >= '{until}'"
IDLE_S = 5
IDLE = """
SELECT COUNT(*) AS idle FROM pg_stat_activity
WHERE state LIKE 'idle in transaction%' AND state_change < now() - interval '{seconds} seconds'
"""


class DatabaseAway(Exception):
    """The database does not answer just now."""


class Database:
    """The service's database, read statement by statement in the two dialects' common tongue."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = asyncio.Lock()
        self._connection: asyncpg.Connection | None = None

    async def rows(self, statement: str) -> list[Row]:
        """Raises DatabaseAway."""
        try:
            if self._url.startswith("sqlite"):
                return await asyncio.to_thread(read_file, Path(self._url.removeprefix("sqlite://")), statement)
            async with self._lock:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await asyncpg.connect(self._url, timeout=CONNECT_WITHIN_S)
                return [dict(row) for row in await self._connection.fetch(statement)]
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, sqlite3.OperationalError) as error:
            raise DatabaseAway(repr(error)) from error

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def moving(self) -> int:
        """Return how many orders are not at their end."""
        return int((await self.rows(MOVING))[0]["moving"])

    async def leases(self, *, taken_since: datetime | None = None) -> dict[str, str]:
        """Return who holds each piece of work that is under way, or only what was taken or kept since the moment."""
        statement = TAKEN.format(until=(taken_since + LEASE).isoformat()) if taken_since else LEASED
        return {str(row["id"]): str(row["lease_owner"]) for row in await self.rows(statement)}

    async def idle_in_transaction(self) -> int:
        """Return how many connections hold a transaction open in which nothing has happened for IDLE_S."""
        if self._url.startswith("sqlite"):
            return 0
        return int((await self.rows(IDLE.format(seconds=IDLE_S)))[0]["idle"])


def read_file(path: Path, statement: str) -> list[Row]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(statement)]
