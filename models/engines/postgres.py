"""PostgreSQL through asyncpg's pool, which gets every connection back."""

from __future__ import annotations

from asyncpg import IntegrityConstraintViolationError
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import TransactionalDBClient, TransactionContext, TransactionContextPooled
from tortoise.connection import get_connections
from tortoise.exceptions import IntegrityError


class ReleasingTransactionContext(TransactionContextPooled):
    """The ORM's own keeps the connection where the transaction does not begin, until the pool has none left."""

    async def __aenter__(self) -> TransactionalDBClient:
        await self.ensure_connection()
        pool = self.client._parent._pool
        self.client._connection = await pool.acquire()
        try:
            await self.client.begin()
        except BaseException:
            await pool.release(self.client._connection)
            raise
        self.token = get_connections().set(self.connection_name, self.client)
        return self.client


class CheckedTransaction(TransactionWrapper):
    async def commit(self) -> None:
        """Commit. Raises IntegrityError where a deferred check of the database refuses it."""
        try:
            await super().commit()
        except IntegrityConstraintViolationError as error:
            raise IntegrityError(error) from error


class PostgresClient(AsyncpgDBClient):
    def _in_transaction(self) -> TransactionContext:
        return ReleasingTransactionContext(CheckedTransaction(self), self._pool_init_lock)


client_class = PostgresClient
