"""The road of an order from its creation to the end, step by step through the code that production runs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import structlog

from bench.growth.parties import PromptChannel, PromptIssuer, prompt_parties
from domain.identity.viewer import Viewer
from domain.orders import operations, paying
from domain.orders.creating import Wanted
from domain.orders.notices import Facts, to_row
from domain.orders.policy import Policy
from domain.payments.operations import record_notice
from jobs.handlers import Handlers
from jobs.worker import Worker
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.sealing import Sealer
from kernel.settings import Settings
from kernel.states import OrderState
from models.orders import RechargeAttempt, RechargeOrder
from models.payments import PaymentAttempt

STEPS = ("create", "pay", "confirm", "submit", "settle")
YUAN = Decimal("100.00")
SEALER = Sealer(bytes(32))
LIMITLESS_FEN = 10**12
# Work that waits for a third party's silence, such as the deadline of a payment, is due by then.
ALL_DUE_AFTER = timedelta(days=1)


class OrderAstray(Exception):
    """An order did not come to where its step leads, so what was measured is something else."""


def settings_of(url: str) -> Settings:
    """Return the settings of a run: no limit of a user is reached, and no work is due that nobody measures."""
    return Settings(
        database_url=url,
        # One connection is one process of the database, whose time and pages can be told.
        database_pool_size_max=1,
        recharge_daily_max_fen=LIMITLESS_FEN,
        review_above_fen=LIMITLESS_FEN,
        payment_deadline_s=86_400,
        payment_query_delay_s=86_400.0,
        recharge_query_delay_s=86_400.0,
        # On a busy machine an order is slow, and must not become another operation for that.
        database_command_timeout_s=60.0,
        database_acquire_timeout_s=60.0,
        job_lease_s=600.0,
    )


@dataclass(frozen=True, slots=True)
class Customer:
    """A user who was there before, and the card to recharge."""

    user_id: UUID
    card_id: UUID

    @property
    def viewer(self) -> Viewer:
        expires_at = utc_now() + timedelta(hours=1)
        return Viewer(self.user_id, client_id="growth", scopes=frozenset({"recharge"}), expires_at=expires_at)


class Road:
    """Leads one order after the other along it, with the real worker between the callbacks."""

    def __init__(self, settings: Settings) -> None:
        self.channel, self.issuer = PromptChannel(), PromptIssuer()
        self.policy = Policy.of(settings)
        self.parties = prompt_parties(self.channel, self.issuer)
        handlers = Handlers(settings=settings, third_parties=self.parties, policy=self.policy, sealer=SEALER)
        self._worker = Worker(handlers.by_kind(), settings)

    @asynccontextmanager
    async def order(self, customer: Customer) -> AsyncIterator[Journey]:
        """Give a new order's steps; at the end of the context the order must have succeeded. Raises OrderAstray."""
        structlog.contextvars.bind_contextvars(request_id=new_id().hex)
        journey = Journey(self, customer)
        yield journey
        await journey.require_success()

    async def finish_what_waits(self) -> None:
        """Run the work that was written down for the case that somebody is silent, as it runs when it is due."""
        later = utc_now() + ALL_DUE_AFTER
        while await self._worker.run_due(now=later):
            await self._worker.settle()

    async def work(self) -> None:
        await self._worker.run_due()
        await self._worker.settle()

    async def tell(self, source: str, facts: Facts) -> None:
        """Take a callback as its endpoint does, and apply it."""
        await record_notice(source=source, notice_id=str(new_id()), facts=to_row(facts), now=utc_now())
        await self.work()


class Journey:
    """One order's way. The steps are called once each, in their order; what the next one needs is read in between."""

    def __init__(self, road: Road, customer: Customer) -> None:
        self._road, self._customer = road, customer
        self._key = new_id().hex
        self._order: RechargeOrder | None = None
        self._out_trade_no = ""
        self._attempt_id = UUID(int=0)

    async def step(self, name: str) -> float:
        """Take the step, which is prepared, and return its seconds."""
        work = getattr(self, f"_{name}")
        begun_s = time.perf_counter()
        await work()
        return time.perf_counter() - begun_s

    async def prepare(self, name: str) -> None:
        """Read what the third party knows and tells in the step, because that is no part of it."""
        if name == "confirm":
            self._out_trade_no = (await PaymentAttempt.get(order_id=self._id)).out_trade_no
        elif name == "settle":
            self._attempt_id = (await RechargeAttempt.get(order_id=self._id)).id

    async def _create(self) -> None:
        road = self._road
        wanted = Wanted(operation=operations.CREATE, key=self._key, card_id=self._customer.card_id, yuan=YUAN)
        self._order = await operations.create(
            viewer=self._customer.viewer, wanted=wanted, policy=road.policy, now=utc_now()
        )

    async def _pay(self) -> None:
        road = self._road
        await paying.start_payment(
            viewer=self._customer.viewer,
            order_id=self._id,
            idempotency_key=self._key,
            channels=road.parties.channels,
            face=road.parties.face,
            policy=road.policy,
            now=utc_now(),
        )

    async def _confirm(self) -> None:
        channel = self._road.channel
        facts = channel.paid(out_trade_no=self._out_trade_no, amount_fen=self._amount_fen, now=utc_now())
        await self._road.tell(channel.name, facts)

    async def _submit(self) -> None:
        await self._road.work()

    async def _settle(self) -> None:
        issuer = self._road.issuer
        facts = issuer.recharged(attempt_id=self._attempt_id, amount_fen=self._amount_fen)
        await self._road.tell(issuer.name, facts)

    async def require_success(self) -> None:
        """Raises OrderAstray."""
        order = await RechargeOrder.get(id=self._id)
        if order.state is not OrderState.SUCCEEDED:
            raise OrderAstray(f"order {order.id} is {order.state} where it should have succeeded")

    @property
    def _id(self) -> UUID:
        assert self._order is not None
        return self._order.id

    @property
    def _amount_fen(self) -> int:
        assert self._order is not None
        return int(self._order.amount_fen)
