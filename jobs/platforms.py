"""The work of the platforms: messages that are sent, and what is fetched by the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.messages import operations as messages
from domain.messages import scanning
from domain.messages.policy import Policy
from domain.orders.platforms import Platforms
from domain.work.operations import Kind
from domain.work.rules import backoff_s
from jobs.recurring import RecurringHandler
from jobs.worker import Handler
from kernel.settings import Settings
from models.jobs import Job

RETRY_FIRST_S = 5.0
# What a deployment does not offer is looked for again after this, since its settings may have changed by then.
OFF_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class PlatformWork:
    settings: Settings
    platforms: Platforms

    def by_kind(self) -> Mapping[str, Handler]:
        return {Kind.SEND_MESSAGE: self.send_message}

    def recurring(self) -> Mapping[str, RecurringHandler]:
        return {Kind.SCAN_EVENTS_TO_MESSAGE: self.scan_events}

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
        await scanning.scan(policy=Policy.of(self.settings), now=now)
        return now + timedelta(seconds=self.settings.message_scan_interval_s)
