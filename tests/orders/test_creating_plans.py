"""How PostgreSQL executes the statements that make an order."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tortoise import Tortoise

from domain.orders import creation_facts, writing
from models.database import connected


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[None]:
    async with connected(postgres_url):
        yield


async def test_no_statement_reads_a_whole_table(postgres: None) -> None:
    """PostgreSQL is asked for the plan that it keeps, where there are many users."""
    connection = Tortoise.get_connection("default")
    await connection.execute_query(
        "INSERT INTO user_account (id, openid, display_name, created_at) "
        "SELECT gen_random_uuid(), 'o' || number, '', now() FROM generate_series(1, 10000) number"
    )
    await connection.execute_query("ANALYZE user_account")
    statements = (
        creation_facts.READ_ONE.postgres,
        creation_facts.READ.postgres,
        writing.WRITE_ONE_POSTGRES,
        writing.WRITE_POSTGRES,
    )
    for statement in statements:
        explaining = statement.replace("$1", "'[]'")
        rows = await connection.execute_query_dict(f"EXPLAIN {explaining}")
        plan = "\n".join(row["QUERY PLAN"] for row in rows)
        assert "Seq Scan on user_account" not in plan, plan
