"""The ledger's months on PostgreSQL: ready before they begin, and never in the way of a posting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from tortoise.exceptions import IntegrityError

from domain.ledger import audit
from domain.work.operations import Kind
from jobs.ledger_partitions import RETRY_AFTER, next_due, prepare_partitions
from jobs.recurring import Recurring
from jobs.worker import Handler, Worker
from kernel.clock import utc_now
from kernel.settings import Settings
from models import partitions
from models.database import connected, migrate, transactional
from models.jobs import Job
from models.ledger import LedgerEntry
from models.partitions import Month, Prepared, PreparedOutsideTransaction
from tests.ledger.booking import book, pay, run_sql, select, somebodys

# Far from the months that migrating has made.
LATER = datetime(2031, 4, 21, 4, 0, tzinfo=UTC)
prepare = transactional(partitions.prepare)


@pytest.fixture
async def ledger(postgres_url: str) -> AsyncIterator[str]:
    async with connected(postgres_url):
        yield postgres_url


async def months() -> dict[str, str]:
    """Every partition with its bounds."""
    rows = await select(
        "SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds "
        "FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE i.inhparent = 'ledger_entry'::regclass"
    )
    return {str(row["name"]): str(row["bounds"]) for row in rows}


async def where(moment: datetime) -> set[str]:
    """The partitions in which the entries of the moment lie."""
    rows = await LedgerEntry.filter(occurred_at=moment)
    found = await select("SELECT id::text AS id, tableoid::regclass::text AS part FROM ledger_entry")
    parts = {str(row["id"]): str(row["part"]) for row in found}
    return {parts[str(row.id)] for row in rows}


class TestMonth:
    @pytest.mark.parametrize(
        ("moment", "month"),
        [
            (datetime(2026, 11, 30, 15, 59, 59, 999_999, tzinfo=UTC), Month(2026, 11)),
            (datetime(2026, 11, 30, 16, tzinfo=UTC), Month(2026, 12)),
            (datetime(2026, 12, 31, 16, tzinfo=UTC), Month(2027, 1)),
        ],
    )
    def test_it_is_the_month_in_shanghai(self, moment: datetime, month: Month) -> None:
        assert Month.of(moment) == month
        assert month.begins_at <= moment < month.plus(1).begins_at

    def test_months_follow_each_other(self) -> None:
        assert [Month(2026, 11).plus(months) for months in range(4)] == [
            Month(2026, 11), Month(2026, 12), Month(2027, 1), Month(2027, 2),
        ]  # fmt: skip
        assert Month(2026, 3).plus(13) == Month(2027, 4)
        assert Month(2026, 1).begins_at == datetime(2025, 12, 31, 16, tzinfo=UTC)


class TestPrepare:
    async def test_migrating_has_made_this_month_and_three_more(self, ledger: str) -> None:
        expected = {Month.of(utc_now()).plus(ahead).partition for ahead in range(4)}
        assert set(await months()) == {*expected, "ledger_entry_rest"}

    async def test_months_are_half_open_and_begin_in_shanghai(self, ledger: str) -> None:
        done = await prepare(now=LATER, months_ahead=1)
        assert done == Prepared(("ledger_entry_y2031m04", "ledger_entry_y2031m05"), 0)
        found = await months()
        assert found["ledger_entry_y2031m04"] == (
            "FOR VALUES FROM ('2031-03-31 16:00:00+00') TO ('2031-04-30 16:00:00+00')"
        )
        edge = datetime(2031, 4, 30, 16, tzinfo=UTC)
        await book(pay(somebodys()), now=edge)
        await book(pay(somebodys()), now=edge - timedelta(microseconds=1))
        assert await where(edge) == {"ledger_entry_y2031m05"}
        assert await where(edge - timedelta(microseconds=1)) == {"ledger_entry_y2031m04"}

    async def test_again_changes_nothing(self, ledger: str) -> None:
        await prepare(now=LATER, months_ahead=3)
        before = await months()
        assert await prepare(now=LATER, months_ahead=3) == Prepared((), 0)
        assert await prepare(now=LATER + timedelta(days=20), months_ahead=3) == Prepared(("ledger_entry_y2031m08",), 0)
        assert {*await months()} == {*before, "ledger_entry_y2031m08"}

    async def test_a_posting_without_a_month_is_not_refused_and_moves_when_the_month_comes(self, ledger: str) -> None:
        moments = [LATER, LATER + timedelta(days=30), LATER - timedelta(days=10_000)]
        for moment in moments:
            await book(pay(somebodys()), pay(somebodys()), now=moment)
            assert await where(moment) == {"ledger_entry_rest"}
        before = await LedgerEntry.all().order_by("id").values()
        done = await prepare(now=LATER, months_ahead=0)
        assert done.moved_count == 12
        assert done.created == ("ledger_entry_y2003m12", "ledger_entry_y2031m04", "ledger_entry_y2031m05")
        for moment, partition in zip(moments, ("y2031m04", "y2031m05", "y2003m12"), strict=True):
            assert await where(moment) == {f"ledger_entry_{partition}"}
        assert await LedgerEntry.all().order_by("id").values() == before
        assert await audit.findings() == []
        await book(pay(somebodys()), now=LATER + timedelta(days=300))
        assert await where(LATER + timedelta(days=300)) == {"ledger_entry_rest"}

    async def test_a_new_month_is_guarded_like_the_others(self, ledger: str) -> None:
        await book(pay(somebodys()), now=LATER)
        await prepare(now=LATER, months_ahead=0)
        for partition in ("ledger_entry_y2031m04", "ledger_entry_rest"):
            with pytest.raises(IntegrityError, match="append-only"):
                await run_sql(f"TRUNCATE {partition}")
        for statement in ("UPDATE {} SET amount_fen = 1", "DELETE FROM {}"):
            with pytest.raises(IntegrityError, match="append-only"):
                await run_sql(statement.format("ledger_entry_y2031m04"))
        indexes = await select("SELECT indexdef FROM pg_indexes WHERE tablename = 'ledger_entry_y2031m04'")
        assert any("UNIQUE" in str(row["indexdef"]) for row in indexes)
        assert any("(account_id, account_version)" in str(row["indexdef"]) for row in indexes)

    async def test_it_is_all_or_nothing(self, ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
        await book(pay(somebodys()), now=LATER)
        before = await months()

        async def broken(_months: object) -> None:
            raise OSError("the connection is gone")

        monkeypatch.setattr(partitions, "_create", broken)
        with pytest.raises(OSError, match="gone"):
            await prepare(now=LATER, months_ahead=0)
        assert await months() == before
        assert await where(LATER) == {"ledger_entry_rest"}
        with pytest.raises(PreparedOutsideTransaction):
            await partitions.prepare(now=LATER, months_ahead=0)

    async def test_two_workers_and_postings_at_the_same_moment(self, ledger: str) -> None:
        await book(pay(somebodys()), now=LATER)
        users = [somebodys().user_id for _ in range(8)]

        async def post_on() -> None:
            for number in range(20):
                await book(pay(somebodys(users[number % 8])), now=LATER + timedelta(days=number * 5))

        outcomes = await asyncio.gather(
            *(prepare(now=LATER, months_ahead=2) for _ in range(4)), *(post_on() for _ in range(4))
        )
        created = [outcome.created for outcome in outcomes if outcome is not None and outcome.created]
        assert sum(len(names) for names in created) == len({name for names in created for name in names})
        await prepare(now=LATER, months_ahead=3)
        assert await select("SELECT 1 FROM ledger_entry_rest") == []
        assert await LedgerEntry.all().count() == 2 * (1 + 4 * 20)
        assert await audit.findings() == []

    async def test_sqlite_needs_no_months(self, sqlite_url: str) -> None:
        async with connected(sqlite_url):
            assert await prepare(now=LATER, months_ahead=3) == Prepared((), 0)
            await book(pay(somebodys()), now=LATER)
            assert await LedgerEntry.filter(occurred_at=LATER).count() == 2


class TestJob:
    async def test_it_comes_back_early_in_the_morning(self, ledger: str) -> None:
        before_four = datetime(2031, 4, 20, 19, 59, tzinfo=UTC)
        assert next_due(before_four) == datetime(2031, 4, 20, 20, 0, tzinfo=UTC)
        assert next_due(next_due(before_four)) == datetime(2031, 4, 21, 20, 0, tzinfo=UTC)
        due = await prepare_partitions(settings=Settings(ledger_partitions_ahead_months=1), now=LATER)
        assert due == next_due(LATER)
        assert {"ledger_entry_y2031m04", "ledger_entry_y2031m05"} <= set(await months())

    async def test_every_worker_does_it_and_it_comes_back(self, ledger: str) -> None:
        settings = Settings(ledger_partitions_ahead_months=6)
        handlers: dict[str, Handler] = {Kind.PREPARE_PARTITIONS: Recurring(settings).by_kind()[Kind.PREPARE_PARTITIONS]}
        started_at = utc_now()
        workers = [Worker(handlers, settings, recurring=handlers) for _ in range(2)]
        for worker in workers:
            worker.start()
        async with asyncio.timeout(60):
            while not await Job.filter(attempts=1).exists():  # noqa: ASYNC110 -- the table is what is waited for.
                await asyncio.sleep(0.01)
        for worker in workers:
            await worker.stop()
        job = await Job.get()
        assert job.due_at in {next_due(started_at), next_due(utc_now())}
        assert len(await months()) == 1 + 7

    async def test_it_gives_way_to_a_long_reader(self, ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(partitions, "LOCK_TIMEOUT_MS", 50)
        reader = await asyncpg.connect(ledger)
        try:
            reading = reader.transaction()
            await reading.start()
            await reader.fetch("SELECT 1 FROM ledger_entry")
            due = await prepare_partitions(settings=Settings(), now=LATER)
            assert due == LATER + RETRY_AFTER
            await book(pay(somebodys()), now=LATER)
            await reading.rollback()
        finally:
            await reader.close()
        assert await prepare_partitions(settings=Settings(), now=LATER) == next_due(LATER)
        assert await where(LATER) == {"ledger_entry_y2031m04"}

    async def test_migrating_again_keeps_the_months(self, postgres_url: str) -> None:
        await migrate(postgres_url)
        async with connected(postgres_url):
            assert len(await months()) == 5
