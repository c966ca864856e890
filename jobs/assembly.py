"""What runs in the background of a process: the worker, and the relay where this process is the one to publish."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from domain.events.telling import telling
from domain.orders.policy import Policy
from domain.orders.ports import ThirdParties
from domain.payments.health import Thresholds
from domain.payments.watching import watched
from jobs.channels import ChannelWork
from jobs.finance import Projection
from jobs.funds import FundWork
from jobs.handlers import Handlers
from jobs.issuers import IssuerWork
from jobs.platforms import PlatformWork
from jobs.reconciliation import ReconciliationWork, sources_of
from jobs.recurring import Recurring
from jobs.relay import Publisher, Relay
from jobs.wakes import RedisPublisher, forwarding_wakes, listen_for_wakes
from jobs.worker import Worker
from kernel.sealing import Sealer
from kernel.settings import Settings
from kernel.tasks import cancel_and_wait, spawn


@asynccontextmanager
async def relaying(publisher: Publisher, settings: Settings) -> AsyncIterator[None]:
    """Publish committed events for as long as the context lasts, and what is left of them at its end."""
    relay = Relay(publisher, settings)
    await relay.start()
    try:
        yield
    finally:
        await relay.stop()


def watching(third_parties: ThirdParties, settings: Settings) -> ThirdParties:
    """Return the third parties with payment channels whose calls leave marks in the open database."""
    return replace(third_parties, channels=watched(third_parties.channels, Thresholds.of(settings)))


@asynccontextmanager
async def working(settings: Settings, third_parties: ThirdParties, sealer: Sealer) -> AsyncIterator[Worker]:
    """Run due work, and the finance journal, for as long as the context lasts.

    Commits of other processes are heard of through Redis.
    """
    handlers = Handlers(settings=settings, third_parties=third_parties, policy=Policy.of(settings), sealer=sealer)
    platforms = PlatformWork(settings, third_parties.platforms)
    channels = ChannelWork(settings, third_parties.channels)
    bills = ReconciliationWork(settings, sources_of(third_parties))
    funds = FundWork(settings, third_parties, sealer)
    issuers = IssuerWork(settings, third_parties.issuers)
    recurring = {
        **Recurring(settings).by_kind(),
        **platforms.recurring(),
        **channels.recurring(),
        **issuers.recurring(),
        **bills.recurring(),
        **funds.recurring(),
    }
    worker = Worker(
        {**handlers.by_kind(), **platforms.by_kind(), **bills.by_kind(), **funds.by_kind(), **recurring},
        settings,
        recurring=recurring,
        timeouts_s=bills.timeouts_s(),
    )
    projection = Projection(settings)
    worker.start()
    projection.start()

    def wake() -> None:
        worker.poke()
        projection.poke()

    listening = [spawn(listen_for_wakes(settings.redis_url, wake), name="wakes")] if settings.redis_url else []
    try:
        yield worker
    finally:
        await cancel_and_wait(*listening)
        await worker.stop()
        await projection.stop()


@asynccontextmanager
async def publishing_to_redis(settings: Settings) -> AsyncIterator[None]:
    """Relay from a process without a hub. Without Redis nobody could hear it, so the servers poll the table then."""
    if not settings.redis_url:
        yield
        return
    publisher = RedisPublisher(settings.redis_url, sharded=settings.redis_sharded_pubsub)
    try:
        async with relaying(publisher, settings), forwarding_wakes(settings.redis_url), telling(publisher.publish):
            yield
    finally:
        await publisher.close()
