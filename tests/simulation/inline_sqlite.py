"""SQLite without the thread between: each statement runs where it is asked for, so no thread decides who goes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import aiosqlite


async def _connect(connection: aiosqlite.Connection) -> aiosqlite.Connection:
    if connection._connection is None:
        try:
            connection._connection = connection._connector()
        except BaseException:
            connection.stop()
            raise
    return connection


async def _execute(connection: aiosqlite.Connection, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not connection._running or connection._connection is None:
        raise ValueError("Connection closed")
    return work(*args, **kwargs)


@contextmanager
def inline_sqlite() -> Iterator[None]:
    """Let connections that are opened in this context run their statements at once."""
    with (
        patch.object(aiosqlite.Connection, "_connect", _connect),
        patch.object(aiosqlite.Connection, "_execute", _execute),
    ):
        yield
