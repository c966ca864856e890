"""Work without an end, and the purge of what is done."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from domain.events import signals
from domain.work import manual_queue, queries
from domain.work import operations as work
from domain.work.operations import Kind
from gateways.assembly import third_parties
from jobs import recurring
from jobs.assembly import working
from jobs.recurring import PURGE_INTERVAL, Recurring
from jobs.worker import Worker
from kernel.clock import utc_now
from kernel.settings import Settings
from models.jobs import Job
from tests.factories import SEALER
from tests.sandbox_fixtures import Sandbox
from tests.work.support import LEASE, claim_one, schedule

DAY = timedelta(days=1)
SETTINGS = Settings(job_history_days=90)


async def create_done(*keys: str, ago: timedelta) -> None:
    for key in keys:
        await schedule(key)
    await Job.filter(key__in=keys).update(done_at=utc_now() - ago)


async def keys() -> set[str]:
    return {job.key for job in await Job.all()}


@pytest.mark.usefixtures("database")
class TestRecurring:
    async def test_it_is_written_down_once_by_many_workers_and_comes_back(self) -> None:
        ran = asyncio.Event()

        async def tick(job: Job, now: datetime) -> datetime:
            ran.set()
            return now + DAY

        workers = [Worker({Kind.PURGE_DONE_JOBS: tick}, Settings(), recurring=[Kind.PURGE_DONE_JOBS]) for _ in range(3)]
        for worker in workers:
            worker.start()
        async with asyncio.timeout(30):
            await ran.wait()
        for worker in workers:
            await worker.stop()
        job = await Job.get()
        assert (job.kind, job.done_at) == (Kind.PURGE_DONE_JOBS, None)
        assert job.due_at > utc_now() + DAY / 2

    async def test_a_worker_that_starts_later_leaves_its_due_time_alone(self) -> None:
        await work.ensure_recurring(kind=Kind.PURGE_DONE_JOBS, key="recurring", now=utc_now() + DAY)
        before = await Job.all().values()
        await work.ensure_recurring(kind=Kind.PURGE_DONE_JOBS, key="recurring", now=utc_now())
        assert await Job.all().values() == before

    async def test_what_a_person_dismissed_stays_off(self) -> None:
        await work.ensure_recurring(kind=Kind.PURGE_DONE_JOBS, key="recurring", now=utc_now())
        job = await claim_one(owner="w")
        await work.park(job, reason="no space", now=utc_now())
        await manual_queue.dismiss(job_id=job.id, actor="li.na", reason="kept for the auditors", now=utc_now())
        await work.ensure_recurring(kind=Kind.PURGE_DONE_JOBS, key="recurring", now=utc_now())
        assert await work.claim(owner="w", limit=5, lease=LEASE, now=utc_now() + DAY) == []

    async def test_the_worker_of_the_house_purges(self, sandbox: Sandbox) -> None:
        settings = sandbox.settings()
        await create_done("old", ago=100 * DAY)
        with signals.listening() as committed:
            async with third_parties(settings) as parties, working(settings, parties, SEALER) as worker:
                async with asyncio.timeout(60):
                    await committed.wait()
                    while not await Job.filter(kind=Kind.PURGE_DONE_JOBS, attempts__gt=0).exists():
                        await worker.settle()
                        await asyncio.sleep(0)
        # The worker writes down work of its own beside it, such as the bills of yesterday.
        left = await keys()
        assert "recurring" in left
        assert "old" not in left


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurring, "PURGE_BATCH_SIZE_MAX", 3)


@pytest.mark.usefixtures("database")
class TestPurge:
    async def test_old_done_work_goes_and_everything_else_stays(self) -> None:
        await create_done("old", ago=91 * DAY)
        await create_done("young", ago=89 * DAY)
        await schedule("waits", due_in=-100 * DAY)
        await schedule("parked", due_in=-100 * DAY)
        await Job.filter(key="parked").update(parked_at=utc_now() - 100 * DAY)
        now = utc_now()
        assert await Recurring(SETTINGS).purge_done_jobs(Job(), now) == now + PURGE_INTERVAL
        assert await keys() == {"young", "waits", "parked"}

    @pytest.mark.usefixtures("small_batches")
    async def test_it_goes_in_batches_the_oldest_first_and_comes_back_at_once_while_there_is_more(self) -> None:
        await create_done("k1", "k2", ago=92 * DAY)
        await create_done("k3", ago=93 * DAY)
        await create_done("k4", ago=91 * DAY)
        now = utc_now()
        assert await Recurring(SETTINGS).purge_done_jobs(Job(), now) == now
        assert await keys() == {"k4"}
        assert await Recurring(SETTINGS).purge_done_jobs(Job(), now) == now + PURGE_INTERVAL
        assert await keys() == set()

    async def test_work_that_a_person_acted_on_is_kept(self) -> None:
        await schedule("k")
        job = await claim_one(owner="w")
        await work.park(job, reason="why", now=utc_now())
        await manual_queue.dismiss(job_id=job.id, actor="li.na", reason="why not", now=utc_now() - 100 * DAY)
        await create_done("old", ago=91 * DAY)
        assert await work.purge_done(before=utc_now() - 90 * DAY, limit=10) == 1
        assert await keys() == {"k"}
        assert await queries.parked(limit=5) == []

    async def test_two_purges_at_once_delete_each_job_once(self) -> None:
        await create_done(*(f"k{number}" for number in range(30)), ago=91 * DAY)
        before = utc_now() - 90 * DAY
        counts = await asyncio.gather(*(work.purge_done(before=before, limit=10) for _ in range(5)))
        assert sum(counts) <= 30
        assert len(await keys()) == 30 - sum(counts)
