"""A database that cannot be opened is an error at once, and never a wait without end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tortoise import Tortoise
from tortoise.exceptions import DBConnectionError

from models.database import connected, migrate


@pytest.fixture(autouse=True)
async def threads_end() -> AsyncIterator[None]:
    """A connection's thread ends a moment after it was told to, and tells the loop, which must still be there."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
        assert not thread.is_alive()


async def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    address = f"sqlite://{tmp_path / 'missing' / 'youka.db'}"
    async with connected(address), asyncio.timeout(30):
        for _ in range(2):
            with pytest.raises(DBConnectionError, match="unable to open database file"):
                await Tortoise.get_connection("default").execute_query("SELECT 1")


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "youka.db"
    path.write_bytes(b"no database" * 500)
    async with asyncio.timeout(30):
        with pytest.raises(DBConnectionError, match="file is not a database"):
            await migrate(f"sqlite://{path}")
    assert path.read_bytes() == b"no database" * 500
