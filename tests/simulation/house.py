"""Our own processes: a server that takes requests and callbacks, and workers that run the jobs.

Jobs are the real rows and the real handlers; only who runs them when is decided here, as the worker does it in
production. Anything that production would log and retry without knowing why is an error here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from unittest.mock import patch
from uuid import UUID

import structlog
from tortoise import Tortoise
from tortoise.transactions import in_transaction

import models.database
from domain.orders import operations
from domain.orders.notices import to_row
from domain.orders.refunding import RefundAbnormal
from domain.payments.operations import record_notice
from domain.payments.ports import ChannelRefused
from domain.work import operations as work
from domain.work import queries
from domain.work.operations import LeaseLost
from jobs.handlers import Handlers
from jobs.worker import NeedsPerson
from models.jobs import Job
from tests.simulation.fate import Commit, Fate
from tests.simulation.post import Letter
from tests.simulation.timeline import Process, ProcessDied, Timeline

LEASE = timedelta(seconds=30)
JOBS_AT_ONCE = 8
RESTART_S = 2.0
WAIT_S = 3.0
# Between a commit and the worker that it wakes.
WAKE_S = 0.002
CLAIMS_MAX = 1_000
NEXT_DUE = (
    "SELECT MIN(CASE WHEN lease_until IS NULL OR lease_until < due_at THEN due_at ELSE lease_until END) AS due_at "
    "FROM job WHERE done_at IS NULL AND parked_at IS NULL"
)
T = TypeVar("T")


class LeftToNobody(AssertionError):
    """A job was left to a person for a reason that an honest world does not give."""


def for_a_person(job: Job, error: NeedsPerson) -> bool:
    """Return whether an honest world gives the reason."""
    del job  # Here the reason alone says it.
    return error.__cause__ is None or isinstance(error.__cause__, RefundAbnormal | ChannelRefused)


class House:
    def __init__(
        self,
        timeline: Timeline,
        fate: Fate,
        handlers: Handlers,
        *,
        worker_count: int,
        note: Callable[[str], None],
    ) -> None:
        self.timeline, self.fate, self.note = timeline, fate, note
        self.handlers, self.settings = handlers.by_kind(), handlers.settings
        self.server = Process("server")
        self.workers = [Process(f"worker {number + 1}") for number in range(worker_count)]
        # By the run: one may still be on its way out when the same work has begun again.
        self._running: dict[Process, dict[object, tuple[Job, bool]]] = defaultdict(dict)
        self._something_changed = True
        self._look_at: datetime | None = None
        self._turn = 0
        self._begin: Callable[[], AbstractAsyncContextManager[Any]] = in_transaction
        # Where third parties lie there are more reasons.
        self.for_a_person: Callable[[Job, NeedsPerson], bool] = for_a_person

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Let fate stand beside every transaction for as long as the context lasts.

        A statement that is a transaction by itself leaves no room beside it, so nothing is written by one.
        """
        with (
            patch.object(models.database, "tortoise_transaction", self._transaction),
            patch.object(operations, "may_write_alone", lambda: False),
        ):
            yield

    async def request(
        self, work: Callable[[datetime], Coroutine[Any, Any, T]], *, cancel_after_s: float | None = None
    ) -> T:
        """Have the server do something, once. Raises ProcessDied or CancelledError where no answer comes."""
        result: T = await self.timeline.apart(
            work(self.timeline.now), process=self.server, cancel_after_s=cancel_after_s
        )
        return result

    async def receive(self, letter: Letter) -> None:
        """Take a callback as the endpoint does. Raises ProcessDied where it is not acknowledged."""

        async def record(now: datetime) -> None:
            self.note(f"{self.server.name} is told {letter.facts}")
            await record_notice(source=letter.source, notice_id=letter.notice_id, facts=to_row(letter.facts), now=now)

        await self.request(record)

    def kill(self, process: Process) -> None:
        """End a process now, and let another take its place in a while."""
        if process.dead:
            return
        self.note(f"{process.name} dies")
        self.timeline.kill(process)
        self.timeline.start(lambda: self._restart(process), name=f"restart {process.name}", after_s=RESTART_S)

    def freeze(self, process: Process, *, seconds: float) -> None:
        """Stop a process for a while, as a host does that is short of everything; it knows nothing of it."""
        process.frozen_until = self.timeline.now + timedelta(seconds=seconds)
        self.note(f"{process.name} freezes")
        self.timeline.start(self._notice, name="look again", after_s=seconds)

    async def look_for_work(self) -> None:
        """Have a worker look when there may be something to do; call it after each turn."""
        if not self._something_changed:
            return
        self._something_changed = False
        due_at = await self.next_due_at()
        if due_at is None:
            return
        look_at = max(due_at, self.timeline.now) + timedelta(seconds=WAKE_S)
        if self._look_at is None or look_at < self._look_at:
            self._look_at = look_at
            wait_s = (look_at - self.timeline.now).total_seconds()
            self.timeline.call(lambda: self._look(look_at), after_s=wait_s)

    async def next_due_at(self) -> datetime | None:
        (row,) = await Tortoise.get_connection("default").execute_query_dict(NEXT_DUE)
        found = row["due_at"]
        return datetime.fromisoformat(found) if isinstance(found, str) else found

    async def run_due(self, process: Process) -> int:
        """Claim what is due and start it in the process, as the worker does; return how much it was."""
        now, running = self.timeline.now, self._running[process]
        if await queries.suspect_waits(now=now):
            suspect = None if running else await work.claim_suspect(owner=process.name, lease=LEASE, now=now)
            if suspect:
                self._start(suspect, process, alone=True)
            return 1 if suspect else 0
        jobs = await work.claim(
            owner=process.name,
            limit=JOBS_AT_ONCE - len(running),
            lease=LEASE,
            running=Counter(job.kind for job, _ in running.values()),
            now=now,
        )
        for job in jobs:
            self._start(job, process)
        return len(jobs)

    async def run_one(self, process: Process, job_id: UUID) -> None:
        """Claim what is due, give back all of it but one job, and start that in the process."""
        now = self.timeline.now
        for job in await work.claim(owner=process.name, limit=CLAIMS_MAX, lease=LEASE, now=now):
            if job.id == job_id:
                self._start(job, process)
            else:
                await work.release(job, claims=job.claims - 1)

    def rest(self) -> None:
        """Have no worker look of itself until a turn is given again after which work is looked for."""
        self._look_at, self._something_changed = None, True

    def able_worker(self) -> Process | None:
        """Return a worker that has room for work, or None."""
        return next((worker for worker in self.workers if self._is_able(worker)), None)

    def _look(self, at: datetime) -> None:
        if at != self._look_at:
            # There was reason to look earlier, and whoever did has arranged the next look.
            return
        self._look_at = None
        able = [worker for worker in self.workers if self._is_able(worker)]
        if not able:
            # Whoever comes back, or has room again, looks again.
            return
        self._turn += 1
        process = able[self._turn % len(able)]

        async def claim() -> None:
            await self.run_due(process)

        self.timeline.start(claim, name=f"{process.name} claims", process=process)

    def _is_able(self, worker: Process) -> bool:
        running = self._running[worker]
        alone = any(alone for _, alone in running.values())
        free = len(running) < JOBS_AT_ONCE and not alone
        return free and not worker.dead and not worker.is_frozen(self.timeline.now)

    def _start(self, job: Job, process: Process, *, alone: bool = False) -> None:
        running = self._running[process]
        this_run = object()
        running[this_run] = (job, alone)

        async def run() -> None:
            structlog.contextvars.bind_contextvars(request_id=f"job:{job.id}", job=job.kind)
            self.note(f"{process.name} runs {job.kind} {job.key}")
            try:
                await self._attempt(job, alone=alone)
            except LeaseLost:
                self.note(f"{process.name} has lost {job.kind} {job.key}")
                self.fate.counts["a job is taken over while it runs"] += 1
                with suppress(LeaseLost):
                    await work.release(job, claims=job.claims - (not alone))
            finally:
                running.pop(this_run)
                self._something_changed = True

        self.timeline.start(run, name=f"{job.kind} {job.key}", process=process)

    async def _attempt(self, job: Job, *, alone: bool) -> None:
        if job.claims >= self.settings.job_crashes_max:
            await work.park(job, reason=f"its worker died {job.claims} times", runs=0, now=self.timeline.now)
            return
        if alone:
            await work.begin_alone(job)
        try:
            with models.database.guarded(partial(work.hold, job)):
                due_at = await self.handlers[job.kind](job, self.timeline.now)
        except NeedsPerson as error:
            self._leave_to_a_person(job, error)
            await work.park(job, reason=str(error), now=self.timeline.now)
        else:
            if due_at is None:
                await work.finish(job, now=self.timeline.now)
            else:
                await work.again(job, due_at=due_at)

    def _leave_to_a_person(self, job: Job, error: NeedsPerson) -> None:
        self.note(f"left to a person: {job.kind} {job.key}: {error}")
        if not self.for_a_person(job, error):
            raise LeftToNobody(f"{job.kind} {job.key}: {error}") from error

    async def _restart(self, dead: Process) -> None:
        fresh = Process(dead.name)
        if self.server is dead:
            self.server = fresh
        else:
            self.workers[self.workers.index(dead)] = fresh
        self._something_changed = True

    async def _notice(self) -> None:
        self._something_changed = True

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        process = self.timeline.process
        outcome = self.fate.commit() if process is not None else Commit.PLAIN
        if outcome is Commit.WAITS_BEFORE:
            await self.timeline.sleep(WAIT_S)
        async with self._begin():
            yield
            if outcome is Commit.DIES_BEFORE:
                self._die(process)
        self._something_changed = True
        if outcome is Commit.DIES_AFTER:
            self._die(process)
        if outcome is Commit.WAITS_AFTER:
            await self.timeline.sleep(WAIT_S)

    def _die(self, process: Process | None) -> None:
        assert process is not None
        self.kill(process)
        raise ProcessDied(process.name)
