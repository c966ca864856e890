"""The short ways to the database outside transactions, where it has them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

# Returns the rows of a statement, by its text and its arguments; what would write is refused by the server.
ReadOnly: TypeAlias = Callable[[str, Sequence[Any]], Coroutine[Any, Any, Sequence[Any]]]
# Does the same with a statement that writes, and that is a transaction by itself.
WriteAlone: TypeAlias = ReadOnly


class Way:
    """The ways that the open database has; a process has one database open."""

    read_only: ReadOnly | None = None
    write_alone: WriteAlone | None = None


@contextmanager
def by(read_only: ReadOnly | None, write_alone: WriteAlone | None) -> Iterator[None]:
    """Let statements go these ways, which spares them the look for the ORM's connection."""
    before = Way.read_only, Way.write_alone
    Way.read_only, Way.write_alone = read_only, write_alone
    try:
        yield
    finally:
        Way.read_only, Way.write_alone = before
