"""The worker: claims due work, runs it, and puts back, parks or finishes it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

import structlog

from domain.events import signals
from domain.work import operations as work
from domain.work.rules import backoff_s
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.settings import Settings
from kernel.tasks import cancel_and_wait, spawn
from models.jobs import Job

log = get_logger(__name__)

STOP_PATIENCE_S = 5.0
RENEWALS_PER_LEASE = 3

# A handler returns when to run again, or None where the work is done.
Handler = Callable[[Job, datetime], Awaitable[datetime | None]]


class NeedsPerson(Exception):
    """No retry can settle this work; it waits in the manual queue with the reason."""


class Worker:
    """Runs work of the kinds it has handlers for. Any number of workers may run beside each other."""

    def __init__(self, handlers: Mapping[str, Handler], settings: Settings) -> None:
        self._handlers = handlers
        self._settings = settings
        self._lease = timedelta(seconds=settings.job_lease_s)
        self._owner = f"{socket.gethostname()[:24]}:{os.getpid()}"
        self._wake = asyncio.Event()
        self._running: dict[asyncio.Task[None], Job] = {}
        self._loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._loops = [spawn(self._run(), name="worker"), spawn(self._renew(), name="worker:leases")]

    def poke(self) -> None:
        """Look for work at once instead of at the next poll."""
        self._wake.set()

    async def stop(self) -> None:
        """Claim nothing more and give what runs a few seconds; the leases of what is cut off then run out."""
        await cancel_and_wait(*self._loops)
        if self._running:
            await asyncio.wait(set(self._running), timeout=STOP_PATIENCE_S)
        await cancel_and_wait(*self._running)

    async def run_due(self, *, now: datetime | None = None) -> int:
        """Claim what is due, run it to its end, and return how much it was."""
        jobs = await work.claim(
            owner=self._owner,
            limit=self._settings.worker_jobs_concurrent_max - len(self._running),
            lease=self._lease,
            now=now or utc_now(),
        )
        for job in jobs:
            task = spawn(self._handle(job), name=f"job:{job.kind}")
            self._running[task] = job
            task.add_done_callback(self._done)
        return len(jobs)

    async def settle(self) -> None:
        """Wait for the work that runs now."""
        while self._running:
            await asyncio.wait(set(self._running))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._wake.set()

    async def _run(self) -> None:
        poll_s = self._settings.worker_poll_interval_ms / 1000
        failures = 0
        with signals.listening() as self._wake:
            while True:
                self._wake.clear()
                pause_s, failures = await self._claim(poll_s, failures)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._wake.wait()

    async def _claim(self, poll_s: float, failures: int) -> tuple[float, int]:
        """Start what is due, and return how long to wait for a wake and how often claiming failed in a row."""
        try:
            while len(self._running) < self._settings.worker_jobs_concurrent_max:
                if not await self.run_due():
                    break
        except Exception as error:
            pause_s = backoff_s(failures + 1)
            log.warning("worker.cannot_claim", error=type(error).__name__, retry_s=pause_s)
            return pause_s, failures + 1
        return poll_s, 0

    async def _renew(self) -> None:
        """Renew the leases of what runs: they are short, so that a killed worker's work is taken over soon."""
        while True:
            await asyncio.sleep(self._settings.job_lease_s / RENEWALS_PER_LEASE)
            if self._running:
                try:
                    await work.renew(jobs=list(self._running.values()), lease=self._lease, now=utc_now())
                except Exception as error:
                    log.warning("worker.cannot_renew", error=type(error).__name__)

    async def _handle(self, job: Job) -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=f"job:{job.id}", job=job.kind)
        try:
            await self._attempt(job)
        except Exception as error:
            # The outcome could not be written down; the lease runs out and the work is due again.
            log.warning("job.outcome_lost", error=type(error).__name__)

    async def _attempt(self, job: Job) -> None:
        handler = self._handlers.get(job.kind)
        if handler is None:
            await work.park(job, reason=f"no handler for {job.kind}", now=utc_now())
            return
        try:
            async with asyncio.timeout(self._settings.job_timeout_s):
                due_at = await handler(job, utc_now())
        except NeedsPerson as error:
            log.error("job.needs_person", key=job.key, reason=str(error))
            await work.park(job, reason=str(error), now=utc_now())
        except Exception as error:
            parked = await work.fail(
                job, error=f"{type(error).__name__}", attempts_max=self._settings.job_attempts_max, now=utc_now()
            )
            log.exception("job.failed", key=job.key, failures=job.failures + 1, parked=parked)
        else:
            if due_at is None:
                await work.finish(job, now=utc_now())
            else:
                await work.again(job, due_at=due_at)
