"""The months of the ledger: PostgreSQL keeps entries in one partition for each month in Asia/Shanghai.

A month is the accounting month, because that is what is closed, moved to an archive and asked for, so its bounds are
midnights in Shanghai and not in UTC. A partition stands ready before its month begins. Where none does, the entry goes
into the rest partition and nothing is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tortoise import Tortoise

from kernel.clock import SHANGHAI
from kernel.tasks import inside_transaction

TABLE = "ledger_entry"
REST = "ledger_entry_rest"
STRAY = "ledger_entry_stray"
MONTHS_PER_YEAR = 12
# Only so that two workers do not prepare the same months: the number means nothing.
LOCK_KEY = 6_051_958_114
# A posting that waits behind us waits at most so long; who cannot get the lock comes again later.
LOCK_TIMEOUT_MS = 2_000

EXISTING = """
SELECT c.relname AS found FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'ledger_entry'::regclass
"""
MONTHS_IN_REST = """
SELECT DISTINCT to_char(occurred_at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM') AS found FROM ledger_entry_rest
"""
COLUMNS = """
SELECT string_agg(attname, ', ' ORDER BY attnum) AS found FROM pg_attribute
WHERE attrelid = 'ledger_entry'::regclass AND attnum > 0 AND NOT attisdropped
"""


class PreparedOutsideTransaction(RuntimeError):
    """Half of the work would leave entries outside of the ledger."""


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month in Asia/Shanghai."""

    year: int
    number: int

    @classmethod
    def of(cls, moment: datetime) -> Month:
        local = moment.astimezone(SHANGHAI)
        return cls(local.year, local.month)

    @classmethod
    def from_text(cls, text: str) -> Month:
        year, number = text.split("-")
        return cls(int(year), int(number))

    def plus(self, months: int) -> Month:
        years, number = divmod(self.year * MONTHS_PER_YEAR + self.number - 1 + months, MONTHS_PER_YEAR)
        return Month(years, number + 1)

    @property
    def begins_at(self) -> datetime:
        return datetime(self.year, self.number, 1, tzinfo=SHANGHAI).astimezone(UTC)

    @property
    def partition(self) -> str:
        return f"{TABLE}_y{self.year:04d}m{self.number:02d}"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was done: the partitions that are new, and how many entries went from the rest into their month."""

    created: tuple[str, ...]
    moved_count: int


async def prepare(*, now: datetime, months_ahead: int) -> Prepared:
    """Make the partitions of this month and of so many to come, and empty the rest partition into its months.

    Call it inside a transaction. Doing it again, or at the same time in another process, changes nothing. While it
    works postings wait, for a few milliseconds where the rest is empty, as it should be. Raises asyncpg's
    LockNotAvailableError where a long reader or writer of the ledger does not make way. Does nothing on SQLite.
    """
    if not inside_transaction.get():
        raise PreparedOutsideTransaction
    if Tortoise.get_connection("default").capabilities.dialect != "postgres":
        return Prepared((), 0)
    await _execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
    await _execute(f"SELECT pg_advisory_xact_lock({LOCK_KEY})")
    stray = [Month.from_text(text) for text in await _found(MONTHS_IN_REST)]
    there = set(await _found(EXISTING))
    wanted = {*stray, *(Month.of(now).plus(ahead) for ahead in range(months_ahead + 1))}
    missing = sorted(month for month in wanted if month.partition not in there)
    if not missing:
        return Prepared((), 0)
    await _lock_as_postings_do()
    if stray:
        moved_count = await _create_from_rest(missing)
    else:
        await _create(missing)
        moved_count = 0
    return Prepared(tuple(month.partition for month in missing), moved_count)


async def missing(*, now: datetime, months_ahead: int) -> list[str]:
    """Return the partitions of this month and of so many to come that are not there. Only for PostgreSQL."""
    there = set(await _found(EXISTING))
    wanted = (Month.of(now).plus(ahead).partition for ahead in range(months_ahead + 1))
    return [each for each in wanted if each not in there]


async def _lock_as_postings_do() -> None:
    """Take the tables in the order in which a posting takes them, so that neither waits for the other in a circle."""
    await _execute("LOCK TABLE ledger_transaction IN SHARE ROW EXCLUSIVE MODE")
    await _execute("LOCK TABLE ledger_account IN SHARE ROW EXCLUSIVE MODE")
    await _execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")


async def _create(months: Iterable[Month]) -> None:
    for month in months:
        first, last = month.begins_at.isoformat(), month.plus(1).begins_at.isoformat()
        await _execute(f"CREATE TABLE {month.partition} PARTITION OF {TABLE} FOR VALUES FROM ('{first}') TO ('{last}')")
        await _refuse_truncate(month.partition)


async def _create_from_rest(months: Iterable[Month]) -> int:
    """Make partitions whose entries lie in the rest already, and return how many those were.

    Entries are never deleted. The rest is taken out of the ledger as it is, its entries are written into the ledger
    again, where they find their months, and the shell is dropped: all of it or nothing is committed.
    """
    await _execute(f"ALTER TABLE {TABLE} DETACH PARTITION {REST}")
    await _execute(f"ALTER TABLE {REST} RENAME TO {STRAY}")
    await _execute(f"DROP TRIGGER {REST}_no_truncate ON {STRAY}")
    await _execute(f"CREATE TABLE {REST} PARTITION OF {TABLE} DEFAULT")
    await _refuse_truncate(REST)
    await _create(months)
    (columns,) = await _found(COLUMNS)
    # Names of columns come from the catalogue, and that of the table from above.
    writing = f"INSERT INTO {TABLE} ({columns}) SELECT {columns} FROM {STRAY} RETURNING 1"  # noqa: S608
    (moved_count,) = await _found(f"WITH moved AS ({writing}) SELECT COUNT(*) AS found FROM moved")  # noqa: S608
    (stray_count,) = await _found(f"SELECT COUNT(*) AS found FROM {STRAY}")  # noqa: S608
    if moved_count != stray_count:
        raise AssertionError(f"{stray_count} entries lay in the rest, and {moved_count} were written again")
    await _execute(f"DROP TABLE {STRAY}")
    return int(moved_count)


async def _refuse_truncate(partition: str) -> None:
    """TRUNCATE fires the triggers of the table that it names only, so each partition has its own."""
    await _execute(
        f"CREATE TRIGGER {partition}_no_truncate BEFORE TRUNCATE ON {partition} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


async def _execute(statement: str) -> None:
    await Tortoise.get_connection("default").execute_query(statement)


async def _found(statement: str) -> list[Any]:
    return [row["found"] for row in await Tortoise.get_connection("default").execute_query_dict(statement)]
