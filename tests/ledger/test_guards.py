"""The database itself keeps the ledger balanced and as it was written, whoever writes and by whatever statement."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tortoise.exceptions import IntegrityError

from domain.finance import operations as finance
from domain.ledger import audit, postings
from domain.ledger.error_entries import note_error
from domain.ledger.shards import shard_of
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import ErrorKind
from models.database import connected, dialect, transactional
from models.finance import FinanceJournal
from models.ledger import LedgerAccount, LedgerEntry, LedgerTransaction
from tests.ledger.booking import CLEARING, book, pay, run_sql, select, somebodys

NOW = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)
USER = new_id()
LAST_YEAR = NOW - timedelta(days=365)


def transaction(line_count: int = 2, **changes: object) -> LedgerTransaction:
    values = {
        "id": new_id(),
        "key": str(new_id()),
        "user_id": USER,
        "shard": shard_of(USER),
        "position": 1_000,
        "line_count": line_count,
        "occurred_at": NOW,
        **changes,
    }
    return LedgerTransaction(**values)


def entry(of: LedgerTransaction, account: LedgerAccount, number: int, fen: int, **changes: object) -> LedgerEntry:
    values = {
        "id": new_id(),
        "transaction_id": of.id,
        "account_id": account.id,
        "line_number": number,
        "line_count": of.line_count,
        "amount_fen": fen,
        "account_version": 1_000 + number,
        "user_id": of.user_id,
        "shard": of.shard,
        "occurred_at": of.occurred_at,
        **changes,
    }
    return LedgerEntry(**values)


@transactional
async def write(*rows: LedgerTransaction | LedgerEntry) -> None:
    for row in rows:
        await row.save(force_create=True)


@pytest.fixture
async def accounts(database: str) -> tuple[LedgerAccount, LedgerAccount]:
    """The two accounts of a posting that is booked."""
    await book(pay(somebodys(USER)), now=NOW)
    return await LedgerAccount.get(code=CLEARING), await LedgerAccount.get(code=postings.TRANSIT)


class TestBalanced:
    async def test_what_balances_is_committed(self, accounts: tuple[LedgerAccount, LedgerAccount]) -> None:
        first, second = accounts
        row = transaction()
        await write(row, entry(row, first, 1, 5), entry(row, second, 2, -5))
        assert await LedgerEntry.filter(transaction_id=row.id).count() == 2

    async def test_what_does_not_is_refused_at_the_commit(self, accounts: tuple[LedgerAccount, LedgerAccount]) -> None:
        first, second = accounts
        for amounts in ((5, -4), (5, 5), (5,), ()):
            row = transaction()
            lines = [
                entry(row, account, number, fen)
                for number, (account, fen) in enumerate(zip(accounts, amounts, strict=False), start=1)
            ]
            reached = False

            @transactional
            async def unbalanced(row: LedgerTransaction = row, lines: list[LedgerEntry] = lines) -> None:
                nonlocal reached
                await write(row, *lines)
                reached = True

            with pytest.raises(IntegrityError):
                await unbalanced()
            assert reached, "it is the commit that fails"
            assert await LedgerTransaction.all().count() == 1
        row = transaction()
        await write(row, entry(row, second, 1, -7), entry(row, first, 2, 7))
        assert await LedgerTransaction.all().count() == 2

    async def test_raw_statements_are_refused_as_well(self, accounts: tuple[LedgerAccount, LedgerAccount]) -> None:
        @transactional
        async def unbalanced() -> None:
            await run_sql(
                "INSERT INTO ledger_transaction (id, key, user_id, shard, position, line_count, occurred_at) "
                "SELECT '00000000-0000-0000-0000-000000000000', 'raw', user_id, shard, 2, 2, occurred_at "
                "FROM ledger_transaction"
            )

        with pytest.raises(IntegrityError):
            await unbalanced()
        assert await LedgerTransaction.all().count() == 1
        await book(pay(somebodys(USER)))

    async def test_nothing_is_added_to_a_transaction(self, accounts: tuple[LedgerAccount, LedgerAccount]) -> None:
        first, second = accounts
        old = await LedgerTransaction.get()
        for number in (1, 2, 3, 0):
            with pytest.raises(IntegrityError):
                await write(entry(old, first, number, 5), entry(old, second, number + 2, -5))
        with pytest.raises(IntegrityError):
            await write(entry(old, first, 3, 5, line_count=4), entry(old, second, 4, -5, line_count=4))
        assert await LedgerEntry.all().count() == 2

    async def test_an_entry_stands_beside_its_transaction(self, accounts: tuple[LedgerAccount, LedgerAccount]) -> None:
        first, second = accounts
        elsewhere = (shard_of(USER) + 1) % 16
        for change in ({"shard": elsewhere}, {"occurred_at": LAST_YEAR}, {"transaction_id": new_id()}):
            row = transaction()
            with pytest.raises(IntegrityError):
                await write(row, entry(row, first, 1, 5), entry(row, second, 2, -5, **change))
        other = await LedgerAccount.create(
            id=new_id(), code=CLEARING, shard=elsewhere, balance_fen=0, version=0, created_at=NOW
        )
        row = transaction()
        with pytest.raises(IntegrityError):
            await write(row, entry(row, other, 1, 5), entry(row, second, 2, -5))
        assert await LedgerTransaction.all().count() == 1

    async def test_a_transaction_lies_in_its_shard(self, accounts: tuple[LedgerAccount, LedgerAccount]) -> None:
        for change in ({"shard": (shard_of(USER) + 1) % 16}, {"user_id": None, "shard": 1}, {"line_count": 1}):
            with pytest.raises(IntegrityError):
                await write(transaction(**change))
        assert await LedgerTransaction.all().count() == 1

    async def test_checking_early_opens_no_gap(self, postgres_url: str) -> None:
        """A transaction that was found to balance in the middle cannot be given more lines before its commit."""

        async with connected(postgres_url):
            await book(pay(somebodys(USER)), now=NOW)
            first = await LedgerAccount.get(code=CLEARING)
            second = await LedgerAccount.get(code=postings.TRANSIT)
            row = transaction()

            @transactional
            async def early() -> None:
                await write(row, entry(row, first, 1, 5), entry(row, second, 2, -5))
                await run_sql("SET CONSTRAINTS ALL IMMEDIATE")
                await write(entry(row, first, 3, 5))

            with pytest.raises(IntegrityError):
                await early()
            assert await LedgerTransaction.all().count() == 1


async def _tables() -> dict[str, str]:
    """The tables that are append-only, PostgreSQL's partitions included, each with a column to change."""
    tables = {"ledger_entry": "amount_fen", "ledger_transaction": "line_count", "finance_journal": "debit_fen"}
    if dialect() == "postgres":
        parts = await select(
            "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'ledger_entry'::regclass"
        )
        assert len(parts) > 2
        tables |= {str(part["name"]): "amount_fen" for part in parts}
    return tables


