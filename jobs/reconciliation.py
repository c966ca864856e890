"""The work of comparing bills with our books: written down each morning, and tried until the bill is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from domain.orders.ports import ThirdParties
from domain.payments.bills import BillNotReady, BillRefused
from domain.payments.ports import ChannelRefused, ChannelUnavailable
from domain.reconciliation import scheduling
from domain.reconciliation.operations import Limits, TooManyDifferences, reconcile
from domain.reconciliation.runs import RunBusy, RunLost
from domain.reconciliation.sources import BillSource, ChannelSource, IssuerSource
from domain.work.operations import Kind
from domain.work.rules import backoff_s
from jobs.recurring import RecurringHandler
from jobs.worker import Handler, NeedsPerson
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.settings import Settings
from models.jobs import Job

log = get_logger(__name__)

# What may be otherwise the next time.
FOR_LATER = (BillNotReady, BillRefused, ChannelUnavailable, ChannelRefused, RunBusy, RunLost)


def sources_of(third_parties: ThirdParties) -> Mapping[str, BillSource]:
    """Return whose bills this deployment compares by itself, by name."""
    sources: list[BillSource] = [ChannelSource(merchant) for merchant in third_parties.channels.merchants]
    sources += [IssuerSource(issuer) for issuer in third_parties.issuers.all]
    return {source.name: source for source in sources}


def limits_of(settings: Settings) -> Limits:
    return Limits(
        lines_in_memory_max=settings.reconciliation_lines_in_memory_max,
        differences_max=settings.reconciliation_differences_max,
        lease=timedelta(seconds=settings.reconciliation_lease_s),
    )


def folder_of(settings: Settings) -> Path:
    """Return where bills and their sorted parts lie while they are compared; /tmp may be memory."""
    folder = settings.data_dir / "bills"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass(frozen=True, slots=True)
class ReconciliationWork:
    settings: Settings
    sources: Mapping[str, BillSource]

    def by_kind(self) -> Mapping[str, Handler]:
        return {Kind.RECONCILE: self.reconcile}

    def recurring(self) -> Mapping[str, RecurringHandler]:
        return {Kind.SCHEDULE_RECONCILIATIONS: self.schedule_days}

    def timeouts_s(self) -> Mapping[str, float]:
        """A bill of a million lines takes longer than other work may."""
        return {Kind.RECONCILE: self.settings.reconciliation_timeout_s}

    async def schedule_days(self, job: Job, now: datetime) -> datetime:
        hour = self.settings.reconciliation_hour
        return await scheduling.schedule_days(sources=sorted(self.sources), hour=hour, now=now)

    async def reconcile(self, job: Job, now: datetime) -> datetime | None:
        name, day = job.payload["source"], date.fromisoformat(job.payload["day"])
        source = self.sources.get(name)
        if source is None:
            raise NeedsPerson(f"this deployment has no bills of {name}")
        try:
            run = await reconcile(
                source=source,
                day=day,
                folder=folder_of(self.settings),
                limits=limits_of(self.settings),
                owner=f"job:{job.id}",
                clock=utc_now,
            )
        except FOR_LATER as error:
            log.warning("reconciliation.later", source=name, day=day.isoformat(), reason=type(error).__name__)
            if job.attempts + 1 >= self.settings.reconciliation_attempts_max:
                raise NeedsPerson(f"the bill of {name} of {day} cannot be used: {type(error).__name__}") from error
            first_s = self.settings.reconciliation_retry_first_s
            return now + timedelta(seconds=backoff_s(job.attempts + 1, first_s=first_s))
        except TooManyDifferences as error:
            raise NeedsPerson(f"the bill of {name} of {day} has more differences than can be real") from error
        tell = log.warning if run.difference_count else log.info
        tell("reconciliation.done", source=name, day=day.isoformat(), matched=run.matched_count, **run.counts)
        return None
