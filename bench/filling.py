"""Filling tables of PostgreSQL with many rows: nothing is logged, no trigger looks, indexes are built at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

LOADING = {
    # The rows are made by us and not by the code that the triggers and the foreign keys watch.
    "session_replication_role": "replica",
    "work_mem": "512MB",
    "maintenance_work_mem": "1GB",
}
# The table, or the months that it consists of.
LEAVES = """
SELECT leaf.relid::regclass::text AS name FROM unnest($1::text[]) AS given
CROSS JOIN LATERAL pg_partition_tree(given::regclass) AS leaf WHERE leaf.isleaf
"""
# Rows pass such an index by, and REINDEX, which sorts them once, makes it ready again.
NOT_READY = "UPDATE pg_index SET indisready = false WHERE indrelid = ANY($1::text[]::regclass[])"


@asynccontextmanager
async def loading_connection(url: str, **settings: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, server_settings={**LOADING, **settings})
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def filling(
    connection: asyncpg.Connection, tables: Sequence[str], *, cascade: bool = False
) -> AsyncIterator[None]:
    """Empty the tables and take what is written within; their pages say afterwards that everybody sees their rows.

    What is written into a table by the transaction that emptied it is not logged, since that would be in vain.
    """
    leaves = [row["name"] for row in await connection.fetch(LEAVES, list(tables))]
    async with connection.transaction():
        await connection.execute(f"TRUNCATE {', '.join(tables)} {'CASCADE' if cascade else ''}")
        await connection.execute(NOT_READY, leaves)
        yield
        for leaf in leaves:
            await connection.execute(f"REINDEX TABLE {leaf}")
    await connection.execute(f"VACUUM (ANALYZE) {', '.join(leaves)}")