async def _rows(table: str) -> list[dict[str, object]]:
    return await select(f"SELECT * FROM {table} ORDER BY id")  # noqa: S608


async def _book_and_journal() -> None:
    """One posting in a month with a partition, one in the rest."""
    await book(pay(somebodys(USER)), now=utc_now())
    await book(pay(somebodys(USER)), now=LAST_YEAR)
    await finance.open_journal(now=NOW)
    await finance.project(generation=1, shard=shard_of(USER), limit=10, now=NOW)


class TestAppendOnly:
    @pytest.fixture(autouse=True)
    async def _booked(self, database: str) -> None:
        await _book_and_journal()

    async def test_nothing_is_changed_or_removed(self) -> None:
        for table, column in (await _tables()).items():
            before = await _rows(table)
            statements = [f"UPDATE {table} SET {column} = {column} + 1", f"DELETE FROM {table}"]  # noqa: S608
            if dialect() == "postgres":
                statements.append(f"TRUNCATE {table} CASCADE")
            elif table != "ledger_entry":
                statements.append(f"UPDATE OR REPLACE {table} SET id = (SELECT MAX(id) FROM {table})")  # noqa: S608
            for statement in statements:
                if before or "TRUNCATE" in statement:
                    with pytest.raises(IntegrityError, match="append-only"):
                        await run_sql(statement)
            assert await _rows(table) == before
        assert len(await _rows("ledger_entry")) == len(await _rows("finance_journal")) == 4

    async def test_an_account_with_entries_cannot_go(self) -> None:
        for account in await LedgerAccount.all():
            with pytest.raises(IntegrityError):
                await account.delete()

    async def test_a_row_is_not_replaced(self) -> None:
        """SQLite's REPLACE would remove a row without a word to its triggers; PostgreSQL's upsert is an update."""
        for table in ("ledger_entry", "ledger_transaction", "finance_journal"):
            before = await _rows(table)
            if dialect() == "sqlite":
                statement = f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"  # noqa: S608
            else:
                key = {"ledger_entry": "(transaction_id, line_number, occurred_at)"}.get(table, "(id)")
                statement = (
                    f"INSERT INTO {table} SELECT * FROM {table} ON CONFLICT {key} "  # noqa: S608
                    "DO UPDATE SET occurred_at = EXCLUDED.occurred_at"
                )
            with pytest.raises(IntegrityError):
                await run_sql(statement)
            assert await _rows(table) == before

    async def test_the_journal_says_one_side_of_a_line(self) -> None:
        line = (await FinanceJournal.filter(debit_fen__gt=0).values())[0]
        values = {name: value for name, value in line.items() if name != "id"} | {"position": 77}
        for debit, credit in ((1, 1), (0, 0), (-1, 0), (0, -1)):
            row = FinanceJournal(**(values | {"debit_fen": debit, "credit_fen": credit}))
            with pytest.raises(IntegrityError, match="journal_one_side"):
                await row.save(force_create=True)
        assert await audit.findings() == []


async def test_a_row_is_replaced_under_no_other_key_either(sqlite_url: str) -> None:
    fresh = UUID(int=0)
    replacing = {
        "ledger_transaction": f"'{fresh}', key, order_id, user_id, shard, position + 100, line_count, occurred_at",
        "ledger_entry": f"'{fresh}', transaction_id, account_id, line_number, line_count, amount_fen, "
        "account_version + 100, user_id, shard, occurred_at",
        "error_entry": f"'{fresh}', key, kind, order_id, user_id, amount_fen, detail, occurred_at",
        "finance_journal": "id + 100, generation, stream, position, line_number, posting_key, order_id, user_id, "
        "shard, account, debit_fen, credit_fen, business_day, occurred_at",
    }
    async with connected(sqlite_url):
        await _book_and_journal()
        kind = ErrorKind.LATE_PAYMENT
        await note_error(kind=kind, subject="x", amount_fen=1, detail="", user_id=USER, order_id=None, now=NOW)
        for table, columns in replacing.items():
            before = await _rows(table)
            with pytest.raises(IntegrityError, match="UNIQUE constraint failed"):
                await run_sql(f"INSERT OR REPLACE INTO {table} SELECT {columns} FROM {table} LIMIT 1")  # noqa: S608
            assert await _rows(table) == before
