"""What each kind of work does: one domain call, and when to come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.cards.ports import RechargeFacts
from domain.ledger.operations import PostedAlready
from domain.orders import paying, recharging, refunding
from domain.orders.lifecycle import TransitionRefused, Trigger
from domain.orders.notices import from_row
from domain.orders.operations import give_up_unpaid
from domain.orders.ports import ThirdParties
from domain.orders.queries import UNPAID, by_id
from domain.payments.ports import (
    PAID_TRADES,
    ChannelRefused,
    ChannelUnavailable,
    RefundFacts,
    TradeFacts,
    TradeState,
)
from domain.payments.rules import PaymentMismatch
from domain.pricing import operations as pricing
from domain.work.operations import Kind
from domain.work.rules import backoff_s
from jobs.worker import Handler, NeedsPerson
from kernel.sealing import Sealer
from kernel.settings import Settings
from kernel.states import PaymentState
from models.jobs import Job
from models.payments import PaymentAttempt, ThirdPartyNotice

ACTOR = "system"
FOR_A_PERSON = (
    paying.UnknownPayment,
    paying.UnexpectedPayment,
    PaymentMismatch,
    recharging.UnknownRecharge,
    recharging.RechargeContradiction,
    refunding.RefundAbnormal,
    refunding.UnknownRefund,
    refunding.RefundMismatch,
    TransitionRefused,
    PostedAlready,
)


@dataclass(frozen=True, slots=True)
class Handlers:
    settings: Settings
    third_parties: ThirdParties
    sealer: Sealer

    def by_kind(self) -> Mapping[str, Handler]:
        return {
            Kind.APPLY_NOTICE: _asking_a_person(self.apply_notice),
            Kind.EXPIRE_ORDER: _asking_a_person(self.expire_order),
            Kind.QUERY_PAYMENT: _asking_a_person(self.query_payment),
            Kind.SUBMIT_RECHARGE: _asking_a_person(self.submit_recharge),
            Kind.QUERY_RECHARGE: _asking_a_person(self.query_recharge),
            Kind.REFUND: _asking_a_person(self.refund),
            Kind.ANNOUNCE_PRICES: self.announce_prices,
        }

    async def apply_notice(self, job: Job, now: datetime) -> datetime | None:
        notice = await ThirdPartyNotice.get(id=UUID(job.payload["notice_id"]))
        facts = from_row(notice.facts)
        if isinstance(facts, TradeFacts):
            if facts.state is TradeState.SUCCESS:
                await paying.confirm_payment(
                    facts=facts, channel=self.third_parties.channel, actor=notice.source, now=now
                )
        elif isinstance(facts, RefundFacts):
            await refunding.settle_refund(facts=facts, actor=notice.source, now=now)
        elif isinstance(facts, RechargeFacts):
            await recharging.settle_recharge(facts=facts, actor=notice.source, now=now)
        await ThirdPartyNotice.filter(id=notice.id).update(applied_at=now)
        return None

    async def expire_order(self, job: Job, now: datetime) -> datetime | None:
        order = await by_id(UUID(job.payload["order_id"]))
        if order.state not in UNPAID:
            return None
        try:
            await give_up_unpaid(
                order=order, trigger=Trigger.EXPIRE, channel=self.third_parties.channel, actor=ACTOR, now=now
            )
        except ChannelUnavailable:
            return self._later(job, now)
        return None

    async def query_payment(self, job: Job, now: datetime) -> datetime | None:
        out_trade_no = job.payload["out_trade_no"]
        attempt = await PaymentAttempt.get(out_trade_no=out_trade_no)
        if attempt.state is not PaymentState.OPEN:
            return None
        try:
            facts = await self.third_parties.channel.query(out_trade_no)
        except ChannelUnavailable:
            return self._later(job, now)
        if facts.state in PAID_TRADES:
            await paying.confirm_payment(facts=facts, channel=self.third_parties.channel, actor=ACTOR, now=now)
            return None
        if facts.state is TradeState.CLOSED:
            await paying.close_attempt(out_trade_no=out_trade_no, actor=ACTOR, reason="closed at the channel", now=now)
            return None
        return self._later(job, now)

    async def submit_recharge(self, job: Job, now: datetime) -> datetime | None:
        await recharging.submit_recharge(
            order_id=UUID(job.payload["order_id"]),
            issuer=self.third_parties.issuer,
            sealer=self.sealer,
            actor=ACTOR,
            query_after=timedelta(seconds=self.settings.recharge_query_delay_s),
            now=now,
        )
        return None

    async def query_recharge(self, job: Job, now: datetime) -> datetime | None:
        settled = await recharging.query_recharge(
            attempt_id=UUID(job.payload["attempt_id"]),
            issuer=self.third_parties.issuer,
            sealer=self.sealer,
            actor=ACTOR,
            compensate_after=timedelta(seconds=self.settings.compensation_after_s),
            now=now,
        )
        if settled:
            return None
        if job.attempts + 1 >= self.settings.recharge_queries_max:
            raise NeedsPerson("the issuer has not settled the recharge; it is never refunded by guess")
        return self._later(job, now, first_s=self.settings.recharge_query_delay_s)

    async def refund(self, job: Job, now: datetime) -> datetime | None:
        try:
            settled = await refunding.push_refund(
                refund_id=UUID(job.payload["refund_id"]), channel=self.third_parties.channel, actor=ACTOR, now=now
            )
        except ChannelRefused as error:
            raise NeedsPerson(repr(error)) from error
        return None if settled else self._later(job, now)

    async def announce_prices(self, job: Job, now: datetime) -> datetime | None:
        await pricing.announce(effective_from=datetime.fromisoformat(job.payload["effective_from"]), now=now)
        return None

    def _later(self, job: Job, now: datetime, *, first_s: float | None = None) -> datetime:
        wait_s = backoff_s(job.attempts + 1, first_s=first_s or self.settings.payment_query_delay_s)
        return now + timedelta(seconds=wait_s)


def _asking_a_person(handler: Handler) -> Handler:
    """Leave to a person what no retry can settle, whichever kind of work comes upon it."""

    async def handle(job: Job, now: datetime) -> datetime | None:
        try:
            return await handler(job, now)
        except FOR_A_PERSON as error:
            raise NeedsPerson(repr(error)) from error

    return handle
