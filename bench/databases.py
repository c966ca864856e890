"""A database for each server, both copies of one that was filled once."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from tortoise import Tortoise

from bench.dataset import Dataset
from bench.filling import filling, loading_connection
from bench.machine import running_on
from kernel.settings import Settings
from models.database import connected, migrate, patient
from models.events import Event, EventStream
from models.jobs import Job
from models.orders import IdempotencyKey, OrderTransition, RechargeOrder
from tests import services

# The tests' server forgets everything in a power cut, to be fast. Who measures recharges must wait for the disk.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}

# What a database does of its own accord would fall into the turn of one server and be charged to it alone.
STEADY = {
    "shared_buffers": "1GB",
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "4GB",
}
ROWS_PER_BATCH = 1_000

# What one recharge writes, a row each.
WRITTEN = (RechargeOrder, IdempotencyKey, OrderTransition, Event, EventStream, Job)


@contextmanager
def databases(
    engine: str, data: Dataset, folder: Path, *, count: int, cores: frozenset[int] | None
) -> Iterator[list[str]]:
    """Yield the addresses of `count` equal databases. Raises services.ServiceFailed or services.ServiceUnavailable."""
    with _sqlite(data, folder, count) if engine == "sqlite" else _postgres(data, count, cores) as urls:
        yield urls


@contextmanager
def _sqlite(data: Dataset, folder: Path, count: int) -> Iterator[list[str]]:
    with TemporaryDirectory(dir=folder) as name:
        template = Path(name) / "template.db"
        asyncio.run(_load_sqlite(f"sqlite://{template}", data))
        paths = [template.with_name(f"copy-{number}.db") for number in range(count)]
        for path in paths:
            shutil.copyfile(template, path)
        yield [f"sqlite://{path}" for path in paths]


async def _load_sqlite(url: str, data: Dataset) -> None:
    await migrate(url)
    async with connected(url):
        for model, rows in data.tables():
            waiting = iter(rows)
            while batch := [model(**row) for row in itertools.islice(waiting, ROWS_PER_BATCH)]:
                await model.bulk_create(batch)
        await Tortoise.get_connection("default").execute_script("ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def _postgres(data: Dataset, count: int, cores: frozenset[int] | None) -> Iterator[list[str]]:
    with ExitStack() as stack:
        server = stack.enter_context(_postgres_server(cores))
        name = f"youka_bench_{secrets.token_hex(4)}"
        template = stack.enter_context(_created(server, name))
        asyncio.run(_load_postgres(template, data))
        yield [stack.enter_context(_created(server, f"{name}_{number}", copy_of=name)) for number in range(count)]


async def _load_postgres(url: str, data: Dataset) -> None:
    """Take the rows by COPY, table by table in the order of their references. The account must be a superuser."""
    await migrate(url)
    async with loading_connection(url) as connection:
        for model, rows in data.tables():
            table, waiting = model._meta.db_table, iter(rows)
            first = next(waiting)
            async with filling(connection, [table], cascade=True):
                await connection.copy_records_to_table(
                    table,
                    columns=list(first),
                    records=(tuple(row.values()) for row in itertools.chain([first], waiting)),
                )


@contextmanager
def _postgres_server(cores: frozenset[int] | None) -> Iterator[str]:
    given = os.environ.get("DATABASE_URL", "")
    if urlsplit(given).scheme in {"postgres", "postgresql"}:
        yield given
        return
    with running_on(cores):
        service = services.start_postgres({**STEADY, **DURABLE})
    try:
        yield service.url
    finally:
        service.stop()


@contextmanager
def _created(server: str, name: str, *, copy_of: str = "") -> Iterator[str]:
    asyncio.run(
        execute(server, f"CREATE DATABASE {name}" + (f" TEMPLATE {copy_of} STRATEGY FILE_COPY" if copy_of else ""))
    )
    try:
        yield url_of(server, name)
    finally:
        asyncio.run(execute(server, f"DROP DATABASE {name} WITH (FORCE)"))


def url_of(server: str, name: str) -> str:
    """Return the address of another database of the server."""
    return urlunsplit(urlsplit(server)._replace(scheme="postgres", path=f"/{name}"))


async def execute(url: str, statement: str) -> None:
    """Run one statement on a connection of its own, as CREATE DATABASE asks for."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def written(url: str) -> dict[str, int]:
    """Return how many rows each of the tables holds that a recharge writes."""

    async def count() -> dict[str, int]:
        # Ten million orders are not counted within the time that a server gives a statement.
        async with connected(url, patient(Settings())):
            return {table.__name__: await table.all().count() for table in WRITTEN}

    return asyncio.run(count())
