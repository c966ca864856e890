"""What version 0.1.0 booked is still there, proven, after its database is brought to the newest schema."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from tortoise import Tortoise
from tortoise.context import TortoiseContext
from tortoise.migrations.api.migrate import migrate as migrate_with_config

from domain.finance import audit as finance_audit
from domain.finance import operations as finance
from domain.ledger import audit, postings
from domain.ledger.queries import balance, wallet_balances
from domain.ledger.shards import LEDGER_SHARDS
from jobs.finance import Projection
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.money import Money
from kernel.settings import Settings
from models.database import config, connected, migrate
from models.ledger import LedgerAccount, LedgerEntry, LedgerTransaction
from tests.conftest import execute, with_database
from tests.ledger.booking import CLEARING, book, pay, select, somebodys, top_up, user_in

BEFORE = "models.0004_lifecycle"
ORDERS = 40
ACCOUNTS = {CLEARING: new_id(), postings.TRANSIT: new_id(), postings.REFUNDS_PAYABLE: new_id()}


@pytest.fixture
def old_sqlite(tmp_path: Path) -> str:
    return f"sqlite://{tmp_path / 'old.db'}"


@pytest.fixture
def old_postgres(postgres_server: str) -> Iterator[str]:
    name = f"youka_old_{secrets.token_hex(6)}"
    execute(postgres_server, f"CREATE DATABASE {name}")
    yield with_database(postgres_server, name)
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


async def _insert(table: str, **values: object) -> None:
    columns, literals = ", ".join(values), ", ".join(f"'{value}'" for value in values.values())
    statement = f"INSERT INTO {table} ({columns}) VALUES ({literals})"  # noqa: S608 -- values of this test.
    await Tortoise.get_connection("default").execute_query(statement)


async def _order(number: int, moment: str) -> UUID:
    user_id, card_id, order_id = user_in(number % LEDGER_SHARDS), new_id(), new_id()
    await _insert("user_account", id=user_id, openid=f"o{number}", display_name="d", created_at=moment)
    card = {"number_sealed": "", "number_digest": "d", "number_tail": "0001", "created_at": moment}
    await _insert("fuel_card", id=card_id, user_id=user_id, brand="SINOPEC", **card)
    states = {"state": "RECHARGING", "refund_state": "NONE", "review_state": "NONE"}
    times = {"pay_deadline_at": moment, "created_at": moment, "updated_at": moment}
    amounts = {"amount_fen": 100, "price_fen": 100, "version": 1}
    await _insert("recharge_order", id=order_id, user_id=user_id, card_id=card_id, **amounts, **states, **times)
    return order_id


async def _fill(url: str) -> dict[str, int]:
    """Bring a database to the old schema and book orders in it, as 0.1.0 did; return the balances."""
    balances: Counter[str] = Counter()
    versions: Counter[str] = Counter()
    async with TortoiseContext():
        await migrate_with_config(config=config(url), target=BEFORE)
        booked = []
        for number in range(ORDERS):
            moment = f"2026-0{number % 6 + 1}-28 17:30:00.250000+00:00"
            order_id = await _order(number, moment)
            steps = [("paid:1", CLEARING, postings.TRANSIT), ("failed:1", postings.TRANSIT, postings.REFUNDS_PAYABLE)]
            for event, debited, credited in steps[: number % 2 + 1]:
                transaction = {"id": new_id(), "key": f"{order_id}:{event}", "order_id": order_id}
                await _insert("ledger_transaction", **transaction, occurred_at=moment)
                for code, fen in ((debited, 100 + number), (credited, -100 - number)):
                    balances[code] += fen
                    versions[code] += 1
                    booked.append((transaction["id"], code, fen, versions[code]))
        for code, account_id in ACCOUNTS.items():
            made = {"version": versions[code], "created_at": "2026-01-01 00:00:00+00:00"}
            await _insert("ledger_account", id=account_id, code=code, balance_fen=balances[code], **made)
        for transaction_id, code, fen, version in booked:
            places = {"transaction_id": transaction_id, "account_id": ACCOUNTS[code], "account_version": version}
            await _insert("ledger_entry", id=new_id(), amount_fen=fen, **places)
        await Tortoise.close_connections()
    return dict(balances)


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_old_books_are_kept(request: pytest.FixtureRequest, engine: str) -> None:
    url = str(request.getfixturevalue(f"old_{engine}"))
    balances = await _fill(url)
    await migrate(url)
    async with connected(url):
        assert await LedgerTransaction.all().count() == ORDERS * 3 // 2
        assert await LedgerEntry.all().count() == ORDERS * 3
        for code, fen in balances.items():
            assert await balance(code) == Money(fen)
            assert {account.shard for account in await LedgerAccount.filter(code=code)} >= set(range(1, 16, 2))
        for row in await LedgerTransaction.all():
            assert row.user_id is not None
            assert row.shard == row.user_id.int % LEDGER_SHARDS
        assert await audit.findings() == []
        if engine == "postgres":
            assert await select("SELECT 1 FROM ledger_entry_rest") == []
            parts = await select("SELECT DISTINCT tableoid::regclass::text AS part FROM ledger_entry ORDER BY part")
            # Half past five in the evening of 28 February is the first of March in Shanghai.
            assert [row["part"] for row in parts] == [f"ledger_entry_y2026m0{month}" for month in (1, 3, 4, 5, 6)]
        assert await Projection(Settings()).catch_up() == ORDERS * 3 // 2
        assert await finance_audit.findings() == []
        # Life goes on where it was.
        user_id = new_id()
        await book(pay(somebodys(user_id)), top_up(user_id, 7))
        await finance.project(generation=1, shard=user_id.int % LEDGER_SHARDS, limit=10, now=utc_now())
        assert await wallet_balances([user_id]) == [Money(7)]
        assert [*await audit.findings(), *await finance_audit.findings()] == []
