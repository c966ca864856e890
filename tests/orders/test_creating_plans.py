"""How PostgreSQL executes the statements that make an order."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from tortoise import Tortoise

from domain.orders import creation_facts, writing
from models.database import connected
from tests.factories import create_card, create_viewer

# A text is a list as JSON, unless it is anything.
SAMPLES = {"uuid": UUID(int=1), "text": "[]", "timestamptz": "2026-01-01"}


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
        plan = await plan_of(statement)
        assert "Seq Scan on user_account" not in plan, plan


async def test_the_unpaid_orders_of_others_are_not_read(postgres: None) -> None:
    """Where the planner has seen no unpaid order, it takes an index of all of them for the shortest way."""
    connection = Tortoise.get_connection("default")
    card = await create_card(await create_viewer())
    await connection.execute_query(
        "WITH payer AS ("
        "    INSERT INTO user_account (id, openid, display_name, created_at)"
        "    SELECT gen_random_uuid(), 'o' || number, '', now() FROM generate_series(1, 2000) number RETURNING id"
        ") INSERT INTO recharge_order (id, user_id, card_id, amount_fen, price_fen, state, failure_kind, version, "
        "    refund_state, review_state, pay_deadline_at, created_at, updated_at) "
        "SELECT gen_random_uuid(), payer.id, $1, 1, 1, CASE number WHEN 1 THEN 'FAILED' ELSE 'SUCCEEDED' END, "
        "    CASE number WHEN 1 THEN 'UNPAID' END, 1, 'NONE', 'NONE', now(), now(), now() "
        "FROM payer, generate_series(1, 10) number",
        [card.id],
    )
    await connection.execute_query("ANALYZE recharge_order")
    for statement in (creation_facts.READ_ONE.postgres, creation_facts.READ.postgres):
        plan = await plan_of(statement)
        assert "order_by_state" not in plan, plan
        # Nor is the whole history of whoever asks.
        assert re.search(r"Index Cond: .*user_id = .*AND .*state.* = ", plan), plan


async def plan_of(statement: str) -> str:
    explaining = re.sub(r"\$\d::(\w+)", lambda found: f"'{SAMPLES[found[1]]}'::{found[1]}", statement)
    rows = await Tortoise.get_connection("default").execute_query_dict(f"EXPLAIN {explaining}")
    return "\n".join(row["QUERY PLAN"] for row in rows)
