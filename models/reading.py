"""The short way to the database for reads outside transactions, where it has one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

# Returns the rows of a statement, by its text and its arguments; what would write is refused by the server.
ReadOnly: TypeAlias = Callable[[str, Sequence[Any]], Coroutine[Any, Any, Sequence[Any]]]


class Way:
    """The way that the open database has; a process has one database open."""

    read_only: ReadOnly | None = None


@contextmanager
def by(read_only: ReadOnly | None) -> Iterator[None]:
    """Let reads go this way, which spares them the look for the ORM's connection."""
    before, Way.read_only = Way.read_only, read_only
    try:
        yield
    finally:
        Way.read_only = before
