"""A lease that is lost: the work stops in time, writes nothing more, and nobody else begins before that."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from functools import partial

import asyncpg
import pytest

from domain.work import operations as work
from domain.work.operations import Kind, LeaseLost
from jobs.leases import Lease
from jobs.worker import Worker
from kernel.clock import utc_now
from kernel.settings import Settings
from models.database import dialect, guarded, transactional
from models.events import EventStream
from models.jobs import Job
from tests.work.support import LEASE, claim_one, schedule

HOUR = timedelta(hours=1)


@asynccontextmanager
async def stalled(database: str) -> AsyncIterator[Callable[[], Awaitable[datetime]]]:
    """Let nobody write into the table of work; what is given reads until when the one job is leased."""
    statement = "SELECT lease_until FROM job"
    if database.startswith("sqlite"):
        with closing(sqlite3.connect(database.removeprefix("sqlite://"), isolation_level=None)) as file:
            file.execute("BEGIN IMMEDIATE")

            async def read() -> datetime:
                return datetime.fromisoformat(file.execute(statement).fetchone()[0])

            yield read
        return
    connection = await asyncpg.connect(database)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE job IN EXCLUSIVE MODE")
            yield partial(connection.fetchval, statement)
    finally:
        await connection.close()


@transactional
async def write(name: str) -> None:
    await EventStream.create(name=name, position=0)


class TestTheWorkersOwnClock:
    """Of jobs/leases.py, without a database."""

    def _lease(self, lease_s: float) -> Lease:
        job = Job(kind=Kind.REFUND, key="k", claims=1)
        return Lease(job, began_s=time.monotonic(), lease_s=lease_s)

    async def test_work_in_time_returns_its_result(self) -> None:
        async def add() -> int:
            await asyncio.sleep(0)
            return 1 + 1

        assert await self._lease(5).run(add()) == 2

    async def test_work_that_waits_is_cancelled_when_the_time_is_over(self) -> None:
        lease, cancelled_s = self._lease(0.3), 0.0
        began_s = time.monotonic()

        async def wait() -> None:
            nonlocal cancelled_s
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled_s = time.monotonic()
                raise

        with pytest.raises(LeaseLost):
            await lease.run(wait())
        assert 0.2 < cancelled_s - began_s < 0.3

    async def test_no_step_begins_after_a_stop_of_the_whole_process(self) -> None:
        steps = []

        async def stop_and_go_on() -> None:
            # The loop stands still with the process; the next step is ready before the loop has looked at its timers.
            time.sleep(0.3)  # noqa: ASYNC251
            await asyncio.sleep(0)
            steps.append("after")

        with pytest.raises(LeaseLost):
            await self._lease(0.2).run(stop_and_go_on())
        assert steps == []

    async def test_cleaning_up_may_take_steps(self) -> None:
        cleaned = []

        async def work_and_clean_up() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.01)
                cleaned.append("up")

        with pytest.raises(LeaseLost):
            await self._lease(0.1).run(work_and_clean_up())
        assert cleaned == ["up"]

    async def test_a_renewal_counts_from_when_it_was_sent(self) -> None:
        lease = self._lease(0.6)

        async def wait() -> str:
            await asyncio.sleep(0.3)
            lease.renewed(began_s=time.monotonic())
            await asyncio.sleep(0.3)
            return "in time"

        assert await lease.run(wait()) == "in time"
        lease.renewed(began_s=time.monotonic() - 60)
        await asyncio.sleep(0.6)
        assert not lease.holds
        lease.renewed(began_s=time.monotonic())
        assert not lease.holds, "what is over is not taken up again"

    async def test_an_error_of_the_work_stays_its_own(self) -> None:
        async def fail() -> None:
            raise TimeoutError

        with pytest.raises(TimeoutError):
            await self._lease(5).run(fail())

    async def test_who_is_cancelled_from_outside_is_cancelled(self) -> None:
        running = asyncio.create_task(self._lease(5).run(asyncio.sleep(60)))
        await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


class TestGuard:
    async def test_a_transaction_of_work_that_somebody_else_has_writes_nothing(self, database: str) -> None:
        await schedule("k")
        lost = await claim_one(owner="a")
        held = await claim_one(owner="b", now=utc_now() + HOUR)
        with guarded(partial(work.hold, lost)), pytest.raises(LeaseLost):
            await write("lost")
        with guarded(partial(work.hold, held)):
            await write("held")
        await write("free")
        assert {stream.name for stream in await EventStream.all()} == {"held", "free"}

    async def test_work_is_not_claimed_before_the_transaction_of_its_owner_has_ended(self, database: str) -> None:
        await schedule("k")
        job = await claim_one(owner="a")
        entered, may_end, order = asyncio.Event(), asyncio.Event(), []

        @transactional
        async def slow() -> None:
            entered.set()
            await may_end.wait()
            order.append("ended")

        with guarded(partial(work.hold, job)):
            writing = asyncio.create_task(slow())
        await entered.wait()
        late = utc_now() + HOUR
        claiming = asyncio.create_task(work.claim(owner="b", limit=1, lease=LEASE, now=late))
        claiming.add_done_callback(lambda _: order.append("claimed"))
        try:
            if dialect() == "postgres":
                assert await claiming == [], "others pass by without waiting"
                assert await work.renew(jobs=[job], lease=LEASE, now=utc_now()) == {job.id}
        finally:
            may_end.set()
        await asyncio.gather(writing, claiming)
        assert order == (["claimed", "ended"] if dialect() == "postgres" else ["ended", "claimed"])
        if dialect() == "postgres":
            assert len(await work.claim(owner="b", limit=1, lease=LEASE, now=late)) == 1

    async def test_a_renewal_that_was_stuck_does_not_shorten_the_lease(self, database: str) -> None:
        await schedule("k")
        job, now = await claim_one(owner="a"), utc_now()
        await work.renew(jobs=[job], lease=HOUR, now=now)
        await work.renew(jobs=[job], lease=LEASE, now=now)
        assert (await Job.get(id=job.id)).lease_until == now + HOUR


class TestWorker:
    async def test_work_stops_before_anybody_can_claim_it_where_the_lease_cannot_be_renewed(
        self, database: str
    ) -> None:
        entered, stopped, stopped_at = asyncio.Event(), asyncio.Event(), utc_now()

        async def hang(job: Job, now: datetime) -> None:
            nonlocal stopped_at
            entered.set()
            try:
                await asyncio.sleep(60)
            finally:
                stopped_at = utc_now()
                stopped.set()

        await schedule("k")
        worker = Worker({Kind.QUERY_PAYMENT: hang}, Settings(job_lease_s=1.2))
        worker.start()
        async with asyncio.timeout(60):
            await entered.wait()
            async with stalled(database) as leased_until:
                await stopped.wait()
                lease_until = await leased_until()
        await worker.stop()
        assert stopped_at < lease_until
        job = await Job.get(key="k")
        assert (job.done_at, job.parked_at, job.failures) == (None, None, 0)

    async def test_work_stops_soon_where_somebody_else_has_it(self, database: str) -> None:
        entered, stopped = asyncio.Event(), asyncio.Event()

        async def hang(job: Job, now: datetime) -> None:
            entered.set()
            try:
                await asyncio.sleep(60)
            finally:
                stopped.set()

        await schedule("k")
        worker = Worker({Kind.QUERY_PAYMENT: hang}, Settings(job_lease_s=0.9))
        worker.start()
        async with asyncio.timeout(60):
            await entered.wait()
            heir = await claim_one(owner="heir", now=utc_now() + HOUR)
            await stopped.wait()
            await worker.stop()
        job = await Job.get(key="k")
        assert (job.lease_owner, job.claims) == (heir.lease_owner, 2)

    async def test_a_handler_that_goes_on_without_its_lease_writes_nothing_and_settles_nothing(
        self, database: str
    ) -> None:
        async def lose_and_write(job: Job, now: datetime) -> None:
            await claim_one(owner="heir", now=utc_now() + HOUR)
            await write("lost")

        await schedule("k")
        worker = Worker({Kind.QUERY_PAYMENT: lose_and_write}, Settings())
        await worker.run_due()
        await worker.settle()
        assert await EventStream.all().count() == 0
        job = await Job.get(key="k")
        assert (job.done_at, job.failures) == (None, 0)
        assert (job.lease_owner or "").startswith("heir:")
