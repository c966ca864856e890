"""Work without an end: one row per kind, whose handler always says when it is due next.

A worker writes the rows down when it starts (`work.ensure_recurring`); of many workers one at a time has the lease, as
with all work. What fails is retried, and parked in the end, like any other; what a person dismisses stays off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.access import signing_keys
from domain.access.policy import Policy
from domain.access.purging import purge as purge_access
from domain.events import purging
from domain.finance import reports
from domain.identity.tokens import authority
from domain.payments.operations import purge_nonces
from domain.signins import locks, records
from domain.voice import sessions
from domain.webhooks.delivering import purge_log
from domain.work import operations as work
from domain.work.operations import Kind
from jobs import ledger_partitions
from kernel import keys
from kernel.settings import Settings
from models.jobs import Job

RecurringHandler = Callable[[Job, datetime], Awaitable[datetime]]

PURGE_BATCH_SIZE_MAX = 1_000
PURGE_INTERVAL = timedelta(hours=1)
# Somebody who asks why they were signed out asks within days.
ACCESS_KEPT = timedelta(days=7)
# A period that was shortened is noticed within this time.
ROTATION_LOOK_MAX = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Recurring:
    settings: Settings

    def by_kind(self) -> Mapping[str, RecurringHandler]:
        return {
            Kind.PURGE_DONE_JOBS: self.purge_done_jobs,
            Kind.PREPARE_PARTITIONS: self.prepare_partitions,
            Kind.PURGE_EVENTS: self.purge_events,
            Kind.PURGE_WEBHOOK_LOG: self.purge_webhook_log,
            Kind.PURGE_VOICE_SESSIONS: self.purge_voice_sessions,
            Kind.PURGE_ACCESS: self.purge_access,
            Kind.PURGE_SIGN_INS: self.purge_sign_ins,
            Kind.ROTATE_SIGNING_KEYS: self.rotate_signing_keys,
            Kind.CLOSE_FINANCE_DAYS: self.close_finance_days,
        }

    async def purge_done_jobs(self, job: Job, now: datetime) -> datetime:
        """Delete one batch of old done work and of nonces, and come back at once as long as there is more.

        A signature may be as old as the freshness allows, and as far in the future: behind both its nonce is worthless.
        """
        before = now - timedelta(days=self.settings.job_history_days)
        stale = now - 2 * timedelta(seconds=self.settings.callback_age_max_s)
        jobs = await work.purge_done(before=before, limit=PURGE_BATCH_SIZE_MAX)
        nonces = await purge_nonces(before=stale, limit=PURGE_BATCH_SIZE_MAX)
        return now if PURGE_BATCH_SIZE_MAX in (jobs, nonces) else now + PURGE_INTERVAL

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

    async def purge_voice_sessions(self, job: Job, now: datetime) -> datetime:
        """Delete one batch of conversations that are over, and come back at once as long as there are more."""
        deleted = await sessions.purge(before=now, limit=PURGE_BATCH_SIZE_MAX)
        return now if deleted == PURGE_BATCH_SIZE_MAX else now + PURGE_INTERVAL

    async def close_finance_days(self, job: Job, now: datetime) -> datetime:
        """Close the finance report of the days that are over, each night."""
        return await reports.close_days(now=now)

    async def purge_access(self, job: Job, now: datetime) -> datetime:
        """Forget codes, refresh tokens, sessions and tries that are over for a while."""
        deleted = await purge_access(before=now - ACCESS_KEPT, limit=PURGE_BATCH_SIZE_MAX)
        return now if deleted == PURGE_BATCH_SIZE_MAX else now + PURGE_INTERVAL

    async def purge_sign_ins(self, job: Job, now: datetime) -> datetime:
        """Forget one batch of the audit of sign-ins that is as old as the settings say, and of counts of failures."""
        before = now - timedelta(days=self.settings.sign_in_history_days)
        lines = await records.purge(before=before, limit=PURGE_BATCH_SIZE_MAX)
        await locks.end_those_over(now=now)
        counts = await locks.purge(before=now - ACCESS_KEPT, limit=PURGE_BATCH_SIZE_MAX)
        return now if PURGE_BATCH_SIZE_MAX in (lines, counts) else now + PURGE_INTERVAL

    async def rotate_signing_keys(self, job: Job, now: datetime) -> datetime:
        """Let the next key take the place of one that has signed for its period; servers notice within a second."""
        due_at = await signing_keys.rotate_by_schedule(
            sealer=keys.sealer(self.settings), policy=Policy.of(self.settings), tokens=authority(self.settings), now=now
        )
        return min(due_at, now + ROTATION_LOOK_MAX)
