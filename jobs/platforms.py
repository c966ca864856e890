"""The work of the platforms: messages that are sent, and what is fetched by the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.identity import codes
from domain.messages import operations as messages
from domain.messages import purging, scanning
from domain.messages.policy import Policy
from domain.orders.platforms import Platforms
from domain.pricing import syncing
from domain.pricing.ports import PriceDocumentRefused, PriceSourceUnavailable
from domain.work.operations import Kind
from domain.work.rules import backoff_s
from jobs.recurring import PURGE_BATCH_SIZE_MAX, RecurringHandler
from jobs.worker import Handler
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.settings import Settings
from models.jobs import Job

log = get_logger(__name__)

RETRY_FIRST_S = 5.0
# What a deployment does not offer is looked for again after this, since its settings may have changed by then.
OFF_FOR = timedelta(hours=1)
CODES_KEPT_FOR = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class PlatformWork:
    settings: Settings
    platforms: Platforms

    def by_kind(self) -> Mapping[str, Handler]:
        return {Kind.SEND_MESSAGE: self.send_message}

    def recurring(self) -> Mapping[str, RecurringHandler]:
        return {
            Kind.SCAN_EVENTS_TO_MESSAGE: self.scan_events,
            Kind.SYNC_PRICES: self.sync_prices,
            Kind.PURGE_MESSAGES: self.purge_messages,
        }

    async def send_message(self, job: Job, now: datetime) -> datetime | None:
        sender = self.platforms.messages
        if sender is None:
            return now + OFF_FOR
        settled = await messages.send(message_id=UUID(job.payload["message_id"]), sender=sender, now=now)
        return None if settled else now + timedelta(seconds=backoff_s(job.attempts + 1, first_s=RETRY_FIRST_S))

    async def scan_events(self, job: Job, now: datetime) -> datetime:
        """Write down what is to be told of new events; messages go out as work of their own."""
        if self.platforms.messages is None:
            return now + OFF_FOR
        written = await scanning.scan(policy=Policy.of(self.settings), now=now)
        if written >= scanning.WRITTEN_PER_RUN_MAX:
            return now
        return now + timedelta(seconds=self.settings.message_scan_interval_s)

    async def sync_prices(self, job: Job, now: datetime) -> datetime:
        """Ask every province's platform; what one of them gets wrong stops neither the others nor the next time."""
        source = self.platforms.prices
        if source is None:
            return now + OFF_FOR
        for province_code in self.settings.price_platform_provinces:
            try:
                await syncing.sync(
                    source=source,
                    province_code=province_code,
                    limit_basis_points=self.settings.price_move_max_basis_points,
                    clock=utc_now,
                )
            except PriceSourceUnavailable:
                continue
            except (PriceDocumentRefused, syncing.PriceDocumentChanged) as error:
                log.error("prices.not_taken", province=province_code, reason=str(error))
        return now + timedelta(seconds=self.settings.price_sync_interval_s)

    async def purge_messages(self, job: Job, now: datetime) -> datetime:
        """Forget what no limit counts and nobody asks for any more, and come back at once as long as there is more."""
        await codes.purge(before=now - CODES_KEPT_FOR)
        before = now - timedelta(days=self.settings.message_history_days)
        purged = await purging.purge(before=before, limit=PURGE_BATCH_SIZE_MAX)
        return now if purged >= PURGE_BATCH_SIZE_MAX else now + OFF_FOR
