"""Work that must happen: once at a time, taken over, backed off, parked."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from domain.work import operations as work
from domain.work.operations import Kind, LeaseLost
from domain.work.rules import backoff_s
from jobs.worker import NeedsPerson, Worker
from kernel.clock import utc_now
from kernel.settings import Settings
from models.jobs import Job
from tests.work.support import LEASE, schedule


@pytest.mark.usefixtures("database")
class TestClaim:
    async def test_the_same_work_is_written_once(self) -> None:
        await asyncio.gather(*(schedule("k") for _ in range(5)))
        assert await Job.all().count() == 1

    async def test_no_two_workers_get_the_same_work(self) -> None:
        for number in range(20):
            await schedule(f"k{number}")
        now = utc_now()
        claims = await asyncio.gather(
            *(work.claim(owner=f"w{number}", limit=5, lease=LEASE, now=now) for number in range(8))
        )
        keys = [job.key for claim in claims for job in claim]
        assert len(keys) == len(set(keys))
        rest = await work.claim(owner="rest", limit=50, lease=LEASE, now=now)
        assert len(keys) + len(rest) == 20

    async def test_work_of_a_dead_worker_is_taken_over_and_its_late_word_is_ignored(self) -> None:
        await schedule("k")
        now = utc_now()
        (dead,) = await work.claim(owner="dead", limit=5, lease=LEASE, now=now)
        assert await work.claim(owner="heir", limit=5, lease=LEASE, now=now + LEASE / 2) == []
        (taken,) = await work.claim(owner="heir", limit=5, lease=LEASE, now=now + LEASE * 2)
        assert taken.id == dead.id
        before = await Job.all().values()
        for late in (
            work.finish(dead, now=now),
            work.again(dead, due_at=now),
            work.fail(dead, error="late", attempts_max=1, now=now),
            work.park(dead, reason="late", now=now),
            work.release(dead, claims=0),
            work.begin_alone(dead),
        ):
            with pytest.raises(LeaseLost):
                await late
        assert await work.renew(jobs=[dead], lease=LEASE, now=now) == set()
        assert await Job.all().values() == before
        await work.finish(taken, now=now)
        assert (await Job.get(id=dead.id)).done_at is not None

    async def test_work_waits_for_its_due_time(self) -> None:
        await schedule("later", due_in=timedelta(minutes=1))
        assert await work.claim(owner="w", limit=5, lease=LEASE, now=utc_now()) == []
        assert len(await work.claim(owner="w", limit=5, lease=LEASE, now=utc_now() + timedelta(minutes=2))) == 1


@pytest.mark.usefixtures("database")
class TestWorker:
    async def _run(self, handler: object, settings: Settings | None = None) -> Job:
        await schedule("k")
        worker = Worker({Kind.QUERY_PAYMENT: handler}, settings or Settings())  # type: ignore[dict-item]
        await worker.run_due()
        await worker.settle()
        return await Job.get(key="k")

    async def test_done_work_is_finished(self) -> None:
        async def done(job: Job, now: datetime) -> None:
            assert job.payload["out_trade_no"] == job.key

        assert (await self._run(done)).done_at is not None

    async def test_failed_work_comes_back_with_backoff(self) -> None:
        async def fail(job: Job, now: datetime) -> None:
            raise RuntimeError("card 1000111100000000001")

        job = await self._run(fail)
        assert (job.done_at, job.parked_at, job.attempts) == (None, None, 1)
        assert job.due_at > job.created_at
        assert job.last_error == "RuntimeError"

    async def test_poison_ends_in_the_manual_queue(self) -> None:
        async def fail(job: Job, now: datetime) -> None:
            raise RuntimeError

        job = await self._run(fail, Settings(job_attempts_max=1))
        assert job.parked_at is not None
        assert await work.claim(owner="w", limit=5, lease=LEASE, now=utc_now() + timedelta(days=1)) == []

    async def test_waiting_long_is_not_failing_often(self) -> None:
        calls = 0

        async def wait_then_fail_once(job: Job, now: datetime) -> datetime:
            nonlocal calls
            calls += 1
            if calls == 4:
                raise ConnectionError
            return now - timedelta(seconds=1)

        await schedule("k")
        worker = Worker({Kind.QUERY_PAYMENT: wait_then_fail_once}, Settings(job_attempts_max=2))
        for _ in range(4):
            await worker.run_due()
            await worker.settle()
        job = await Job.get(key="k")
        assert (job.attempts, job.failures, job.parked_at) == (4, 1, None)
        assert job.due_at < utc_now() + timedelta(seconds=backoff_s(1))
        await worker.run_due(now=utc_now() + timedelta(minutes=1))
        await worker.settle()
        assert (await Job.get(key="k")).failures == 0

    async def test_work_put_back_just_now_is_not_leased_again(self) -> None:
        await schedule("k")
        now = utc_now()
        (job,) = await work.claim(owner="w", limit=5, lease=LEASE, now=now)
        await work.again(job, due_at=now)
        assert await work.renew(jobs=[job], lease=LEASE, now=now) == set()
        assert len(await work.claim(owner="other", limit=5, lease=LEASE, now=now)) == 1

    async def test_what_only_a_person_can_settle_is_parked_at_once(self) -> None:
        async def give_up(job: Job, now: datetime) -> None:
            raise NeedsPerson("two answers")

        job = await self._run(give_up)
        assert (job.parked_at is not None, job.last_error) == (True, "two answers")

    async def test_work_that_hangs_loses_its_turn(self) -> None:
        async def hang(job: Job, now: datetime) -> None:
            await asyncio.sleep(60)

        job = await self._run(hang, Settings(job_timeout_s=0.1))
        assert (job.done_at, job.last_error) == (None, "TimeoutError")

    async def test_a_started_worker_finds_work_when_it_is_committed(self) -> None:
        seen = asyncio.Event()

        async def see(job: Job, now: datetime) -> None:
            seen.set()

        worker = Worker({Kind.QUERY_PAYMENT: see}, Settings(worker_poll_interval_ms=60_000))
        worker.start()
        await asyncio.sleep(0.05)
        await schedule("k")
        async with asyncio.timeout(30):
            await seen.wait()
        await worker.stop()

    async def test_work_that_takes_longer_than_its_lease_is_kept(self) -> None:
        claimed_by_another: list[Job] = []
        done = asyncio.Event()

        async def slow(job: Job, now: datetime) -> None:
            await asyncio.sleep(0.5)
            claimed_by_another.extend(await work.claim(owner="other", limit=5, lease=LEASE, now=utc_now()))
            done.set()

        worker = Worker({Kind.QUERY_PAYMENT: slow}, Settings(job_lease_s=0.2))
        worker.start()
        await schedule("k")
        async with asyncio.timeout(30):
            await done.wait()
        await worker.stop()
        assert claimed_by_another == []


def test_backoff_doubles_up_to_five_minutes() -> None:
    assert [backoff_s(attempts) for attempts in (1, 2, 3, 9, 10, 1_000)] == [1, 2, 4, 256, 300, 300]
