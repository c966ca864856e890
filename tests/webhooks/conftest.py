"""Fixtures of the webhook tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from models.database import connected
from tests.webhooks.receiver import Receiver, receiving


@pytest.fixture
async def sqlite_database(sqlite_url: str) -> AsyncIterator[str]:
    """A fresh database on the engine that starts at once, where the engine is not what is tested."""
    async with connected(sqlite_url):
        yield sqlite_url


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as partner:
        yield partner
