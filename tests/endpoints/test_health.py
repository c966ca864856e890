"""Readiness follows the database, whatever words its driver has for being away."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from endpoints import health
from models.database import connected
from tests.conftest import execute, with_database


async def statuses() -> tuple[int, int]:
    transport = httpx.ASGITransport(Starlette(routes=list(health.routes)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        return (await http.get("/healthz")).status_code, (await http.get("/readyz")).status_code


@pytest.mark.usefixtures("database")
async def test_a_server_with_a_database_is_ready() -> None:
    assert await statuses() == (200, 200)


async def test_a_server_whose_database_went_away_lives_and_is_not_ready(postgres_url: str) -> None:
    name = urlsplit(postgres_url).path.strip("/")
    server = with_database(postgres_url, "postgres")
    async with connected(postgres_url):
        assert await statuses() == (200, 200)
        execute(server, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        execute(server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        # A connection that was cut first, connections that are refused then.
        assert [await statuses() for _ in range(3)] == [(200, 503)] * 3
        execute(server, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
        assert await statuses() == (200, 200)
