"""Fixtures that every test may ask for: a fresh database on each engine, an empty Redis, a free port.

`DATABASE_URL` (postgres://…) and `REDIS_URL` point the tests at running servers. On that PostgreSQL each test gets a
database of its own name; on that Redis the tests empty database 15, or the one that the address names.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import redis

from models.database import connected, migrate
from tests.services import Service, ServiceFailed, ServiceUnavailable, find_free_port, run, start_postgres, start_redis

FOREIGN_REDIS_DATABASE = 15
# Copying files takes 31 ms where nothing is synced, the default (writing every page to the log) 76 ms.
COPYING = "STRATEGY FILE_COPY"
IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def _started(start: Callable[[], Service]) -> Service:
    try:
        return start()
    except ServiceUnavailable as reason:
        if IN_CI:
            pytest.fail(f"CI must run every test: {reason}", pytrace=False)
        pytest.skip(str(reason))
    except ServiceFailed as reason:
        pytest.fail(str(reason), pytrace=False)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL on which databases can be created."""
    given = os.environ.get("DATABASE_URL", "")
    if urlsplit(given).scheme in {"postgres", "postgresql"}:
        yield given
        return
    service = _started(start_postgres)
    yield service.url
    service.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The address of a Redis, its database included."""
    given = os.environ.get("REDIS_URL", "")
    if given:
        parts = urlsplit(given)
        yield given if parts.path.strip("/") else urlunsplit(parts._replace(path=f"/{FOREIGN_REDIS_DATABASE}"))
        return
    service = _started(start_redis)
    yield service.url
    service.stop()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    run(migrate(f"sqlite://{path}"))
    # What is still in the write-ahead log goes into the file, so that the file alone is the database.
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """The name of a migrated database that nobody is connected to, so that it can be copied."""
    name = f"youka_template_{secrets.token_hex(4)}"
    execute(postgres_server, f"CREATE DATABASE {name}")
    run(migrate(with_database(postgres_server, name)))
    execute(postgres_server, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
    execute(postgres_server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    yield name
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh, migrated SQLite database."""
    path = tmp_path / "youka.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite://{path}"


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """A fresh, migrated PostgreSQL database."""
    name = f"youka_test_{secrets.token_hex(6)}"
    execute(postgres_server, f"CREATE DATABASE {name} TEMPLATE {postgres_template} {COPYING}")
    yield with_database(postgres_server, name)
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated database; the test runs once on each engine."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[str]:
    """The fresh database, opened in the test's own event loop; the value is its address."""
    async with connected(database_url):
        yield database_url


@pytest.fixture
def redis_url(redis_server: str) -> Iterator[str]:
    """An empty Redis database."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushdb()
        yield redis_server
        client.flushdb()


@pytest.fixture
def free_port() -> int:
    """A loopback port on which nothing listens."""
    return find_free_port()


def with_database(url: str, name: str) -> str:
    """Return the server's address with another database in it."""
    return urlunsplit(urlsplit(url)._replace(scheme="postgres", path=f"/{name}"))


def execute(url: str, statement: str, *values: str) -> None:
    """Run one statement on a connection of its own, as CREATE DATABASE asks for."""

    async def work() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    run(work())


# The sandbox of third parties: `sandbox` and `sandbox_process`.
pytest_plugins = ["tests.sandbox_fixtures"]
