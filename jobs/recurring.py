"""Work without an end: one row per kind, whose handler always says when it is due next.

A worker writes the rows down when it starts (`work.ensure_recurring`); of many workers one at a time has the lease, as
with all work. What fails is retried, and parked in the end, like any other; what a person dismisses stays off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.events import purging
from domain.webhooks.delivering import purge_log
from domain.work import operations as work
from domain.work.operations import Kind
from jobs import ledger_partitions
from kernel.settings import Settings
from models.jobs import Job

RecurringHandler = Callable[[Job, datetime], Awaitable[datetime]]

PURGE_BATCH_SIZE_MAX = 1_000
PURGE_INTERVAL = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Recurring:
    settings: Settings

    def by_kind(self) -> Mapping[str, RecurringHandler]:
        return {
            Kind.PURGE_DONE_JOBS: self.purge_done_jobs,
            Kind.PREPARE_PARTITIONS: self.prepare_partitions,
            Kind.PURGE_EVENTS: self.purge_events,
            Kind.PURGE_WEBHOOK_LOG: self.purge_webhook_log,
        }

    async def purge_done_jobs(self, job: Job, now: datetime) -> datetime:
        """Delete one batch of old done work, and come back at once as long as there is more."""
        before = now - timedelta(days=self.settings.job_history_days)
        deleted = await work.purge_done(before=before, limit=PURGE_BATCH_SIZE_MAX)
        return now if deleted == PURGE_BATCH_SIZE_MAX else now + PURGE_INTERVAL

    async def purge_events(self, job: Job, now: datetime) -> datetime:
        """Delete one batch of old events, and come back at once as long as that finds any."""
        before = now - timedelta(days=self.settings.event_history_days)
        deleted = await purging.purge(before=before, limit=PURGE_BATCH_SIZE_MAX)
        return now if deleted else now + PURGE_INTERVAL

    async def prepare_partitions(self, job: Job, now: datetime) -> datetime:
        """Make the ledger's months of the time to come, each morning."""
        return await ledger_partitions.prepare_partitions(settings=self.settings, now=now)

    async def purge_webhook_log(self, job: Job, now: datetime) -> datetime:
        """Delete one batch of old attempts, and come back at once as long as there is more."""
        before = now - timedelta(days=self.settings.webhook_log_days)
        deleted = await purge_log(before=before, limit=PURGE_BATCH_SIZE_MAX)
        return now if deleted == PURGE_BATCH_SIZE_MAX else now + PURGE_INTERVAL
