"""The manual queue: who did what with parked work, and why."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from tortoise import Tortoise
from tortoise.exceptions import IntegrityError

from domain.work import manual_queue, queries
from domain.work import operations as work
from domain.work.manual_queue import ActorMissing, JobNotFound, JobNotParked, ReasonMissing
from domain.work.operations import Kind
from jobs.worker import NeedsPerson, Worker
from kernel.clock import utc_now
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.settings import Settings
from kernel.states import InterventionAction
from models.jobs import Job, JobIntervention
from tests.house_process import ROOT
from tests.work.conftest import Commands
from tests.work.support import claim_one, schedule

NOW = datetime.fromisoformat("2026-05-01T04:00:00+00:00")
ACTIONS = (manual_queue.retry, manual_queue.dismiss)


async def create_parked(key: str = "k", reason: str = "two answers") -> Job:
    await schedule(key)
    job = await claim_one(owner="w")
    await Job.filter(id=job.id).update(failures=3)
    await work.park(job, reason=reason, now=utc_now())
    return await Job.get(id=job.id)


async def act(action: Any, job_id: UUID, *, actor: str = "li.na", reason: str = "the bank says so") -> None:
    await action(job_id=job_id, actor=actor, reason=reason, now=NOW)


@pytest.mark.usefixtures("database")
class TestRetry:
    async def test_the_work_is_due_as_if_it_had_never_failed(self) -> None:
        parked = await create_parked()
        await Job.all().update(claims=5)
        await act(manual_queue.retry, parked.id)
        job = await Job.get(id=parked.id)
        assert (job.parked_at, job.failures, job.claims, job.due_at) == (None, 0, 0, NOW)
        assert (await claim_one(owner="w")).id == parked.id

    async def test_it_is_written_down(self) -> None:
        parked = await create_parked()
        await act(manual_queue.retry, parked.id, actor=" li.na ", reason=" the bank says so\n")
        row = await JobIntervention.get()
        assert (row.job_id, row.actor, row.action, row.reason, row.occurred_at) == (
            parked.id,
            "li.na",
            InterventionAction.RETRY,
            "the bank says so",
            NOW,
        )

    async def test_a_waiting_worker_begins_at_once(self) -> None:
        began = asyncio.Event()

        async def begin(job: Job, now: datetime) -> None:
            began.set()

        parked = await create_parked()
        worker = Worker({Kind.QUERY_PAYMENT: begin}, Settings(worker_poll_interval_ms=60_000))
        worker.start()
        await act(manual_queue.retry, parked.id)
        async with asyncio.timeout(30):
            await began.wait()
        await worker.stop()

    async def test_of_two_at_once_one_wins(self) -> None:
        parked = await create_parked()
        outcomes = await asyncio.gather(*(act(manual_queue.retry, parked.id) for _ in range(5)), return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["JobNotParked"] * 4 + ["NoneType"]
        assert await JobIntervention.all().count() == 1

    async def test_of_retry_and_dismiss_at_once_one_wins(self) -> None:
        parked = await create_parked()
        outcomes = await asyncio.gather(*(act(action, parked.id) for action in ACTIONS * 3), return_exceptions=True)
        assert outcomes.count(None) == 1
        assert await JobIntervention.all().count() == 1


@pytest.mark.usefixtures("database")
class TestDismiss:
    async def test_the_work_never_runs_again_and_its_key_stays_taken(self) -> None:
        parked = await create_parked()
        await act(manual_queue.dismiss, parked.id)
        await schedule("k")
        assert await Job.all().count() == 1
        assert await work.claim(owner="w", limit=5, lease=timedelta(1), now=utc_now() + timedelta(days=365)) == []
        assert (await Job.get()).done_at == NOW
        assert (await JobIntervention.get()).action is InterventionAction.DISMISS
        assert await queries.parked(limit=5) == []

    async def test_it_cannot_be_retried_afterwards(self) -> None:
        parked = await create_parked()
        await act(manual_queue.dismiss, parked.id)
        with pytest.raises(JobNotParked):
            await act(manual_queue.retry, parked.id)
        assert await JobIntervention.all().count() == 1


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("action", ACTIONS)
class TestDenied:
    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"reason": " \n"}, ReasonMissing),
            ({"reason": "x" * 257}, ReasonMissing),
            ({"reason": "a\0b"}, ReasonMissing),
            ({"actor": ""}, ActorMissing),
            ({"actor": "x" * 65}, ActorMissing),
            ({"job_id": UUID(int=7)}, JobNotFound),
        ],
    )
    async def test_what_is_not_explained_or_not_there(
        self, action: Any, changes: dict[str, Any], error: type[YoukaError]
    ) -> None:
        parked = await create_parked()
        before = await Job.all().values()
        with pytest.raises(error) as refused:
            await action(**{"job_id": parked.id, "actor": "li.na", "reason": "why", "now": NOW, **changes})
        assert refused.value.message("zh-CN")
        assert await Job.all().values() == before
        assert await JobIntervention.all().count() == 0

    async def test_work_that_is_not_parked(self, action: Any) -> None:
        await schedule("waits")
        before = await Job.all().values()
        with pytest.raises(JobNotParked):
            await act(action, before[0]["id"])
        assert await Job.all().values() == before
        assert await JobIntervention.all().count() == 0


@pytest.mark.usefixtures("database")
class TestHistory:
    async def test_what_people_did_cannot_be_changed(self) -> None:
        parked = await create_parked()
        await act(manual_queue.retry, parked.id)
        for change in (JobIntervention.all().update(reason="rewritten"), JobIntervention.all().delete()):
            with pytest.raises(IntegrityError, match="append-only"):
                await change
        assert (await JobIntervention.get()).reason == "the bank says so"

    @pytest.mark.parametrize("values", ["'li.na', 'FORGET', 'why'", "'', 'RETRY', 'why'", "'li.na', 'RETRY', ''"])
    async def test_the_database_refuses_what_says_nothing(self, values: str) -> None:
        parked = await create_parked()
        columns = "id, job_id, actor, action, reason, occurred_at"
        row = f"'{new_id()}', '{parked.id}', {values}, '2026-05-01 04:00:00+00:00'"
        statement = f"INSERT INTO job_intervention ({columns}) VALUES ({row})"  # noqa: S608 -- the test's own words.
        with pytest.raises(IntegrityError):
            await Tortoise.get_connection("default").execute_query(statement)
        assert await JobIntervention.all().count() == 0
        await Tortoise.get_connection("default").execute_query(statement.replace(values, "'li.na', 'RETRY', 'why'"))
        assert await JobIntervention.all().count() == 1

    async def test_the_queue_is_read_page_by_page_with_what_was_done_before(self) -> None:
        first, second = await create_parked("k1", "first"), await create_parked("k2", "second")
        await act(manual_queue.retry, first.id)
        again = await claim_one(owner="w")
        await work.park(again, reason="once more", now=utc_now())
        page = await queries.parked(limit=1)
        assert [(job.id, job.reason) for job in page] == [(second.id, "second")]
        rest = await queries.parked(limit=5, after=page[0])
        assert [(job.key, job.reason, job.attempts) for job in rest] == [("k1", "once more", 2)]
        assert [(done.actor, done.action) for done in rest[0].interventions] == [("li.na", "RETRY")]
        assert [job.key async for job in queries.all_parked()] == ["k2", "k1"]

    async def test_a_handler_that_needs_a_person_ends_here(self) -> None:
        async def give_up(job: Job, now: datetime) -> None:
            raise NeedsPerson("the issuer has two answers")

        await schedule("k")
        worker = Worker({Kind.QUERY_PAYMENT: give_up}, Settings())
        await worker.run_due()
        await worker.settle()
        (parked,) = await queries.parked(limit=5)
        assert (parked.key, parked.reason) == ("k", "the issuer has two answers")


def test_the_commands_list_retry_and_dismiss(jobs: Commands) -> None:
    assert jobs("manual-queue").out == "nothing waits for a person\n"
    first = jobs.database(partial(create_parked, "k1", "two\x1b[31m answers"))
    second = jobs.database(partial(create_parked, "k2", "no answer"))

    titles, *lines = jobs("manual-queue").out.splitlines()
    assert titles.split("  ")[0].strip() == "id"
    assert [line.split()[0] for line in lines] == [str(first.id), str(second.id)]
    assert lines[0].endswith("two\ufffd[31m answers")
    assert first.parked_at.isoformat(sep=" ", timespec="seconds") in lines[0]

    done = jobs("retry", str(first.id), "--by", "li.na", "--reason", "the bank says so")
    assert (done.code, done.out, done.err) == (0, f"{first.id} is due again\n", "")
    done = jobs("dismiss", str(second.id), "--by", "li.na", "--reason", "paid back by hand")
    assert (done.code, done.err) == (0, "")
    assert jobs("manual-queue", "--json").out == "[]\n"
    rows = jobs.database(lambda: Job.all().order_by("key"))
    assert [(row.parked_at is None, row.done_at is None) for row in rows] == [(True, True), (False, False)]


def test_the_list_as_json_says_everything(jobs: Commands) -> None:
    job = jobs.database(create_parked)
    (shown,) = json.loads(jobs("manual-queue", "--json").out)
    assert shown == {
        "id": str(job.id),
        "kind": "query_payment",
        "key": "k",
        "parked_at": job.parked_at.isoformat(),
        "attempts": 1,
        "reason": "two answers",
        "interventions": [],
    }


def test_bad_input_is_one_clear_line_and_code_2(jobs: Commands) -> None:
    job = jobs.database(create_parked)
    for arguments, line in (
        (("retry", str(UUID(int=7)), "--by", "a", "--reason", "b"), f"youka: There is no job {UUID(int=7)}"),
        (("retry", str(job.id), "--by", "a", "--reason", " "), "youka: Say why, in at most 256 characters"),
        (("dismiss", str(job.id), "--by", "", "--reason", "b"), "youka: Say who does this, in at most 64 characters"),
        (("retry", "seven", "--by", "a", "--reason", "b"), "argument JOB: 'seven' is not the id of a job"),
        (("dismiss", str(job.id), "--by", "a"), "the following arguments are required: --reason"),
    ):
        done = jobs(*arguments)
        assert (done.code, done.out) == (2, "")
        assert done.err.splitlines()[-1].endswith(line)
    assert jobs.database(lambda: Job.filter(parked_at__isnull=False, done_at__isnull=True).count()) == 1


def test_a_database_that_is_not_there_is_code_2(jobs: Commands, free_port: int) -> None:
    jobs.address = f"postgres://nobody@127.0.0.1:{free_port}/none"
    done = jobs("manual-queue")
    assert done.code == 2
    assert done.err.startswith("the database cannot be used: ")
    assert len(done.err.splitlines()) == 1


def test_a_shell_sees_the_line_and_the_code(sqlite_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jobs", "retry", str(UUID(int=7)), "--by", "li.na", "--reason", "why"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": sqlite_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"youka: There is no job {UUID(int=7)}\n")
