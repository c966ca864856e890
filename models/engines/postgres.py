"""PostgreSQL through asyncpg's pool, which gets every connection back, and soon, whatever the network does.

A connection that has not answered in time is ended, not asked to cancel: where packets are lost, whoever waits for the
answer to the cancelling waits for a second timeout, and the pool for its connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, cast

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import (
    ConnectionWrapper,
    NestedTransactionContext,
    PoolConnectionWrapper,
    TransactionalDBClient,
    TransactionContext,
    TransactionContextPooled,
)
from tortoise.connection import get_connections
from tortoise.exceptions import IntegrityError, TransactionManagementError

from kernel.logs import get_logger
from models.engines.noticing import Noticing
from models.engines.plain import PlainConnections
from models.lean import Argument, Row, Statement
from models.reading import ReadOnly, WriteAlone

log = get_logger(__name__)

# Resetting a connection takes a moment, and so does cancelling the statement of a caller that was cancelled.
RELEASE_WITHIN_S = 1.0
# What asyncpg raises for a connection that it could not reset; it has ended it by then.
NOT_RESET = (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class CheckedTransaction(Noticing, TransactionWrapper):
    async def commit(self) -> None:
        """Commit. Raises IntegrityError where a deferred check of the database refuses it."""
        try:
            await super().commit()
        except asyncpg.IntegrityConstraintViolationError as error:
            raise IntegrityError(error) from error

    async def fetch_rows(self, statement: Statement, arguments: Sequence[Argument]) -> Sequence[Row]:
        """Read on the transaction's own connection, which sees what it wrote."""
        async with self.acquire_connection() as connection:
            return cast(Sequence[Row], await connection.fetch(statement.postgres, *arguments))

    def _in_transaction(self) -> TransactionContext:
        return NestedTransactionContext(CheckedTransaction(self))


class PostgresClient(Noticing, AsyncpgDBClient):
    """The pool, and beside it `plain_size_max` connections that only read, and `alone_size_max` for `write_alone`."""

    def __init__(
        self,
        *args: Any,
        acquire_timeout: float | None = None,
        plain_size_max: int = 0,
        alone_size_max: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self._acquire_within_s = acquire_timeout
        self._plain_size_max = plain_size_max
        self._plain: PlainConnections | None = None
        self._alone_size_max = alone_size_max
        self._alone: PlainConnections | None = None

    @property
    def read_only(self) -> ReadOnly | None:
        """How connections that are for reading alone answer; None where there are none."""
        if not self._plain_size_max:
            return None
        return (self._plain or self._open_plain()).fetch

    async def fetch_rows(self, statement: Statement, arguments: Sequence[Argument]) -> Sequence[Row]:
        if self._plain_size_max:
            plain = self._plain or self._open_plain()
            return await plain.fetch(statement.postgres, arguments)
        async with self.acquire_connection() as connection:
            return cast(Sequence[Row], await connection.fetch(statement.postgres, *arguments))

    @property
    def writing_alone(self) -> WriteAlone | None:
        """How connections that are for `write_alone` do it; None where there are none."""
        if not self._alone_size_max:
            return None
        return (self._alone or self._open_alone()).fetch

    async def write_alone(self, text: str, arguments: Sequence[Argument]) -> Sequence[Row]:
        """Run a statement that is a transaction by itself, and so leaves nothing behind that a reset would undo."""
        if self._alone_size_max:
            alone = self._alone or self._open_alone()
            return await alone.fetch(text, arguments)
        async with self.acquire_connection() as connection:
            return cast(Sequence[Row], await connection.fetch(text, *arguments))

    def _open_plain(self) -> PlainConnections:
        settings = {
            **self.server_settings,
            # A statement that is not one for reading is refused by the server.
            "default_transaction_read_only": "on",
            # What is read here is sought by indexes whatever is asked for. Where a list makes the plan for any values
            # look dearer, the server would plan each time, which takes longer than the statement.
            "plan_cache_mode": "force_generic_plan",
        }
        self._plain = PlainConnections(
            partial(self._connect_plain, settings),
            size_max=self._plain_size_max,
            acquire_within_s=self._acquire_within_s,
        )
        return self._plain

    def _open_alone(self) -> PlainConnections:
        self._alone = PlainConnections(
            partial(self._connect_plain, self.server_settings),
            size_max=self._alone_size_max,
            acquire_within_s=self._acquire_within_s,
        )
        return self._alone

    async def _connect_plain(self, settings: Mapping[str, str]) -> asyncpg.Connection:
        return await asyncpg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=self.database,
            server_settings=dict(settings),
            **self.extra,
        )

    async def _close(self) -> None:
        both, self._plain, self._alone = (self._plain, self._alone), None, None
        for each in both:
            if each is not None:
                await each.close()
        await super()._close()

    async def take(self) -> Any:
        """Return a connection of the pool. Raises TimeoutError where none is free or can be made in time."""
        assert self._pool is not None
        return await self._pool.acquire(timeout=self._acquire_within_s)

    async def give_back(self, connection: Any, error: BaseException | None) -> None:
        """Return a connection to the pool, or end it where the error says that it does not answer any more.

        Never raises for the connection's sake: what was done on it is done, and the pool makes another one.
        """
        if self._pool is None:
            return
        try:
            if isinstance(error, TimeoutError):
                log.warning("database.connection_given_up")
                connection.terminate()
            await self._pool.release(connection, timeout=RELEASE_WITHIN_S)
        except NOT_RESET as reason:
            log.warning("database.connection_not_reset", error=type(reason).__name__)

    def acquire_connection(self) -> ConnectionWrapper[Any] | PoolConnectionWrapper[Any]:
        return GivenBackConnection(self, self._pool_init_lock)

    def _in_transaction(self) -> TransactionContext:
        return GivenBackTransaction(CheckedTransaction(self), self._pool_init_lock)


class GivenBackConnection(PoolConnectionWrapper[Any]):
    """A connection for one statement."""

    client: PostgresClient

    async def __aenter__(self) -> Any:
        await self.ensure_connection()
        self.connection = await self.client.take()
        return self.connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.client.give_back(self.connection, error)


class GivenBackTransaction(TransactionContextPooled):
    """A transaction whose connection goes back even where it does not begin or does not end."""

    async def __aenter__(self) -> TransactionalDBClient:
        await self.ensure_connection()
        self.client._connection = await self._parent.take()
        try:
            await self.client.begin()
        except BaseException as error:
            await self._parent.give_back(self.client._connection, error)
            raise
        self.token = get_connections().set(self.connection_name, self.client)
        return self.client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        get_connections().reset(self.token)
        try:
            if not isinstance(error, TimeoutError):
                await self._end(error)
        except BaseException as unended:
            error = unended
            raise
        finally:
            await self._parent.give_back(self.client._connection, error)

    async def _end(self, error: BaseException | None) -> None:
        if self.client._finalized:
            return
        if error is None:
            await self.client.commit()
        elif not isinstance(error, TransactionManagementError):
            # Where the connection is gone, so is the transaction, and the error that says so is the one to raise.
            with suppress(asyncpg.InterfaceError):
                await self.client.rollback()

    @property
    def _parent(self) -> PostgresClient:
        return cast(PostgresClient, self.client._parent)


client_class = PostgresClient
