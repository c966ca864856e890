"""Delivering webhooks: each runs its subscription from its cursor, and the cursor moves when the receiver has taken it.

Every server process does this. Of a webhook, one process at a time has the lease, renews it while it waits for events
or for the receiver, and gives it back when it ends; a killed one's are taken over when their leases are over. There may
be more webhooks than one process can hold: those that have nothing to do then make room for those that wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import datetime, timedelta

import structlog

from domain.events.ports import EventSource, StoredEvent
from domain.webhooks import delivering, operations, queries, rules
from domain.webhooks.delivering import WebhookLeaseLost
from domain.webhooks.policy import Policy
from domain.webhooks.ports import Asked, DeliveryError, Outcome, WebhookSender
from kernel.backoff import Backoff
from kernel.clock import utc_now
from kernel.errors import Locale
from kernel.logs import get_logger
from kernel.sealing import SealBroken
from kernel.states import SuspensionReason
from kernel.tasks import cancel_and_wait, spawn
from models.webhooks import Webhook
from schema.types.context import Context, Loaders, Services
from subscriptions.deliveries import Delivery, OperationRefused
from subscriptions.errors import is_internal
from subscriptions.execution import Executor
from subscriptions.schemas import ExecutableSchema
from subscriptions.webhook_admission import request_of
from subscriptions.webhook_bodies import body_of

log = get_logger(__name__)

RENEWALS_PER_LEASE = 3
# Nothing is sent in this last part of a lease, so that clocks that are a little off do not let two processes send.
MARGIN_SHARE = 1 / 6
# Of many that wait, other processes shall have a share, too.
CLAIMED_AT_ONCE_MAX = 16
CLAIM_RETRY_MAX_S = 5.0
RELEASE_PATIENCE_S = 1.0
ENDED_PAUSE = timedelta(seconds=5)
OWNER_LENGTH_MAX = 48
NOT_EXECUTED = Outcome(status=None, latency_ms=0, error=DeliveryError.EXECUTION)


class ExecutionFailed(Exception):
    """The subscription broke off on our side; the cause says how."""


class Noting:
    """An event source that notes when the newest event that was read from it has occurred."""

    def __init__(self, source: EventSource) -> None:
        self._source = source
        self.occurred_at: datetime | None = None

    async def follow(self, stream: str, *, after: int | None) -> AsyncGenerator[StoredEvent, None]:
        async with aclosing(self._source.follow(stream, after=after)) as events:
            async for event in events:
                self.occurred_at = event.occurred_at
                yield event


class Held:
    """One webhook whose lease this process has, on the monotonic clock: it counts on while the process is stopped."""

    def __init__(self, webhook: Webhook, *, began_s: float, lease_s: float) -> None:
        self.webhook = webhook
        self.idle_since_s: float | None = time.monotonic()
        self._lasts_s = lease_s * (1 - MARGIN_SHARE)
        self._until_s = began_s + self._lasts_s

    @property
    def holds(self) -> bool:
        return time.monotonic() < self._until_s

    def renewed(self, *, began_s: float) -> None:
        """Count the lease anew from when its renewal was sent."""
        if self.holds:
            self._until_s = max(self._until_s, began_s + self._lasts_s)

    def lose(self) -> None:
        self._until_s = float("-inf")


class Deliverer:
    """Claims webhooks that are due and delivers them, until it is stopped."""

    def __init__(
        self,
        executor: Executor,
        *,
        services: Services,
        sender: WebhookSender,
        poked: asyncio.Event | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._executor, self._services = executor, services
        self._sender, self._clock = sender, clock
        self._settings = services.settings
        self._policy = Policy.of(services.settings)
        self._lease = timedelta(seconds=services.settings.webhook_lease_s)
        self._owner = f"{socket.gethostname()}:{os.getpid()}"[:OWNER_LENGTH_MAX]
        self._sending = asyncio.Semaphore(services.settings.webhooks_concurrent_max)
        self._held: dict[asyncio.Task[None], Held] = {}
        self._claiming: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._stopping = False
        # Set by whoever knows that there may be something to claim.
        self._poked = poked or asyncio.Event()

    @property
    def holding(self) -> int:
        """How many webhooks this process has leased."""
        return len(self._held)

    def start(self) -> None:
        self._claiming = spawn(self._run(), name="webhooks")
        self._renewing = spawn(self._renew(), name="webhooks:renew")

    async def stop(self) -> None:
        """Let what is being sent come to its end, for a while, and give everything back."""
        self._stopping = True
        if self._claiming is not None:
            await cancel_and_wait(self._claiming)
        idle = [task for task, held in self._held.items() if held.idle_since_s is not None]
        await cancel_and_wait(*idle)
        if self._held:
            await asyncio.wait(set(self._held), timeout=self._settings.webhook_stop_patience_s)
        await cancel_and_wait(*self._held)
        if self._renewing is not None:
            await cancel_and_wait(self._renewing)

    async def _run(self) -> None:
        poll_s = self._settings.webhook_poll_interval_ms / 1_000
        backoff = Backoff(maximum_s=CLAIM_RETRY_MAX_S)
        while True:
            self._poked.clear()
            try:
                pause_s = 0.0 if await self._claim() else poll_s
                backoff.reset()
            except Exception as error:
                pause_s = backoff.next_delay_s()
                log.warning("webhooks.cannot_claim", error=type(error).__name__, retry_s=round(pause_s, 3))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._poked.wait()

    async def _claim(self) -> bool:
        """Start what is due, as far as there is room; return whether there may be more."""
        now = self._clock()
        # Mostly there is nothing, and claiming would lock to find that out.
        waiting = await delivering.due(now=now, limit=CLAIMED_AT_ONCE_MAX)
        if not waiting:
            return False
        room = self._settings.webhooks_held_max - len(self._held)
        if room <= 0:
            self._make_room(waiting)
            return False
        limit = min(room, CLAIMED_AT_ONCE_MAX)
        began_s = time.monotonic()
        claimed = await delivering.claim(owner=self._owner, limit=limit, lease=self._lease, now=now)
        for webhook in claimed:
            held = Held(webhook, began_s=began_s, lease_s=self._settings.webhook_lease_s)
            task = spawn(self._serve(held), name=f"webhook:{webhook.id}")
            self._held[task] = held
            task.add_done_callback(self._done)
        return len(claimed) == limit

    def _make_room(self, wanted: int) -> None:
        """Let go of those that have had nothing to do for the longest; their turn comes again."""
        before_s = time.monotonic() - self._settings.webhook_turn_s
        idle = [(held.idle_since_s, task) for task, held in self._held.items() if held.idle_since_s is not None]
        for since_s, task in sorted(idle, key=lambda each: each[0])[:wanted]:
            if since_s < before_s:
                task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._held.pop(task, None)
        self._poked.set()

    async def _renew(self) -> None:
        interval_s = self._settings.webhook_lease_s / RENEWALS_PER_LEASE
        while True:
            await asyncio.sleep(interval_s)
            if not self._held:
                continue
            try:
                # A renewal that is stuck is left behind, because the next one may find a better connection.
                async with asyncio.timeout(interval_s):
                    await self._renew_all(dict(self._held))
            except Exception as error:
                log.warning("webhooks.cannot_renew", error=type(error).__name__)
            for task, held in list(self._held.items()):
                if not held.holds:
                    task.cancel()

    async def _renew_all(self, all_held: dict[asyncio.Task[None], Held]) -> None:
        began_s = time.monotonic()
        webhooks = [held.webhook for held in all_held.values()]
        kept = await delivering.renew(webhooks=webhooks, lease=self._lease, now=self._clock())
        for held in all_held.values():
            if held.webhook.id in kept:
                held.renewed(began_s=began_s)
            else:
                held.lose()

    async def _serve(self, held: Held) -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=f"webhook:{held.webhook.id}")
        try:
            await self._deliver_all(held)
            # A subscription that is complete begins again in a while, since what it follows may go on.
            await self._give_back(held, after=timedelta() if self._stopping else ENDED_PAUSE)
        except asyncio.CancelledError:
            await self._give_back(held)
            raise
        except WebhookLeaseLost:
            log.info("webhook.lease_lost")
        except Exception as error:
            # The outcome could not be written down: the lease runs out, and the event is sent again under its id.
            log.warning("webhook.outcome_lost", exc_info=error)

    async def _deliver_all(self, held: Held) -> None:
        """Deliver event by event until one fails, or the source ends."""
        webhook, locale = held.webhook, _locale(held.webhook)
        if not await self._owner_is_there(webhook):
            return
        context = Context(
            services=self._services,
            viewer=queries.owner_of(webhook, now=self._clock()),
            locale=locale,
            clock=self._clock,
        )
        source = Noting(self._services.events)
        try:
            asked = Asked(webhook.document, webhook.variables, webhook.operation_name)
            prepared = self._executor.prepare(request_of(webhook.document, asked, webhook.cursor), context)
            stream = await self._executor.subscribe(prepared, context, events=source)
            async with aclosing(stream):
                while (delivery := await _next(stream)) is not None:
                    held.idle_since_s = None
                    if not await self._deliver(held, delivery, source.occurred_at) or self._stopping:
                        return
                    held.idle_since_s = time.monotonic()
        except OperationRefused as refusal:
            await self._refused(held, refusal)
        except ExecutionFailed as failure:
            log.error("webhook.execution_failed", exc_info=failure.__cause__)
            await self._failed(held, None, None, NOT_EXECUTED)

    async def _deliver(self, held: Held, delivery: Delivery, occurred_at: datetime | None) -> bool:
        """Send one event; return whether the next one may follow."""
        webhook, cursor = held.webhook, delivery.cursor
        if cursor is None:
            return True
        if not await self._owner_is_there(webhook):
            return False
        await self._pay(webhook, delivery)
        body = body_of(
            event_type=webhook.event_type,
            occurred_at=occurred_at or self._clock(),
            cursor=cursor,
            payload=delivery.payload,
            size_max=self._settings.webhook_payload_size_max_bytes,
            locale=_locale(webhook),
        )
        message_id = rules.message_id(webhook.id, cursor)
        async with self._sending:
            # Asked anew for each event, so that nothing is sent once its owner was told that it is paused or deleted.
            if not held.holds or not await delivering.is_held(webhook):
                raise WebhookLeaseLost
            now = self._clock()
            headers = rules.signed_headers(self._secrets_of(webhook, now), message_id=message_id, body=body, now=now)
            outcome = await self._sender.send(webhook.url, headers=headers, body=body)
        if not outcome.succeeded:
            await self._failed(held, message_id, cursor, outcome)
            return False
        await delivering.delivered(webhook, message_id=message_id, cursor=cursor, outcome=outcome, now=self._clock())
        return True

    async def _pay(self, webhook: Webhook, delivery: Delivery) -> None:
        """Charge the event to the webhook's owner, and wait where they have spent what they may; none is left out."""
        budgets = self._services.budgets
        owner = queries.owner_of(webhook, now=self._clock())
        draw = budgets.draw(viewer=owner, address="", cost=delivery.cost)
        draw = draw.of(min(draw.amount, draw.bucket.capacity))
        wait_s = budgets.buckets.spend(draw).wait_s
        while wait_s > 0:
            await asyncio.sleep(wait_s)
            wait_s = budgets.buckets.spend(draw).wait_s

    def _secrets_of(self, webhook: Webhook, now: datetime) -> list[str]:
        """Raises ExecutionFailed where the data key is another one than they were sealed with."""
        try:
            return operations.secrets_of(webhook, sealer=self._services.sealer, now=now)
        except SealBroken as error:
            raise ExecutionFailed from error

    async def _failed(self, held: Held, message_id: str | None, cursor: str | None, outcome: Outcome) -> None:
        reason = await delivering.failed(
            held.webhook,
            message_id=message_id,
            cursor=cursor,
            outcome=outcome,
            policy=self._policy,
            jitter=random.random(),  # noqa: S311 -- spreading retries needs no secrecy.
            now=self._clock(),
        )
        log.info("webhook.failed", error=outcome.error, status=outcome.status)
        if reason:
            log.warning("webhook.suspended", reason=reason.value)

    async def _refused(self, held: Held, refusal: OperationRefused) -> None:
        """Try again later where we failed; stop where the owner may not take the subscription any more."""
        error = refusal.errors[0]
        if is_internal(error):
            await self._failed(held, None, None, NOT_EXECUTED)
            return
        log.warning("webhook.suspended", reason=SuspensionReason.REFUSED.value, code=error["extensions"]["code"])
        await delivering.suspend(held.webhook, reason=SuspensionReason.REFUSED)

    async def _owner_is_there(self, webhook: Webhook) -> bool:
        if await queries.owner_is_there(webhook, now=self._clock()):
            return True
        log.warning("webhook.suspended", reason=SuspensionReason.OWNER_GONE.value)
        await delivering.suspend(webhook, reason=SuspensionReason.OWNER_GONE)
        return False

    async def _give_back(self, held: Held, *, after: timedelta = timedelta()) -> None:
        """Give back what nobody else has by now."""
        try:
            async with asyncio.timeout(RELEASE_PATIENCE_S):
                await delivering.release(held.webhook, due_at=self._clock() + after)
        except WebhookLeaseLost:
            pass
        except Exception as error:
            log.warning("webhook.not_given_back", error=type(error).__name__)


async def _next(stream: AsyncGenerator[Delivery, None]) -> Delivery | None:
    """Return the next delivery, None at the end. Raises ExecutionFailed for whatever goes wrong on our side."""
    try:
        return await anext(stream, None)
    except Exception as error:
        raise ExecutionFailed from error


def _locale(webhook: Webhook) -> Locale:
    return "en" if webhook.locale == "en" else "zh-CN"


@asynccontextmanager
async def delivering_webhooks(
    schema: ExecutableSchema,
    *,
    services: Services,
    loaders: Callable[[], Loaders],
    sender: WebhookSender,
    poked: asyncio.Event,
) -> AsyncIterator[Deliverer]:
    """Deliver webhooks for as long as the context lasts."""
    executor = Executor(schema, loaders=loaders)
    deliverer = Deliverer(executor, services=services, sender=sender, poked=poked)
    deliverer.start()
    try:
        yield deliverer
    finally:
        await deliverer.stop()
