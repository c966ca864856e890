"""A house whose webhooks are delivered inside the test, and partners who register with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from domain.budgets.operations import Budgets
from domain.events.operations import append
from domain.events.streams import EventType, arrivals_stream
from domain.identity.scopes import Scope
from domain.identity.viewer import Viewer
from domain.orders.policy import Policy as OrderPolicy
from domain.webhooks import operations
from domain.webhooks.policy import Policy
from domain.webhooks.ports import Asked
from gateways.webhooks import sending
from jobs.assembly import relaying
from kernel.clock import utc_now
from kernel.errors import Locale
from kernel.settings import Settings
from kernel.states import WebhookState
from models.database import transactional
from models.orders import RechargeOrder
from models.webhooks import Webhook, WebhookDelivery
from resolvers import loaders
from schema import root
from schema.extensions.trusted import TrustedDocuments, hash_of
from schema.types.context import Services, Webhooks
from subscriptions.broadcasting import create_broadcast
from subscriptions.execution import Executor
from subscriptions.hub import Hub
from subscriptions.webhook_admission import SchemaAdmission
from subscriptions.webhooks import Deliverer
from tests.factories import SEALER, create_card, create_order, create_viewer
from tests.subscriptions.serving import TOKENS
from tests.subscriptions.support import eventually, settings_for

ARRIVALS = """
subscription Arrived($after: String) {
  arrivals(after: $after) {
    ... on StreamEvent { cursor }
    ... on ArrivalEvent { notice { text amount { fen } order { id state } } }
    ... on StreamGap { reason }
  }
}"""
SCHEMA = root.build()
# How the tasks are called of what a house runs.
OURS = ("webhook", "channel", "relay", "transaction")


@dataclass
class Clock:
    """The time of day, with as much added as a test wants to have passed."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return utc_now() + self.ahead

    def pass_to(self, moment: datetime) -> None:
        self.ahead = max(self.ahead, moment - utc_now())


@dataclass
class House:
    services: Services
    clock: Clock
    deliverer: Deliverer
    poked: asyncio.Event

    async def register(
        self, viewer: Viewer, url: str, *, after: str | None = None, **asked: Any
    ) -> operations.WithSecret:
        assert self.services.webhooks is not None
        given = {"document": ARRIVALS, "variables": {}, "operation_name": None, **asked}
        locale: Locale = given.pop("locale", "en")
        made = await operations.register(
            viewer=viewer,
            url=url,
            asked=Asked(**given),
            after=after,
            locale=locale,
            admission=self.services.webhooks.admission,
            sender=self.services.webhooks.sender,
            sealer=SEALER,
            policy=self.services.webhooks.policy,
            now=self.clock(),
        )
        self.poked.set()
        return made

    async def resume(self, viewer: Viewer, webhook_id: UUID, *, after: str | None = None) -> Webhook:
        assert self.services.webhooks is not None
        admission = self.services.webhooks.admission
        resumed = await operations.resume(
            viewer=viewer, webhook_id=webhook_id, after=after, admission=admission, now=self.clock()
        )
        self.poked.set()
        return resumed

    async def retried(self, webhook_id: UUID, *, attempt: int) -> Webhook:
        """Return the webhook once so many attempts of its event have failed, and let the time until the next pass."""
        await eventually(lambda: _failed(webhook_id, attempt))
        webhook = await Webhook.get(id=webhook_id)
        self.clock.pass_to(webhook.next_attempt_at)
        self.poked.set()
        return webhook


async def _failed(webhook_id: UUID, attempt: int) -> bool:
    webhook = await Webhook.get(id=webhook_id)
    return webhook.attempt >= attempt and webhook.lease_owner is None


async def suspended(webhook_id: UUID) -> Webhook:
    """Return the webhook once it is suspended."""

    async def is_so() -> bool:
        return (await Webhook.get(id=webhook_id)).state is WebhookState.SUSPENDED

    await eventually(is_so)
    return await Webhook.get(id=webhook_id)


async def log_of(webhook_id: UUID) -> list[WebhookDelivery]:
    """The log, the oldest first."""
    return await WebhookDelivery.filter(webhook_id=webhook_id).order_by("id")


async def create_partner() -> Viewer:
    viewer = await create_viewer()
    return replace(viewer, scopes=frozenset({Scope.RECHARGE, Scope.WEBHOOKS}))


class Arrivals:
    """What arrives for one viewer: each order is another amount, so that order and loss can be seen."""

    def __init__(self, viewer: Viewer, order: RechargeOrder) -> None:
        self.viewer, self.order = viewer, order
        self.amounts: list[int] = []

    @classmethod
    async def of(cls, viewer: Viewer) -> Arrivals:
        return cls(viewer, await create_order(viewer, await create_card(viewer)))

    @transactional
    async def happen(self, count: int = 1) -> None:
        """Append so many arrivals in one transaction, of 1 fen, 2 fen and so on."""
        for _ in range(count):
            amount_fen = len(self.amounts) + 1
            await append(
                stream=arrivals_stream(self.viewer.user_id),
                type=EventType.RECHARGE_ARRIVED,
                payload={"order_id": str(self.order.id), "amount_fen": amount_fen},
                now=utc_now(),
            )
            self.amounts.append(amount_fen)


def amounts(messages: list[Any]) -> list[int]:
    return [message["data"]["arrivals"]["notice"]["amount"]["fen"] for message in messages]


def webhook_settings(**values: Any) -> Settings:
    return settings_for(**{"webhook_poll_interval_ms": 20, "webhook_timeout_s": 5.0, **values})


@asynccontextmanager
async def house(**values: Any) -> AsyncIterator[House]:
    settings = webhook_settings(**values)
    async with AsyncExitStack() as stack:
        broadcast = await stack.enter_async_context(create_broadcast(settings))
        hub = Hub(broadcast, settings)
        stack.push_async_callback(hub.close)
        await stack.enter_async_context(relaying(broadcast, settings))
        sender = await stack.enter_async_context(sending(settings))
        poked, clock = asyncio.Event(), Clock()
        services = Services(
            settings=settings,
            third_parties=cast(Any, None),
            policy=OrderPolicy.of(settings),
            sealer=SEALER,
            tokens=TOKENS,
            events=hub,
            stations=cast(Any, None),
            prices=cast(Any, None),
            budgets=Budgets.of(settings),
            webhooks=Webhooks(
                admission=SchemaAdmission(
                    SCHEMA,
                    loaders=loaders.build,
                    documents=TrustedDocuments({hash_of(ARRIVALS): ARRIVALS}, only=settings.trusted_documents_only),
                    services=lambda: services,
                ),
                sender=sender,
                policy=Policy.of(settings),
                poke=poked.set,
            ),
        )
        deliverer = Deliverer(
            Executor(SCHEMA, loaders=loaders.build),
            services=services,
            sender=sender,
            poked=poked,
            clock=clock,
        )
        deliverer.start()
        stack.push_async_callback(deliverer.stop)
        yield House(services, clock, deliverer, poked)
    # A transaction that was under way when its owner was stopped comes to its end by itself.
    await eventually(lambda: not [task for task in asyncio.all_tasks() if task.get_name().startswith(OURS)])
