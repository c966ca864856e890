"""Filling a database with history: inside the database, several tables at a time, with the indexes built at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from bench.growth import statements
from bench.growth.history import History
from bench.growth.road import SEALER
from bench.growth.statements import Group
from kernel.states import CardBrand
from models import partitions
from models.database import connected, transactional
from models.partitions import Month

CONNECTIONS = 2
LOADING = {
    # The history is made by us and not by the code that the triggers and the foreign keys watch; the audit looks at it.
    "session_replication_role": "replica",
    "work_mem": "512MB",
    "maintenance_work_mem": "1GB",
    "vacuum_buffer_usage_limit": "64MB",
}
# The table, or the months that it consists of.
LEAVES = """
SELECT leaf.relid::regclass::text AS name FROM unnest($1::text[]) AS given
CROSS JOIN LATERAL pg_partition_tree(given::regclass) AS leaf WHERE leaf.isleaf
"""
# Rows pass such an index by, and REINDEX, which sorts them once, makes it ready again.
NOT_READY = "UPDATE pg_index SET indisready = false WHERE indrelid = ANY($1::text[]::regclass[])"
CARD_COLUMNS = ("id", "user_id", "brand", "number_sealed", "number_digest", "number_tail", "created_at")


async def load(url: str, history: History, progress: Callable[[str], None]) -> None:
    """Fill the tables at the address with the history, and let the database look at what it holds."""
    async with connected(url):
        prepare = transactional(partitions.prepare)
        await prepare(now=history.begins_at, months_ahead=_months(history))
    async with _connection(url) as connection:
        for fact in statements.FACTS:
            await connection.execute(history.sql(fact))
            await connection.execute("ANALYZE")
        for group in statements.FIRST:
            await _fill(connection, group, history)
        await _bind_cards(connection, history)
    groups = asyncio.Queue[Group]()
    for group in statements.THEN:
        groups.put_nowait(group)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(_fill_all(url, groups, history, progress))
    async with _connection(url) as connection:
        for group in statements.LAST:
            await _fill(connection, group, history)
        await connection.execute(statements.FORGET_FACTS)
        await connection.execute("VACUUM (ANALYZE)")


def _months(history: History) -> int:
    first, last = Month.of(history.begins_at), Month.of(history.ends_at)
    return (last.year - first.year) * partitions.MONTHS_PER_YEAR + last.number - first.number


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, server_settings=LOADING)
    try:
        yield connection
    finally:
        await connection.close()


async def _fill_all(url: str, groups: asyncio.Queue[Group], history: History, progress: Callable[[str], None]) -> None:
    async with _connection(url) as connection:
        while not groups.empty():
            group = groups.get_nowait()
            progress(f"{history.orders:,} orders: filling {', '.join(group.tables)}")
            await _fill(connection, group, history)


async def _fill(connection: asyncpg.Connection, group: Group, history: History) -> None:
    """Fill the tables of a group, and let their pages say that everybody sees their rows.

    What is written into a table by the transaction that emptied it is not logged, since that would be in vain.
    """
    leaves = [row["name"] for row in await connection.fetch(LEAVES, list(group.tables))]
    async with connection.transaction():
        cascade = "CASCADE" if group in statements.FIRST else ""
        await connection.execute(f"TRUNCATE {', '.join(group.tables)} {cascade}")
        await connection.execute(NOT_READY, leaves)
        for statement in group.statements:
            await connection.execute(history.sql(statement))
        for leaf in leaves:
            await connection.execute(f"REINDEX TABLE {leaf}")
    await connection.execute(f"VACUUM (ANALYZE) {', '.join(leaves)}")


async def _bind_cards(connection: asyncpg.Connection, history: History) -> None:
    """Give each customer a card, whose number is sealed as the service seals it."""
    rows = await connection.fetch("SELECT number, user_id, card_id FROM growth_customer ORDER BY number")
    await connection.copy_records_to_table("fuel_card", records=_cards(rows, history), columns=CARD_COLUMNS)


def _cards(rows: Sequence[Any], history: History) -> list[tuple[object, ...]]:
    return [
        (
            row["card_id"],
            row["user_id"],
            CardBrand.SINOPEC.value,
            SEALER.seal(digits, owner=str(row["card_id"])),
            SEALER.digest(digits),
            digits[-4:],
            history.begins_at,
        )
        for row in rows
        for digits in (f"100011{row['number']:013d}",)
    ]
