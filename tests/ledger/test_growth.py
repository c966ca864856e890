"""What a posting reads stays as little as it is, however many accounts there are."""

from __future__ import annotations

from tortoise import Tortoise

from domain.ledger.operations import post
from domain.ledger.postings import Posting
from kernel.clock import utc_now
from kernel.settings import get_settings
from models.database import connected, patient, transactional
from tests.ledger.booking import pay, somebodys

# A plan that does for every value is made after five that were made for their own.
POSTINGS = 8
WALLETS = """
INSERT INTO ledger_account (id, code, shard, balance_fen, version, created_at)
SELECT id, 'customer_prepaid:' || id, get_byte(uuid_send(id), 15) & 15, 0, 0, now()
FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 8000)) AS wallet
"""
READ_WHOLE = "SELECT seq_tup_read AS rows FROM pg_stat_xact_user_tables WHERE relname = 'ledger_account'"


@transactional
async def accounts_read_by(posting: Posting) -> int:
    """Post, and return how many accounts that has read by reading the whole table."""
    before = await accounts_read()
    await post(posting, now=utc_now())
    return await accounts_read() - before


async def accounts_read() -> int:
    (found,) = await Tortoise.get_connection("default").execute_query_dict(READ_WHOLE)
    return int(found["rows"])


async def test_a_posting_looks_up_its_accounts_and_reads_no_others(postgres_url: str) -> None:
    async with connected(postgres_url, patient(get_settings())):
        database = Tortoise.get_connection("default")
        await database.execute_script(f"{WALLETS}; ANALYZE ledger_account")
        assert [await accounts_read_by(pay(somebodys())) for _ in range(POSTINGS)] == [0] * POSTINGS
