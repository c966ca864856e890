"""Filling a database with history: inside the database, several tables at a time, with the indexes built at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from bench.filling import filling, loading_connection
from bench.growth import statements
from bench.growth.history import History
from bench.growth.road import SEALER
from bench.growth.statements import Group
from kernel.states import CardBrand
from models import partitions
from models.database import connected, transactional
from models.partitions import Month

CONNECTIONS = 2
BUFFERS = {"vacuum_buffer_usage_limit": "64MB"}
CARD_COLUMNS = ("id", "user_id", "brand", "number_sealed", "number_digest", "number_tail", "created_at")


async def load(url: str, history: History, progress: Callable[[str], None]) -> None:
    """Fill the tables at the address with the history, and let the database look at what it holds."""
    async with connected(url):
        prepare = transactional(partitions.prepare)
        await prepare(now=history.begins_at, months_ahead=_months(history))
    async with loading_connection(url, **BUFFERS) as connection:
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
    async with loading_connection(url, **BUFFERS) as connection:
        for group in statements.LAST:
            await _fill(connection, group, history)
        await connection.execute(statements.FORGET_FACTS)
        await connection.execute("VACUUM (ANALYZE)")


def _months(history: History) -> int:
    first, last = Month.of(history.begins_at), Month.of(history.ends_at)
    return (last.year - first.year) * partitions.MONTHS_PER_YEAR + last.number - first.number


async def _fill_all(url: str, groups: asyncio.Queue[Group], history: History, progress: Callable[[str], None]) -> None:
    async with loading_connection(url, **BUFFERS) as connection:
        while not groups.empty():
            group = groups.get_nowait()
            progress(f"{history.orders:,} orders: filling {', '.join(group.tables)}")
            await _fill(connection, group, history)


async def _fill(connection: asyncpg.Connection, group: Group, history: History) -> None:
    async with filling(connection, group.tables, cascade=group in statements.FIRST):
        for statement in group.statements:
            await connection.execute(history.sql(statement))


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
