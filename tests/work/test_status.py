"""How far the work is behind."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from domain.work import operations as work
from domain.work import queries
from domain.work.operations import Kind
from domain.work.queries import KindStatus
from kernel.clock import utc_now
from models.jobs import Job
from tests.work.conftest import Commands
from tests.work.support import LEASE, claim_one, schedule

MINUTE = timedelta(minutes=1)


async def some_work() -> None:
    """Write down work in every state: two overdue, one yet to come, one running, one parked, one done."""
    for key in ("parked", "done", "running"):
        await schedule(key, due_in=-3 * MINUTE)
        job = await claim_one(owner="w")
        if key == "parked":
            await work.park(job, reason="why", now=utc_now())
        elif key == "done":
            await work.finish(job, now=utc_now())
    await schedule("late", due_in=-MINUTE)
    await schedule("later", due_in=-2 * MINUTE)
    await schedule("to come", due_in=MINUTE)
    await schedule("price", kind=Kind.ANNOUNCE_PRICES, due_in=MINUTE)


@pytest.mark.usefixtures("database")
class TestStatus:
    async def test_each_kind_says_what_waits_is_late_runs_and_is_parked(self) -> None:
        await some_work()
        prices, payments = await queries.status(now=utc_now())
        assert prices == KindStatus("announce_prices", waiting=1)
        assert 120 <= payments.oldest_overdue_s < 150
        payments.oldest_overdue_s = 0
        assert payments == KindStatus("query_payment", waiting=3, overdue=2, running=1, parked=1)

    async def test_work_of_a_dead_worker_is_late(self) -> None:
        await schedule("k")
        await claim_one(owner="dead")
        (status,) = await queries.status(now=utc_now() + 2 * LEASE)
        assert (status.waiting, status.overdue, status.running) == (1, 1, 0)
        assert status.oldest_overdue_s >= 2 * LEASE.total_seconds()

    async def test_a_kind_with_parked_work_alone_is_shown(self) -> None:
        await schedule("k")
        await work.park(await claim_one(owner="w"), reason="why", now=utc_now())
        assert await queries.status(now=utc_now()) == [KindStatus("query_payment", parked=1)]

    async def test_done_work_is_left_out(self) -> None:
        await schedule("k")
        await Job.all().update(done_at=utc_now())
        assert await queries.status(now=utc_now()) == []


def test_the_command_prints_a_table_or_json(jobs: Commands) -> None:
    assert jobs("work-status").out == "there is no work\n"
    jobs.database(some_work)
    titles, prices, payments = jobs("work-status").out.splitlines()
    assert titles == "kind             waiting  overdue  oldest overdue s  running  parked"
    assert prices == "announce_prices        1        0               0.0        0       0"
    assert payments.split()[:3] == ["query_payment", "3", "2"]
    shown = json.loads(jobs("work-status", "--json").out)
    assert [(kind["kind"], kind["overdue"]) for kind in shown] == [("announce_prices", 0), ("query_payment", 2)]
