"""Gathering records into transactions, and noticing records that contradict an earlier one of the same file."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from domain.pricing.records import UNCHANGED, Change, Outcome
from jobs.import_reader import Malformed, Record, RecordReader
from jobs.import_report import Report, progress

RECORDS_PER_TRANSACTION_MAX = 500

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """A record that is ready to be written. `key` names what it describes, `where` its place in the file."""

    key: tuple[str, ...]
    where: str
    value: T


class Seen:
    """Remembers what a file said of each key, on disk where it does not fit into a small cache."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute("CREATE TABLE seen (key BLOB PRIMARY KEY, content BLOB, place TEXT) WITHOUT ROWID")

    def contradicted(self, item: Item[T]) -> str:
        """Return where the file said something else of the same key, or nothing; then this is what it said."""
        key, content = _digest(item.key), _digest((repr(item.value),))
        found = self._database.execute("SELECT content, place FROM seen WHERE key = ?", (key,)).fetchone()
        if found is None:
            self._database.execute("INSERT INTO seen VALUES (?, ?, ?)", (key, content, item.where))
            return ""
        return "" if found[0] == content else str(found[1])


@contextmanager
def seen() -> Iterator[Seen]:
    # An empty name is a database of its own that lives in memory and spills into a temporary file.
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        yield Seen(database)


def _digest(parts: Sequence[str]) -> bytes:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).digest()


class Batch(Generic[T]):
    """Writes items in batches, each item once: a repetition is unchanged, a contradiction is refused."""

    def __init__(
        self, kind: str, *, write: Callable[[list[T]], Awaitable[list[Outcome]]], seen: Seen, report: Report
    ) -> None:
        self.kind = kind
        self._write, self._seen, self._report = write, seen, report
        self._items: dict[tuple[str, ...], Item[T]] = {}
        self._repetitions: list[Item[T]] = []

    def add(self, item: Item[T]) -> None:
        earlier = self._seen.contradicted(item)
        if earlier:
            self._report.refuse(self.kind, item.where, f"contradicts {earlier}")
        elif item.key in self._items:
            self._repetitions.append(item)
        else:
            self._items[item.key] = item

    @property
    def full(self) -> bool:
        return len(self._items) + len(self._repetitions) >= RECORDS_PER_TRANSACTION_MAX

    async def flush(self) -> None:
        """Write what was gathered and report it."""
        items, repetitions = self._items, self._repetitions
        self._items, self._repetitions = {}, []
        written = await self._write([item.value for item in items.values()]) if items else []
        outcomes = dict(zip(items, written, strict=True))
        for key, outcome in outcomes.items():
            self._report.add(self.kind, items[key].where, outcome)
        for item in repetitions:
            first = outcomes[item.key]
            self._report.add(self.kind, item.where, first if first.change is Change.REFUSED else UNCHANGED)


async def load_all(reader: RecordReader, *, take: Callable[[Record], None], batches: Sequence[Batch[Any]]) -> None:
    """Hand every record to `take`, and write the batches in their order whenever one of them is full.

    Raises Malformed where the file stops being readable; what stands before that is written.
    """
    with progress(reader.path) as show:
        try:
            for record in reader:
                take(record)
                if any(batch.full for batch in batches):
                    await _flush(batches)
                    show(reader.read_bytes)
        except Malformed:
            await _flush(batches)
            raise
        await _flush(batches)


async def _flush(batches: Sequence[Batch[Any]]) -> None:
    for batch in batches:
        await batch.flush()
