"""Reads that are asked often: statements as they are sent, and rows as the driver makes them, without the ORM between.

A statement is written once for each engine. What it is given are UUIDs, moments, numbers, texts, and lists of these;
each engine's side turns them into what its tables hold. Outside a transaction PostgreSQL answers on connections that
are for this alone (see `models.engines.plain`), and inside one on the transaction's own, so that what it wrote is seen.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, cast
from uuid import UUID

from tortoise import Tortoise

from kernel.tasks import inside_transaction
from models import changes
from models.reading import Way

Value = UUID | datetime | str | int | float | bytes | None
Argument = Value | Sequence[UUID] | Sequence[str] | Sequence[int]


class Row(Protocol):
    """A row of asyncpg or of sqlite3: its columns by name and by position."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """A reading statement in both dialects, which have to give the same rows in the same order.

    Arguments are `$1`, `$2`, … on PostgreSQL and `?1`, `?2`, … on SQLite, where a list is a text for `json_each`.
    """

    postgres: str
    sqlite: str


class Reading(Protocol):
    """What either engine's client, and either one's transaction, do for a read."""

    async def fetch_rows(self, statement: Statement, arguments: Sequence[Argument]) -> Sequence[Row]: ...


def fetch(statement: Statement, *arguments: Argument) -> Coroutine[Any, Any, Sequence[Row]]:
    """Return the statement's rows, once awaited. A caller that is cancelled leaves the connection fit for the next one.

    Raises TimeoutError, OSError, and the driver's own errors.
    """
    read_only = Way.read_only
    if read_only is not None and not inside_transaction.get():
        return read_only(statement.postgres, arguments)
    return _fetch_by_client(statement, arguments)


def in_one_statement() -> bool:
    """Say whether a read may be a statement that only PostgreSQL understands, on connections that only read."""
    return Way.read_only is not None and not inside_transaction.get()


async def _fetch_by_client(statement: Statement, arguments: Sequence[Argument]) -> Sequence[Row]:
    client = cast(Reading, Tortoise.get_connection("default"))
    try:
        return await client.fetch_rows(statement, arguments)
    finally:
        changes.written(statement.postgres)


def read_uuid(value: Any) -> UUID:
    """Return an id of a row, which SQLite keeps as text."""
    return value if isinstance(value, UUID) else UUID(value)


def read_moment(value: Any) -> datetime:
    """Return a moment of a row, which SQLite keeps as text in UTC."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
