"""The worker: claims due work, runs it while it has the lease, and puts back, parks or finishes it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import partial

import structlog

from domain.events import signals
from domain.work import operations as work
from domain.work import queries
from domain.work.operations import PAYLOADS, Kind, LeaseLost
from domain.work.rules import payload_problem
from jobs.leases import Lease
from kernel.backoff import Backoff
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.settings import Settings
from kernel.tasks import cancel_and_wait, spawn
from models.database import guarded
from models.jobs import Job

log = get_logger(__name__)

RELEASE_PATIENCE_S = 2.0
RENEWALS_PER_LEASE = 3
CLAIM_RETRY_MAX_S = 2.0
RECURRING_KEY = "recurring"
NO_TIMEOUTS: Mapping[str, float] = {}

# A handler returns when to run again, or None where the work is done.
Handler = Callable[[Job, datetime], Awaitable[datetime | None]]


class NeedsPerson(Exception):
    """No retry can settle this work; it waits in the manual queue with the reason."""


class Worker:
    """Runs work of the kinds it has handlers for. Any number of workers may run beside each other.

    Kinds in `recurring` have one row each that never ends; it is written down before the first claim. Kinds in
    `timeouts_s` may run for so many seconds, the others for as long as the settings say.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        settings: Settings,
        *,
        recurring: Collection[str] = (),
        timeouts_s: Mapping[str, float] = NO_TIMEOUTS,
    ) -> None:
        self._handlers = handlers
        self._timeouts_s = timeouts_s
        self._settings = settings
        self._lease = timedelta(seconds=settings.job_lease_s)
        self._owner = f"{socket.gethostname()[:24]}:{os.getpid()}"
        self._recurring = set(recurring)
        self._wake = asyncio.Event()
        self._stopping = False
        self._running: dict[asyncio.Task[None], Lease] = {}
        self._loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._loops = [spawn(self._run(), name="worker"), spawn(self._renew(), name="worker:leases")]

    def poke(self) -> None:
        """Look for work at once instead of at the next poll."""
        self._wake.set()

    async def stop(self) -> None:
        """Claim nothing more, give what runs a few seconds, and give back what is cut off then."""
        self._stopping = True
        self._wake.set()
        give_up_s = time.monotonic() + self._settings.worker_stop_patience_s
        # A claim that is under way is waited for, since nobody would run what it brings.
        await _ended(self._loops[:1], within_s=give_up_s - time.monotonic())
        await _ended(self._running, within_s=give_up_s - time.monotonic())
        await cancel_and_wait(*self._loops, *self._running)

    async def run_due(self, *, now: datetime | None = None) -> int:
        """Claim what is due, start it, and return how much it was.

        What may have killed a worker runs alone: it waits until everything else has ended, and nothing is claimed
        meanwhile.
        """
        if any(lease.alone for lease in self._running.values()):
            return 0
        began_s, now = time.monotonic(), now or utc_now()
        if await queries.suspect_waits(now=now):
            if self._running:
                return 0
            suspect = await work.claim_suspect(owner=self._owner, lease=self._lease, now=now)
            if suspect:
                self._start(suspect, began_s, alone=True)
                return 1
        jobs = await work.claim(
            owner=self._owner,
            limit=self._settings.worker_jobs_concurrent_max - len(self._running),
            lease=self._lease,
            running=Counter(lease.job.kind for lease in self._running.values()),
            now=now,
        )
        for job in jobs:
            self._start(job, began_s)
        return len(jobs)

    async def settle(self) -> None:
        """Wait for the work that runs now."""
        while self._running:
            await asyncio.wait(set(self._running))

    def _start(self, job: Job, began_s: float, *, alone: bool = False) -> None:
        lease = Lease(job, began_s=began_s, lease_s=self._settings.job_lease_s, alone=alone)
        task = spawn(self._handle(lease), name=f"job:{job.kind}")
        self._running[task] = lease
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._wake.set()

    async def _run(self) -> None:
        poll_s = self._settings.worker_poll_interval_ms / 1000
        backoff = Backoff(maximum_s=CLAIM_RETRY_MAX_S)
        with signals.listening() as self._wake:
            while not self._stopping:
                self._wake.clear()
                try:
                    await self._claim()
                    backoff.reset()
                    pause_s = poll_s
                except Exception as error:
                    pause_s = backoff.next_delay_s()
                    log.warning("worker.cannot_claim", error=type(error).__name__, retry_s=round(pause_s, 3))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._wake.wait()

    async def _claim(self) -> None:
        """Start what is due, as far as there is room."""
        await self._ensure_recurring()
        while not self._stopping and len(self._running) < self._settings.worker_jobs_concurrent_max:
            if not await self.run_due():
                break

    async def _ensure_recurring(self) -> None:
        for kind in sorted(self._recurring):
            await work.ensure_recurring(kind=Kind(kind), key=RECURRING_KEY, now=utc_now())
            self._recurring.discard(kind)

    async def _renew(self) -> None:
        """Renew the leases of what runs: they are short, so that a killed worker's work is taken over soon."""
        interval_s = self._settings.job_lease_s / RENEWALS_PER_LEASE
        while True:
            await asyncio.sleep(interval_s)
            if self._running:
                try:
                    # A renewal that is stuck is left behind, because the next one may find a better connection.
                    async with asyncio.timeout(interval_s):
                        await self._renew_all(list(self._running.values()))
                except Exception as error:
                    log.warning("worker.cannot_renew", error=type(error).__name__)

    async def _renew_all(self, leases: list[Lease]) -> None:
        began_s = time.monotonic()
        kept = await work.renew(jobs=[lease.job for lease in leases], lease=self._lease, now=utc_now())
        for lease in leases:
            if lease.job.id in kept:
                lease.renewed(began_s=began_s)
            else:
                lease.lose()

    async def _handle(self, lease: Lease) -> None:
        job = lease.job
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=f"job:{job.id}", job=job.kind)
        try:
            await self._attempt(lease)
        except LeaseLost:
            log.warning("job.lease_lost", key=job.key)
            await self._give_back(lease)
        except asyncio.CancelledError:
            await self._give_back(lease)
            raise
        except Exception as error:
            # The outcome could not be written down; the lease runs out and the work is due again.
            log.warning("job.outcome_lost", error=type(error).__name__)

    async def _attempt(self, lease: Lease) -> None:
        job = lease.job
        unfit = self._unfit(job)
        if unfit:
            log.error("job.parked", key=job.key, reason=unfit)
            await work.park(job, reason=unfit, runs=0, now=utc_now())
            return
        try:
            due_at = await lease.run(self._work(lease))
        except LeaseLost:
            raise
        except NeedsPerson as error:
            log.error("job.needs_person", key=job.key, reason=str(error))
            await work.park(job, reason=str(error), now=utc_now())
        except Exception as error:
            attempts_max = self._settings.job_attempts_max
            parked = await work.fail(job, error=type(error).__name__, attempts_max=attempts_max, now=utc_now())
            log.exception("job.failed", key=job.key, failures=job.failures + 1, parked=parked)
        else:
            if due_at is None:
                await work.finish(job, now=utc_now())
            else:
                await work.again(job, due_at=due_at)

    def _unfit(self, job: Job) -> str | None:
        """Return why the work must not run at all; None where it may."""
        if job.kind not in self._handlers:
            return f"no handler for {job.kind}"
        if job.claims >= self._settings.job_crashes_max:
            return f"its worker died {job.claims} times"
        return payload_problem(job.payload, PAYLOADS.get(job.kind, {}))

    async def _work(self, lease: Lease) -> datetime | None:
        if lease.alone:
            await work.begin_alone(lease.job)
        # Every transaction of the handler finds out first whether the work is still ours.
        with guarded(partial(work.hold, lease.job)):
            async with asyncio.timeout(self._timeouts_s.get(lease.job.kind, self._settings.job_timeout_s)):
                return await self._handlers[lease.job.kind](lease.job, utc_now())

    async def _give_back(self, lease: Lease) -> None:
        """Give back work that was cut off, unless somebody has it already: it is due at once and counts no death."""
        try:
            async with asyncio.timeout(RELEASE_PATIENCE_S):
                await work.release(lease.job, claims=lease.claims_before)
        except LeaseLost:
            pass
        except Exception as error:
            log.warning("job.not_given_back", key=lease.job.key, error=type(error).__name__)


async def _ended(tasks: Collection[asyncio.Task[None]], *, within_s: float) -> None:
    if tasks:
        await asyncio.wait(set(tasks), timeout=max(0.0, within_s))
