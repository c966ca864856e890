"""One PostgreSQL with a database for each size, filled once and measured as often as somebody likes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg

from bench.databases import DURABLE, STEADY, execute, url_of
from bench.growth.history import History
from bench.growth.loading import load
from kernel.clock import utc_now
from kernel.settings import Settings
from models.database import migrate
from tests.services import PostgresFiles, Service

EMPTY, FILLING = "growth_empty", "growth_filling"
WHILE_LOADING = {**STEADY, "maintenance_io_concurrency": "32", "max_parallel_maintenance_workers": "2"}
WHILE_MEASURING = {**STEADY, **DURABLE}

ORDERS_PER_USER = 20
YEAR = timedelta(days=365)
# The newest order is older than the window within which orders of one user count together.
QUIET = timedelta(hours=2)


def name_of(orders: int) -> str:
    return f"growth_{orders}"


def users_of(orders: int) -> int:
    """Return how many users there are: each has as many orders in the large database as in the small one."""
    return orders // ORDERS_PER_USER


def history_of(orders: int) -> History:
    """Return a year of business that ends today."""
    ends_at = utc_now() - QUIET
    return History(
        orders=orders,
        users=users_of(orders),
        begins_at=ends_at - YEAR,
        ends_at=ends_at,
        work_kept_since=ends_at - timedelta(days=Settings().job_history_days),
    )


@contextmanager
def databases(folder: Path, sizes: Sequence[int], progress: Callable[[str], None]) -> Iterator[dict[int, str]]:
    """Yield the address of the database of each size. What is in the folder already is not filled again.

    Raises services.ServiceFailed or services.ServiceUnavailable.
    """
    files = PostgresFiles.reopen(folder) if (folder / "data").is_dir() else PostgresFiles.create(folder)
    urls = {orders: url_of(files.url, name_of(orders)) for orders in sizes}
    with _running(files.start(WHILE_LOADING)) as server:
        for orders in sizes:
            asyncio.run(_ensure(server.url, orders, progress))
        progress("writing everything to the disk")
        asyncio.run(execute(server.url, "CHECKPOINT"))
    with _running(files.start(WHILE_MEASURING)):
        yield urls


@contextmanager
def _running(service: Service) -> Iterator[Service]:
    try:
        yield service
    finally:
        service.stop()


async def _ensure(server: str, orders: int, progress: Callable[[str], None]) -> None:
    """Fill the database of this size, where it is not there. It gets its name at the end, so what has one is whole."""
    if await _exists(server, name_of(orders)):
        return
    if not await _exists(server, EMPTY):
        progress("making the tables")
        await execute(server, f"CREATE DATABASE {EMPTY}")
        await migrate(url_of(server, EMPTY))
    await execute(server, f"DROP DATABASE IF EXISTS {FILLING} WITH (FORCE)")
    await execute(server, f"CREATE DATABASE {FILLING} TEMPLATE {EMPTY}")
    await load(url_of(server, FILLING), history_of(orders), progress)
    await execute(server, f"ALTER DATABASE {FILLING} RENAME TO {name_of(orders)}")


async def _exists(server: str, name: str) -> bool:
    return bool(await _value(server, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", name))


async def _value(url: str, statement: str, *values: object) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement, *values)
    finally:
        await connection.close()
