"""Transactions of a single statement: it writes all that belongs together, and the database commits it by itself.

That spares the round trips of BEGIN and COMMIT, and the ORM between. Only PostgreSQL has statements that write several
tables; SQLite, and whoever has to do more than one statement says, take `models.database.transactional`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

import asyncpg
from tortoise import Tortoise
from tortoise.models import Model

from kernel.tasks import inside_transaction
from models import changes
from models.database import dialect, is_guarded
from models.lean import Argument, Row
from models.reading import Way

M = TypeVar("M", bound=Model)


class WritingAlone(Protocol):
    """What PostgreSQL's client does for a statement that is a transaction by itself."""

    async def write_alone(self, text: str, arguments: Sequence[Argument]) -> Sequence[Row]: ...


class NotWritten(RuntimeError):
    """The database refused the statement, or went away meanwhile; whoever tries again looks first what there is."""


def may_write_alone() -> bool:
    """Say whether a statement could be a transaction here: none is under way, and no guard has to be in it."""
    possible = Way.write_alone is not None or dialect() == "postgres"
    return possible and not inside_transaction.get() and not is_guarded()


async def write_alone(statement: str, *arguments: Argument) -> Sequence[Row]:
    """Run the statement as a transaction of its own, once, and return its rows when it has committed.

    Whoever is cancelled meanwhile does not know which became of it, so callers are tasks that nobody cancels. Raises
    NotWritten, TimeoutError and OSError.
    """
    try:
        if Way.write_alone is not None:
            return await Way.write_alone(statement, arguments)
        client = cast(WritingAlone, Tortoise.get_connection("default"))
        return await client.write_alone(statement, arguments)
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise NotWritten(type(error).__name__) from error
    finally:
        # A lost answer tells nothing.
        changes.written(statement)


def row_of(model: type[M], values: Mapping[str, Any]) -> M:
    """Return the object of a row that was just written with these values, which are all of the model's columns."""
    row = model.__new__(model)
    row.__dict__.update(values, _partial=False, _saved_in_db=True, _custom_generated_pk=True, _await_when_save={})
    return row
