"""Fixtures of the stream tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from models.database import connected
from tests.subscriptions.listening import House
from tests.subscriptions.serving import services_of, serving
from tests.subscriptions.support import running, settings_for


@pytest.fixture
async def sqlite_database(sqlite_url: str) -> AsyncIterator[str]:
    """A fresh database on the engine that starts at once, where the engine is not what is tested."""
    async with connected(sqlite_url):
        yield sqlite_url


@pytest.fixture
async def house(database: str) -> AsyncIterator[House]:
    async with running(settings_for()) as system, serving(services_of(system.hub)) as address:
        yield House(address, system)


@pytest.fixture
async def narrow_house(database: str, bounds: dict[str, int]) -> AsyncIterator[House]:
    """A house with other limits, which the test names."""
    async with running(settings_for()) as system, serving(services_of(system.hub, **bounds)) as address:
        yield House(address, system)
