"""Fixtures that every test may ask for: a fresh database on each engine, an empty Redis, a free port.

`DATABASE_URL` (postgres://…) and `REDIS_URL` point the tests at running servers. On that PostgreSQL each test gets a
database of its own name; on that Redis the tests empty database 15, or the one that the address names.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import redis
from httpx._config import DEFAULT_TIMEOUT_CONFIG, create_ssl_context
from httpx._transports import default as client_transports

from domain.access import passwords
from kernel.settings import get_settings
from models.database import connected, migrate
from tests.databases import Copies
from tests.memory import folder_in_memory, sqlite_copy
from tests.models_once import models_ready_once
from tests.patience import DATABASE_PATIENCE
from tests.services import Service, ServiceFailed, ServiceUnavailable, find_free_port, run, start_postgres, start_redis

FOREIGN_REDIS_DATABASE = 15
CLIENT_PATIENCE_S = 60.0
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
PASSWORD_COST, CHEAP_COST = 2**16, 2**8
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
    service = _started(lambda: start_postgres(beneath=folder_in_memory()))
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
def sqlite_url(sqlite_template: Path) -> Iterator[str]:
    """A fresh, migrated SQLite database."""
    with sqlite_copy(sqlite_template) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_copies(postgres_server: str, postgres_template: str) -> Iterator[Copies]:
    """Makes the copies of the template."""
    copies = Copies(postgres_server, postgres_template)
    yield copies
    copies.close()


@pytest.fixture
def postgres_url(postgres_server: str, postgres_copies: Copies) -> Iterator[str]:
    """A fresh, migrated PostgreSQL database."""
    name = postgres_copies.take()
    yield with_database(postgres_server, name)
    postgres_copies.drop(name)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated database; the test runs once on each engine."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[str]:
    """The fresh database, opened in the test's own event loop; the value is its address."""
    async with connected(database_url, get_settings().model_copy(update=DATABASE_PATIENCE)):
        yield database_url


@pytest.fixture
def redis_url(redis_server: str) -> Iterator[str]:
    """An empty Redis database."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushdb()
        yield redis_server
        client.flushdb()


@pytest.fixture(scope="session", autouse=True)
def models_once() -> Iterator[None]:
    with models_ready_once():
        yield


@pytest.fixture(scope="session", autouse=True)
def schemas_once() -> Iterator[None]:
    """Applications with the same limits share a schema, and what it knows of documents: each takes 100 ms to build.

    Nothing that comes out of a database may be kept in a schema, since the next test has another database.
    """
    root = sys.modules.get("schema.root")
    with pytest.MonkeyPatch.context() as patch:
        # Whoever collects no test that imports the application does not have to wait for it.
        if root is not None:
            patch.setattr(root, "build", lru_cache(root.build))
        yield


@pytest.fixture(scope="session", autouse=True)
def passwords_cheap() -> Iterator[None]:
    """A password costs a guesser a quarter of a second and 64 MiB, and so it would each test that sets or gives one."""
    assert passwords.COST == PASSWORD_COST, "what a guess costs is changed here as well"
    nobodys = passwords._NOBODYS.replace(f"${PASSWORD_COST}$", f"${CHEAP_COST}$")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "COST", CHEAP_COST)
        patch.setattr(passwords, "_NOBODYS", nobodys)
        yield


@pytest.fixture(scope="session", autouse=True)
def patient_clients() -> Iterator[None]:
    """Clients that say nothing of a timeout give up after five seconds, which a busy machine may take for an answer."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "read", "write", "pool"):
            patch.setattr(DEFAULT_TIMEOUT_CONFIG, name, CLIENT_PATIENCE_S)
        yield


@pytest.fixture(scope="session", autouse=True)
def certificates_once() -> Iterator[None]:
    """Whoever makes a client waits 50 ms for the certificates of all authorities; those of the tests share them."""

    @lru_cache
    def shared(*, trust_env: bool, _named: tuple[str | None, ...]) -> ssl.SSLContext:
        return create_ssl_context(trust_env=trust_env)

    def create_or_share(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
        if verify is not True or cert is not None:
            return create_ssl_context(verify=verify, cert=cert, trust_env=trust_env)
        return shared(trust_env=trust_env, _named=tuple(map(os.environ.get, CERTIFICATE_VARIABLES)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_transports, "create_ssl_context", create_or_share)
        yield


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
