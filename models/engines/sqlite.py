"""SQLite for one machine: writers queue instead of failing with "database is locked".

A deferred transaction takes its write lock at the first write, when it may be too late to wait for it; this engine
begins every transaction with the lock (`BEGIN IMMEDIATE`, https://www.sqlite.org/lang_transaction.html).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, cast
from uuid import UUID

from tortoise.backends.base.client import (
    ConnectionWrapper,
    NestedTransactionContext,
    TransactionalDBClient,
    TransactionContext,
)
from tortoise.backends.sqlite.client import (
    SqliteClient,
    SqliteTransactionContext,
    SqliteTransactionWrapper,
    translate_exceptions,
)
from tortoise.connection import get_connections
from tortoise.exceptions import DBConnectionError, IntegrityError, TransactionManagementError

from models import changes
from models.engines.noticing import Noticing
from models.lean import Argument, Row, Statement


class Acquirable(Protocol):
    def acquire_connection(self) -> ConnectionWrapper[Any]: ...


async def rows_of(client: Acquirable, statement: Statement, arguments: Sequence[Argument]) -> Sequence[Row]:
    values = [as_kept(each) for each in arguments]
    async with client.acquire_connection() as connection:
        return cast(Sequence[Row], await connection.execute_fetchall(statement.sqlite, values))


def as_kept(given: Argument) -> str | int | float | bytes | None:
    """Return a value as the tables hold it, and a list of them as the text that `json_each` reads."""
    if isinstance(given, UUID):
        return str(given)
    if isinstance(given, datetime):
        # Moments are compared as text, so that all of them have to be written in UTC.
        return given.astimezone(UTC).isoformat(" ")
    if given is None or isinstance(given, str | int | float | bytes):
        return given
    return json.dumps([as_kept(each) for each in given])


class ReleasingConnection(ConnectionWrapper[Any]):
    """The ORM's own keeps its lock where the file cannot be opened, and every later statement waits for it."""

    async def __aenter__(self) -> Any:
        await self._lock.acquire()
        try:
            await self.ensure_connection()
        except BaseException:
            self._lock.release()
            raise
        return self.connection


class ReleasingTransactionContext(SqliteTransactionContext):
    """The ORM's own keeps its lock where the transaction does not begin, and every later request waits for it."""

    async def __aenter__(self) -> TransactionalDBClient:
        await self._trxlock.acquire()
        try:
            await self.ensure_connection()
            await self.connection.begin()
        except BaseException:
            self._trxlock.release()
            raise
        self.token = get_connections().set(self.connection_name, self.connection)
        return cast(TransactionalDBClient, self.connection)


class ImmediateTransaction(Noticing, SqliteTransactionWrapper):
    async def fetch_rows(self, statement: Statement, arguments: Sequence[Argument]) -> Sequence[Row]:
        """Read on the transaction's own connection, which sees what it wrote."""
        return await rows_of(self, statement, arguments)

    def _in_transaction(self) -> TransactionContext:
        return NestedTransactionContext(ImmediateTransaction(self))

    async def begin(self) -> None:
        try:
            await self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise TransactionManagementError(error) from error

    async def commit(self) -> None:
        """Commit. Raises IntegrityError where a deferred check of the database refuses it."""
        try:
            await super().commit()
        except BaseException as error:
            # SQLite leaves the transaction open where a commit fails, and no other could begin.
            await self.rollback()
            if isinstance(error, sqlite3.IntegrityError):
                raise IntegrityError(error) from error
            raise


class ImmediateSqliteClient(Noticing, SqliteClient):
    async def fetch_rows(self, statement: Statement, arguments: Sequence[Argument]) -> Sequence[Row]:
        return await rows_of(self, statement, arguments)

    async def create_connection(self, with_db: bool) -> None:
        """Open the file. Raises DBConnectionError where it cannot be opened or is no database."""
        try:
            await super().create_connection(with_db)
        except BaseException as error:
            # A connection that is half open has a thread, which would keep the process from ending.
            await self.close()
            if isinstance(error, sqlite3.Error):
                raise DBConnectionError(f"{self.filename}: {error}") from error
            raise

    def acquire_connection(self) -> ConnectionWrapper[Any]:
        return ReleasingConnection(self._lock, self)

    def _in_transaction(self) -> TransactionContext:
        return ReleasingTransactionContext(ImmediateTransaction(self), self._lock)

    @translate_exceptions
    async def execute_many(self, query: str, values: list[list[object]]) -> None:
        async with self.acquire_connection() as connection:
            try:
                # Inside the try: a caller that is cancelled here does not see whether it began.
                await connection.execute("BEGIN IMMEDIATE")
                await connection.executemany(query, values)
                await connection.commit()
            except BaseException:
                await connection.rollback()
                raise
            finally:
                changes.written(query)


client_class = ImmediateSqliteClient
