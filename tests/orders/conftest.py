"""The orders room on a fresh database, with the sandbox's third parties over HTTP and the real worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.identity.operations import sign_in
from domain.identity.viewer import Viewer
from domain.orders import audit, confirming, operations, paying
from domain.orders.policy import Policy
from domain.orders.ports import ThirdParties
from domain.orders.queries import story
from domain.payments.ports import Channels, TradeFacts
from jobs.handlers import Handlers
from jobs.worker import Worker
from kernel.clock import utc_now
from kernel.states import OrderState, RefundState
from models.cards import FuelCard
from models.jobs import Job
from models.orders import RechargeOrder
from models.payments import PaymentAttempt
from tests.factories import POLICY, SEALER, create_card, create_order, viewer_of
from tests.ledger.audit import assert_books_are_true
from tests.sandbox_fixtures import Sandbox
from tests.silence import PATIENCE_S, patient_third_parties

PAUSE_S = 0.01
# Long enough to be under way, and no longer: most tests wait until a recharge has arrived.
ISSUER_DELAY_MS = 20
# The work is made due again and again, and asking often must not use up how often may be asked.
QUERIES_MAX = 100_000


@dataclass(frozen=True)
class House:
    """What a test of a recharge needs, and the steps that many of them take."""

    sandbox: Sandbox
    third_parties: ThirdParties
    viewer: Viewer
    card: FuelCard
    worker: Worker
    policy: Policy = POLICY

    async def order(self, yuan: str | None = "500.00", **options: object) -> RechargeOrder:
        return await create_order(self.viewer, self.card, yuan=yuan, **options)  # type: ignore[arg-type]

    async def start_payment(
        self, order: RechargeOrder, key: str | None = None, **options: Any
    ) -> paying.StartedPayment:
        return await paying.start_payment(
            viewer=self.viewer,
            order_id=order.id,
            idempotency_key=key or uuid4().hex,
            channels=self.third_parties.channels,
            face=self.third_parties.face,
            policy=self.policy,
            now=utc_now(),
            **options,
        )

    async def cancel(self, order: RechargeOrder, *, viewer: Viewer | None = None) -> RechargeOrder:
        return await operations.cancel(
            viewer=viewer or self.viewer,
            order_id=order.id,
            channels=self.third_parties.channels,
            policy=self.policy,
            now=utc_now(),
        )

    async def confirm(self, facts: TradeFacts) -> RechargeOrder:
        return await confirming.confirm_payment(
            facts=facts, channels=self.third_parties.channels, actor="t", policy=self.policy, now=utc_now()
        )

    async def close(self, attempt: PaymentAttempt) -> None:
        """Have the channel say that an attempt is closed and unpaid."""
        await confirming.close_attempt(out_trade_no=attempt.out_trade_no, actor="t", reason="closed", now=utc_now())

    def on(self, channels: Channels) -> House:
        """Return the same house with other routes to pay by."""
        return replace(self, third_parties=replace(self.third_parties, channels=channels))

    def pay(self, started: paying.StartedPayment, *, force: bool = False) -> None:
        """Pay like the user, in WeChat."""
        assert started.parameters is not None
        self.sandbox.pay(started.parameters.package, force=force)

    async def paid_order(self, yuan: str = "500.00") -> RechargeOrder:
        """Return an order that the user has paid at the channel; the house has not heard of it yet."""
        order = await self.order(yuan)
        started = await self.start_payment(order)
        self.pay(started)
        return await RechargeOrder.get(id=order.id)

    async def work_until(self, order_id: UUID, reached: Callable[[RechargeOrder], bool]) -> RechargeOrder:
        """Run due work until the order is where the test wants it, then check the books."""

        async def check() -> RechargeOrder | None:
            await Job.filter(done_at__isnull=True, parked_at__isnull=True, kind__not="expire_order").update(
                due_at=utc_now()
            )
            await self.worker.run_due()
            await self.worker.settle()
            order = await RechargeOrder.get(id=order_id)
            return order if reached(order) else None

        give_up_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_s:
            order = await check()
            if order:
                await assert_books_are_true()
                assert await audit.findings() == []
                return order
            await asyncio.sleep(PAUSE_S)
        stuck = await RechargeOrder.get(id=order_id)
        raise AssertionError(f"stuck in {stuck.state}, refund {stuck.refund_state}: {await steps(order_id)}")

    async def work_until_state(self, order_id: UUID, state: OrderState) -> RechargeOrder:
        return await self.work_until(order_id, lambda order: order.state is state)

    async def work_until_refund(self, order_id: UUID, state: RefundState) -> RechargeOrder:
        return await self.work_until(order_id, lambda order: order.refund_state is state)

    async def attempt(self, order: RechargeOrder) -> PaymentAttempt:
        return await PaymentAttempt.get(order_id=order.id)


async def steps(order_id: UUID) -> list[int]:
    """Return the rows of the table that the order has taken."""
    return [step.rule for step in await story(order_id)]


@pytest.fixture
async def house(database: str, sandbox: Sandbox) -> AsyncIterator[House]:
    async with open_house(sandbox) as house:
        yield house


@asynccontextmanager
async def open_house(sandbox: Sandbox, **changes: Any) -> AsyncIterator[House]:
    """Open a house on the database that is open; `changes` replace settings."""
    sandbox.faults(issuer_delay_ms=ISSUER_DELAY_MS)
    settings = sandbox.settings(
        payment_query_delay_s=0.02,
        recharge_query_delay_s=0.02,
        recharge_queries_max=QUERIES_MAX,
        worker_in_server=False,
        **changes,
    )
    async with patient_third_parties(settings) as parties:
        user = await sign_in(code=sandbox.login_code(f"user-{uuid4().hex}"), login=parties.login, now=utc_now())
        viewer = viewer_of(user.id)
        handlers = Handlers(settings=settings, third_parties=parties, policy=Policy.of(settings), sealer=SEALER)
        worker = Worker(handlers.by_kind(), settings)
        yield House(sandbox, parties, viewer, await create_card(viewer), worker)
