"""Who gets what: turns between kinds, suspects alone, and statements that read no more than they must."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta

import asyncpg
import pytest

from domain.work import operations as work
from domain.work import queries, statements
from domain.work.operations import PAYLOADS, Kind, PayloadMalformed
from jobs.worker import Handler, Worker
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.settings import Settings
from models.database import connected, transactional
from models.jobs import Job
from tests.work.support import LEASE, claim_one, schedule

HOUR = timedelta(hours=1)
FLOOD = 10_000


async def flood(count: int, *, kind: Kind = Kind.QUERY_PAYMENT) -> None:
    """Write down work of one kind that has been due for an hour."""
    due_at = utc_now() - HOUR
    rows = [
        Job(
            id=new_id(),
            kind=kind,
            key=f"flood{number}",
            payload={"out_trade_no": "x"},
            due_at=due_at,
            attempts=0,
            created_at=due_at,
        )
        for number in range(count)
    ]
    await Job.bulk_create(rows, batch_size=1_000)


async def claim(limit: int, **running: int) -> list[Job]:
    return await work.claim(owner="w", limit=limit, lease=LEASE, now=utc_now(), running=running)


@pytest.mark.usefixtures("database")
class TestTurns:
    async def test_a_flood_of_one_kind_delays_another_by_no_more_than_what_runs_already(self) -> None:
        begun: list[str] = []
        money_ran = asyncio.Event()

        async def query(job: Job, now: datetime) -> None:
            begun.append(job.key)
            await asyncio.sleep(0.02)

        async def money(job: Job, now: datetime) -> None:
            money_ran.set()

        await flood(FLOOD)
        await schedule("money", kind=Kind.ANNOUNCE_PRICES)
        worker = Worker(
            {Kind.QUERY_PAYMENT: query, Kind.ANNOUNCE_PRICES: money}, Settings(worker_jobs_concurrent_max=4)
        )
        worker.start()
        async with asyncio.timeout(60):
            await money_ran.wait()
        await worker.stop()
        assert len(begun) <= 4

    async def test_a_flood_that_fills_every_place_lets_the_next_kind_have_the_first_free_one(self) -> None:
        await flood(50)
        await schedule("money", kind=Kind.ANNOUNCE_PRICES)
        (first,) = await claim(1, query_payment=3)
        assert first.key == "money"

    async def test_kinds_share_the_places(self) -> None:
        await flood(50)
        for number in range(50):
            await schedule(f"price{number}", kind=Kind.ANNOUNCE_PRICES)
        assert Counter(job.kind for job in await claim(10)) == {"query_payment": 5, "announce_prices": 5}
        more = Counter(job.kind for job in await claim(6, query_payment=5, announce_prices=1))
        assert more == {"query_payment": 1, "announce_prices": 5}

    async def test_one_kind_alone_has_every_place_and_the_oldest_comes_first(self) -> None:
        for number in range(8):
            await schedule(f"k{number}", due_in=timedelta(seconds=-number))
        assert [job.key for job in await claim(5)] == ["k7", "k6", "k5", "k4", "k3"]
        assert [job.key for job in await claim(5)] == ["k2", "k1", "k0"]


@pytest.mark.usefixtures("database")
class TestSuspects:
    async def _make_suspect(self, key: str) -> None:
        """Let two workers die with the work."""
        await schedule(key)
        await Job.filter(key=key).update(claims=2, lease_owner="dead", lease_until=utc_now() - HOUR)

    async def test_a_claim_without_an_outcome_leaves_its_mark_and_an_outcome_removes_it(self) -> None:
        await schedule("k")
        await claim_one(owner="dead")
        job = await claim_one(owner="w", now=utc_now() + HOUR)
        assert job.claims == 2
        await work.again(job, due_at=utc_now())
        assert (await claim_one(owner="w")).claims == 1

    async def test_a_suspect_waits_until_nothing_else_runs_and_then_runs_alone(self) -> None:
        order: list[str] = []
        gate = asyncio.Event()

        async def note(job: Job, now: datetime) -> None:
            order.append(f"{job.key} begins")
            if job.key == "first":
                await gate.wait()
            else:
                await asyncio.sleep(0.05)
            order.append(f"{job.key} ends")

        await schedule("first")
        worker = Worker({Kind.QUERY_PAYMENT: note}, Settings())
        await worker.run_due()
        await self._make_suspect("suspect")
        await schedule("other")
        assert await worker.run_due() == 0
        gate.set()
        await worker.settle()
        assert await worker.run_due() == 1
        assert await worker.run_due() == 0
        await worker.settle()
        assert await worker.run_due() == 1
        await worker.settle()
        assert order == [f"{key} {what}" for key in ("first", "suspect", "other") for what in ("begins", "ends")]
        assert (await Job.get(key="suspect")).claims == 0

    async def test_a_slow_database_counts_no_death(self) -> None:
        await self._make_suspect("k")
        for _ in range(5):
            assert await work.claim_suspect(owner="w", lease=-LEASE, now=utc_now()) is not None
        assert (await Job.get(key="k")).claims == 2

    async def test_its_last_death_parks_it_with_the_reason(self) -> None:
        async def never(job: Job, now: datetime) -> None:
            raise AssertionError("it must not run")

        await self._make_suspect("k")
        await Job.all().update(claims=5)
        worker = Worker({Kind.QUERY_PAYMENT: never}, Settings(job_crashes_max=5))
        await worker.run_due()
        await worker.settle()
        job = await Job.get(key="k")
        assert (job.parked_at is not None, job.last_error) == (True, "its worker died 5 times")
        assert not await queries.suspect_waits(now=utc_now() + HOUR)


@pytest.mark.usefixtures("database")
class TestMalformed:
    async def _run(self, handlers: dict[str, Handler] | None = None) -> Job:
        async def never(job: Job, now: datetime) -> None:
            raise AssertionError("it must not run")

        worker = Worker(handlers or {Kind.QUERY_PAYMENT: never, Kind.REFUND: never}, Settings())
        await worker.run_due()
        await worker.settle()
        return await Job.get()

    @pytest.mark.parametrize(
        ("kind", "payload", "reason"),
        [
            (Kind.REFUND, {}, "the payload has no text refund_id"),
            (Kind.REFUND, {"refund_id": 7}, "the payload has no text refund_id"),
            (Kind.REFUND, {"refund_id": "secret"}, "the payload's refund_id cannot be read"),
            (Kind.QUERY_PAYMENT, {"out_trade_no": ""}, "the payload's out_trade_no cannot be read"),
            (Kind.REFUND, ["refund_id"], "the payload is not an object"),
        ],
    )
    async def test_a_payload_that_nobody_can_use_is_parked_at_once(
        self, kind: Kind, payload: object, reason: str
    ) -> None:
        now = utc_now()
        await Job.create(id=new_id(), kind=kind, key="k", payload=payload, due_at=now, attempts=0, created_at=now)
        job = await self._run()
        assert (job.parked_at is not None, job.last_error, job.attempts) == (True, reason, 0)

    async def test_a_kind_that_nobody_knows_is_parked_at_once(self) -> None:
        now = utc_now()
        await Job.create(id=new_id(), kind="gone", key="k", payload={}, due_at=now, attempts=0, created_at=now)
        job = await self._run()
        assert (job.parked_at is not None, job.last_error, job.attempts) == (True, "no handler for gone", 0)

    @pytest.mark.parametrize("kind", Kind)
    async def test_work_that_nobody_could_do_is_not_written_down(self, kind: Kind) -> None:
        if not PAYLOADS[kind]:
            return

        @transactional
        async def write() -> None:
            await work.schedule(kind=kind, key="k", payload={}, due_at=utc_now(), now=utc_now())

        with pytest.raises(PayloadMalformed):
            await write()
        assert await Job.all().count() == 0


async def test_a_payload_that_is_no_json_does_not_stop_the_rest(sqlite_url: str) -> None:
    """PostgreSQL keeps such a row out by the type of the column."""
    async with connected(sqlite_url):
        await schedule("broken")
        await schedule("sound")
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite://"), isolation_level=None)) as file:
            file.execute("UPDATE job SET payload = '{\"out_trade_no\"' WHERE key = 'broken'")
        assert (await claim_one(owner="w")).key == "sound"
        (parked,) = await queries.parked(limit=5)
        assert (parked.key, parked.reason) == ("broken", "the payload is not JSON")


async def test_workers_pass_by_what_another_is_picking_without_waiting(postgres_url: str) -> None:
    async with connected(postgres_url):
        for number in range(6):
            await schedule(f"k{number}")
        now = utc_now()
        other = await asyncpg.connect(postgres_url)
        try:
            async with other.transaction():
                picked = await other.fetch(statements.CLAIM_POSTGRES, "other", now + LEASE, now, 4, "{}")
                async with asyncio.timeout(30):
                    rest = await work.claim(owner="w", limit=6, lease=LEASE, now=now)
        finally:
            await other.close()
        assert (len(picked), len(rest)) == (4, 2)
        assert {row["id"] for row in picked}.isdisjoint(job.id for job in rest)


async def _plan_postgres(url: str, statement: str, *values: object) -> str:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "INSERT INTO job (id, kind, key, payload, due_at, attempts, created_at, done_at) "
            "SELECT gen_random_uuid(), 'refund', n::text, '{}', now(), 1, now(), "
            "CASE WHEN n > 500 THEN now() END FROM generate_series(1, 20000) n"
        )
        await connection.execute("ANALYZE job")
        return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}", *values))
    finally:
        await connection.close()


async def _plan_sqlite(url: str, statement: str, *values: object) -> str:
    with closing(sqlite3.connect(url.removeprefix("sqlite://"))) as connection:
        given = [str(value) if isinstance(value, datetime) else value for value in values]
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement.replace('$', '?')}", given)
        return "\n".join(row[3] for row in plan)


@pytest.mark.parametrize(
    ("postgres", "sqlite", "index", "count"),
    [
        (statements.CLAIM_POSTGRES, statements.CLAIM_SQLITE, "job_waiting", 5),
        (statements.SUSPECT_POSTGRES, statements.SUSPECT_SQLITE, "job_suspect", 3),
    ],
)
async def test_what_is_done_is_never_read_to_find_what_is_due(
    database_url: str, postgres: str, sqlite: str, index: str, count: int
) -> None:
    now = utc_now()
    values = ["w", now + LEASE, now, 16, "{}"][:count]
    explain: Callable[..., object] = _plan_sqlite if database_url.startswith("sqlite") else _plan_postgres
    plan = await explain(database_url, sqlite if explain is _plan_sqlite else postgres, *values)  # type: ignore[misc]
    assert index in str(plan)
    assert "Seq Scan on job" not in str(plan)
    assert "SCAN job\n" not in str(plan)
