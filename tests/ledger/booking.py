"""Postings that tests start from, and a way to cook the books."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tortoise import Tortoise

from domain.ledger import postings
from domain.ledger.operations import post
from domain.ledger.postings import Posting, Whose
from kernel.clock import utc_now
from kernel.ids import new_id
from models.database import dialect, transactional

CLEARING = postings.channel_clearing("wechat_pay", "1900000209")
TABLES = ("ledger_account", "ledger_transaction", "ledger_entry", "finance_journal")


@transactional
async def book(*together: Posting, now: datetime | None = None) -> None:
    await post(*together, now=now or utc_now())


def somebodys(user_id: UUID | None = None) -> Whose:
    """A new order of a new user, or of this one."""
    return Whose(new_id(), user_id or new_id())


def user_in(shard: int) -> UUID:
    """A new user whose money lies in the shard."""
    return UUID(int=new_id().int & ~0xF | shard)


def pay(whose: Whose, amount_fen: int = 100, *, attempt: int = 1) -> Posting:
    return postings.paid(whose, attempt=attempt, source=CLEARING, amount_fen=amount_fen)


def top_up(user_id: UUID, amount_fen: int) -> Posting:
    return postings.topped_up(top_up_id=new_id(), user_id=user_id, clearing=CLEARING, amount_fen=amount_fen)


async def run_sql(statement: str) -> None:
    await Tortoise.get_connection("default").execute_query(statement)


async def select(statement: str) -> list[dict[str, object]]:
    return [dict(row) for row in await Tortoise.get_connection("default").execute_query_dict(statement)]


async def lift_guards(*tables: str) -> None:
    """Take from the database what keeps the books true, as somebody who owns it could, so that only the audit is left.

    Without names it is the books that are meant. What makes a row whole, such as NOT NULL, stays.
    """
    tables = tables or TABLES
    if dialect() == "postgres":
        # Constraints of partitions go with those of their table.
        constraints = await select(
            "SELECT conrelid::regclass::text AS name, conname FROM pg_constraint "
            "WHERE contype IN ('c', 'f') AND conparentid = 0 AND coninhcount = 0"
        )
        for constraint in constraints:
            if constraint["name"] in tables:
                await run_sql(f'ALTER TABLE {constraint["name"]} DROP CONSTRAINT "{constraint["conname"]}"')
        for table in tables:
            await run_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    else:
        for trigger in await select("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"):
            if trigger["tbl_name"] in tables:
                await run_sql(f'DROP TRIGGER "{trigger["name"]}"')
        await run_sql("PRAGMA foreign_keys = OFF")
