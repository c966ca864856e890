"""Reads that are asked often: statements as they are sent, and rows as the driver makes them, without the ORM between.

A statement is written once for each engine. What it is given are UUIDs, moments, numbers, texts, and lists of these;
each engine's side turns them into what its tables hold. Outside a transaction PostgreSQL answers on connections that
are for this alone (see `models.engines.plain`), and inside one on the transaction's own, so that what it wrote is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, cast
from uuid import UUID

from tortoise import Tortoise

from models import changes

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


async def fetch(statement: Statement, *arguments: Argument) -> Sequence[Row]:
    """Return the statement's rows. A caller that is cancelled leaves the connection fit for the next one.

    Raises TimeoutError, OSError, and the driver's own errors.
    """
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
