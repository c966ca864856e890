"""A house that runs: on SQLite in one process, and on PostgreSQL and Redis with a worker of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.imports import load_demo_data
from models.database import connected
from tests.house_process import RunningHouse, running
from tests.sandbox_fixtures import Sandbox
from tests.services import run


async def _load(url: str) -> None:
    async with connected(url):
        await load_demo_data()


@pytest.fixture(params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path, sandbox: Sandbox) -> Iterator[RunningHouse]:
    postgres = request.param == "postgres"
    url = str(request.getfixturevalue("postgres_url" if postgres else "sqlite_url"))
    environment = {"DATABASE_URL": url, "YOUKA_RECHARGE_QUERY_DELAY_S": "0.3", "YOUKA_PAYMENT_QUERY_DELAY_S": "0.3"}
    if postgres:
        environment["REDIS_URL"] = str(request.getfixturevalue("redis_url"))
    run(_load(url))
    with running(tmp_path, sandbox, worker=postgres, **environment) as house:
        yield house
