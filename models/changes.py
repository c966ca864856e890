"""What this process has changed in the database, told at the commit to whoever keeps something that was read there.

The engines look at every statement that writes, so that no change goes unheard because somebody forgot to tell of it.
Whose rows they are a statement does not say. Where nobody else does, by `of_users`, they may be anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

from kernel.tasks import inside_transaction
from models.database import after_commit

# Texts of statements differ in their shape alone, since values travel beside them.
STATEMENTS_KEPT_MAX = 4_096
WRITES = re.compile(r"\b(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?\"?(\w+)", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class Changes:
    """What was written: for each table the users whose rows they are, or None where they may be anybody's."""

    tables: dict[str, set[UUID] | None] = field(default_factory=dict)
    told: bool = False

    def add(self, table: str, users: Collection[UUID] | None) -> None:
        known = self.tables.setdefault(table, set())
        if users is None:
            self.tables[table] = None
        elif known is not None:
            known.update(users)

    def tell(self) -> None:
        self.told = True
        for listener in tuple(_listeners):
            listener(self)


Listener: TypeAlias = Callable[[Changes], None]

_listeners: list[Listener] = []
_collected: ContextVar[Changes | None] = ContextVar("changes", default=None)
_users: ContextVar[Collection[UUID] | None] = ContextVar("users", default=None)
_known: dict[str, tuple[str, ...]] = {}


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call the listener after each commit, and after each statement outside a transaction; it must not wait."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def of_users(*user_ids: UUID) -> Iterator[None]:
    """Say whose rows the statements inside write; nobody's where what they change is shown to nobody.

    Keep it to the statements that are meant: a row of somebody else that is written inside goes unheard.
    """
    token = _users.set(user_ids)
    try:
        yield
    finally:
        _users.reset(token)


def written(statement: str) -> None:
    """Take note of a statement that was executed. In a transaction it is told of at the commit."""
    tables = _known.get(statement)
    if tables is None:
        tables = _tables_of(statement)
    if not tables or not _listeners:
        return
    users = _users.get()
    if not inside_transaction.get():
        Changes(dict.fromkeys(tables, None if users is None else set(users))).tell()
        return
    changes = _collected.get()
    if changes is None or changes.told:
        changes = Changes()
        _collected.set(changes)
        after_commit(changes.tell)
    for table in tables:
        changes.add(table, users)


def _tables_of(statement: str) -> tuple[str, ...]:
    if len(_known) >= STATEMENTS_KEPT_MAX:
        _known.clear()
    found = _known[statement] = tuple(dict.fromkeys(name.lower() for name in WRITES.findall(statement)))
    return found
