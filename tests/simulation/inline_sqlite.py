"""SQLite without the thread between: each statement runs where it is asked for, so no thread decides who goes first.

A simulation runs statements by the million, so that the way to each is as short as it can be made from outside.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import aiosqlite
from pypika_tortoise.context import SqlContext
from tortoise.connection import ConnectionHandler

# SQLite's own cache holds fewer than a world speaks, and what falls out of it is parsed again.
STATEMENTS_KEPT_MAX = 2_000

Values = Sequence[Any] | None


async def _connect(connection: aiosqlite.Connection) -> aiosqlite.Connection:
    if connection._connection is None:
        try:
            connection._connection = connection._connector()
        except BaseException:
            connection.stop()
            raise
    return connection


def _opened(connection: aiosqlite.Connection) -> sqlite3.Connection:
    if not connection._running or connection._connection is None:
        raise ValueError("Connection closed")
    return connection._connection


async def _call(connection: aiosqlite.Connection, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    _opened(connection)
    return work(*args, **kwargs)


async def _execute(connection: aiosqlite.Connection, sql: str, values: Values = None) -> aiosqlite.Cursor:
    return aiosqlite.Cursor(connection, _opened(connection).execute(sql, values or ()))


async def _fetch_all(connection: aiosqlite.Connection, sql: str, values: Values = None) -> Iterable[sqlite3.Row]:
    return _opened(connection).execute(sql, values or ()).fetchall()


async def _insert(connection: aiosqlite.Connection, sql: str, values: Values = None) -> tuple[int | None]:
    return (_opened(connection).execute(sql, values or ()).lastrowid,)


async def _commit(connection: aiosqlite.Connection) -> None:
    _opened(connection).commit()


async def _roll_back(connection: aiosqlite.Connection) -> None:
    _opened(connection).rollback()


def _get(connections: ConnectionHandler, alias: str) -> Any:
    """The ORM's own asks several times for each statement whether the loop is still the one that opened it."""
    known = connections._get_storage()
    if alias not in known:
        known[alias] = connections._create_connection(alias)
    return known[alias]


def _copy(context: SqlContext, **changed: Any) -> SqlContext:
    """The ORM's own names every field, a hundred times for each statement that it writes."""
    copied = object.__new__(SqlContext)
    copied.__dict__.update(context.__dict__, **changed)
    return copied


SHORT_WAYS = (
    (aiosqlite.Connection, "_connect", _connect),
    (aiosqlite.Connection, "_execute", _call),
    (aiosqlite.Connection, "execute", _execute),
    (aiosqlite.Connection, "execute_fetchall", _fetch_all),
    (aiosqlite.Connection, "execute_insert", _insert),
    (aiosqlite.Connection, "commit", _commit),
    (aiosqlite.Connection, "rollback", _roll_back),
    (ConnectionHandler, "get", _get),
    (SqlContext, "copy", _copy),
    (sqlite3, "connect", partial(sqlite3.connect, cached_statements=STATEMENTS_KEPT_MAX)),
)


@contextmanager
def inline_sqlite() -> Iterator[None]:
    """Let connections that are opened in this context run their statements at once."""
    with ExitStack() as patches:
        for owner, name, way in SHORT_WAYS:
            patches.enter_context(patch.object(owner, name, way))
        yield
