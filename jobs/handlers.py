"""What each kind of work does: one domain call, and when to come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.cards.ports import RechargeFacts, UnknownIssuer
from domain.ledger.operations import PostedAlready
from domain.mandates import settling
from domain.mandates.rules import MandateNotActive
from domain.orders import confirming, deducting, recharging, refunding, reviewing
from domain.orders.lifecycle import TransitionRefused, Trigger
from domain.orders.notices import from_row
from domain.orders.operations import give_up_unpaid
from domain.orders.policy import Policy
from domain.orders.ports import ThirdParties
from domain.orders.queries import UNPAID, by_id
from domain.payments import top_ups
from domain.payments.contracts import ContractFacts, DeductionFacts
from domain.payments.operations import PaymentRefused
from domain.payments.ports import (
    PAID_TRADES,
    ChannelRefused,
    ChannelUnavailable,
    RefundFacts,
    TradeFacts,
    TradeState,
    UnknownChannel,
)
from domain.payments.queries import by_out_trade_no
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
    confirming.UnknownPayment,
    confirming.UnexpectedPayment,
    top_ups.UnexpectedTopUp,
    UnknownChannel,
    PaymentMismatch,
    settling.UnknownContract,
    settling.ContractMismatch,
    recharging.UnknownRecharge,
    recharging.RechargeContradiction,
    recharging.NoIssuer,
    UnknownIssuer,
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
    policy: Policy
    sealer: Sealer

    def by_kind(self) -> Mapping[str, Handler]:
        return {
            Kind.APPLY_NOTICE: _asking_a_person(self.apply_notice),
            Kind.EXPIRE_ORDER: _asking_a_person(self.expire_order),
            Kind.QUERY_PAYMENT: _asking_a_person(self.query_payment),
            Kind.SUBMIT_RECHARGE: _asking_a_person(self.submit_recharge),
            Kind.QUERY_RECHARGE: _asking_a_person(self.query_recharge),
            Kind.FOLLOW_RECHARGE: _asking_a_person(self.follow_recharge),
            Kind.REFUND: _asking_a_person(self.refund),
            Kind.EXPIRE_REVIEW: _asking_a_person(self.expire_review),
            Kind.CAPTURE_WALLET: _asking_a_person(self.capture_wallet),
            Kind.QUERY_TOP_UP: _asking_a_person(self.query_top_up),
            Kind.SETTLE_DEDUCTION: _asking_a_person(self.settle_deduction),
            Kind.WATCH_MANDATE: _asking_a_person(self.watch_mandate),
            Kind.END_CONTRACT: _asking_a_person(self.end_contract),
            Kind.ANNOUNCE_PRICES: self.announce_prices,
        }

    async def apply_notice(self, job: Job, now: datetime) -> datetime | None:
        notice = await ThirdPartyNotice.get(id=UUID(job.payload["notice_id"]))
        facts = from_row(notice.facts)
        if isinstance(facts, TradeFacts):
            if facts.state is TradeState.SUCCESS:
                await self._confirm(facts, notice.source, now)
        elif isinstance(facts, RefundFacts):
            await refunding.settle_refund(facts=facts, actor=notice.source, now=now)
        elif isinstance(facts, RechargeFacts):
            await recharging.settle_recharge(facts=facts, actor=notice.source, now=now)
        elif isinstance(facts, ContractFacts):
            await settling.settle(facts=facts, now=now)
        else:
            await self._apply_deduction(facts, notice.source, now)
        await ThirdPartyNotice.filter(id=notice.id).update(applied_at=now)
        return None

    async def expire_order(self, job: Job, now: datetime) -> datetime | None:
        order = await by_id(UUID(job.payload["order_id"]))
        if order.state not in UNPAID:
            return None
        try:
            await give_up_unpaid(
                order=order,
                trigger=Trigger.EXPIRE,
                channels=self.third_parties.channels,
                actor=ACTOR,
                policy=self.policy,
                now=now,
            )
        except ChannelUnavailable:
            return self._later(job, now)
        return None

    async def query_payment(self, job: Job, now: datetime) -> datetime | None:
        out_trade_no = job.payload["out_trade_no"]
        attempt = await PaymentAttempt.get(out_trade_no=out_trade_no)
        if attempt.state is not PaymentState.OPEN:
            return None
        channel = self.third_parties.channels.of(name=attempt.channel, sub_mchid=attempt.sub_mchid)
        try:
            facts = await channel.query(out_trade_no)
        except ChannelUnavailable:
            return self._later(job, now)
        if facts.state in PAID_TRADES:
            await self._confirm(facts, ACTOR, now)
            return None
        if facts.state is TradeState.CLOSED:
            await confirming.close_attempt(
                out_trade_no=out_trade_no, actor=ACTOR, reason="closed at the channel", now=now
            )
            return None
        return self._later(job, now)

    async def submit_recharge(self, job: Job, now: datetime) -> datetime | None:
        await recharging.submit_recharge(
            order_id=UUID(job.payload["order_id"]),
            issuers=self.third_parties.issuers,
            rules=self.policy.routing,
            sealer=self.sealer,
            actor=ACTOR,
            query_after=self.policy.recharge_query_after,
            now=now,
        )
        return None

    async def query_recharge(self, job: Job, now: datetime) -> datetime | None:
        settled = await recharging.query_recharge(
            attempt_id=UUID(job.payload["attempt_id"]),
            issuers=self.third_parties.issuers,
            sealer=self.sealer,
            actor=ACTOR,
            compensate_after=self.policy.compensate_after,
            now=now,
        )
        if settled:
            return None
        if job.attempts + 1 >= self.settings.recharge_queries_max:
            raise NeedsPerson("the issuer has not settled the recharge; it is never refunded by guess")
        return self._later(job, now, first_s=self.settings.recharge_query_delay_s)

    async def follow_recharge(self, job: Job, now: datetime) -> datetime | None:
        done = await recharging.follow_recharge(
            attempt_id=UUID(job.payload["attempt_id"]), issuers=self.third_parties.issuers, actor=ACTOR, now=now
        )
        if done:
            return None
        if job.attempts + 1 >= self.settings.recharge_queries_max:
            raise NeedsPerson("the issuer does not say what has become of the recharge")
        return self._later(job, now, first_s=self.settings.recharge_query_delay_s)

    async def refund(self, job: Job, now: datetime) -> datetime | None:
        try:
            settled = await refunding.push_refund(
                refund_id=UUID(job.payload["refund_id"]), channels=self.third_parties.channels, actor=ACTOR, now=now
            )
        except ChannelRefused as error:
            raise NeedsPerson(repr(error)) from error
        return None if settled else self._later(job, now)

    async def expire_review(self, job: Job, now: datetime) -> datetime | None:
        await reviewing.expire_review(order_id=UUID(job.payload["order_id"]), now=now)
        return None

    async def capture_wallet(self, job: Job, now: datetime) -> datetime | None:
        attempt = await PaymentAttempt.get(out_trade_no=job.payload["out_trade_no"])
        await confirming.capture(attempt=attempt, actor=ACTOR, policy=self.policy, now=now)
        return None

    async def query_top_up(self, job: Job, now: datetime) -> datetime | None:
        top_up = await top_ups.by_out_trade_no(job.payload["out_trade_no"])
        if top_up is None:
            raise NeedsPerson("there is no such top-up")
        try:
            settled = await top_ups.settle(top_up=top_up, channels=self.third_parties.channels, now=now)
        except ChannelUnavailable:
            return self._later(job, now)
        return None if settled else min(self._later(job, now), max(top_up.pay_deadline_at, now))

    async def settle_deduction(self, job: Job, now: datetime) -> datetime | None:
        try:
            settled = await deducting.settle(
                out_trade_no=job.payload["out_trade_no"],
                channels=self.third_parties.channels,
                actor=ACTOR,
                policy=self.policy,
                now=now,
            )
        except ChannelUnavailable:
            return self._later(job, now)
        except (PaymentRefused, MandateNotActive):
            # The order may be paid otherwise, and whether something was deducted is asked once more.
            settled = False
        return None if settled else self._later(job, now)

    async def watch_mandate(self, job: Job, now: datetime) -> datetime | None:
        contracts, soon = self.third_parties.contracts, self._later(job, now)
        try:
            return await settling.watch(
                mandate_id=UUID(job.payload["mandate_id"]), contracts=contracts, soon=soon, now=now
            )
        except ChannelUnavailable:
            return soon

    async def end_contract(self, job: Job, now: datetime) -> datetime | None:
        try:
            await settling.end(mandate_id=UUID(job.payload["mandate_id"]), contracts=self.third_parties.contracts)
        except ChannelUnavailable:
            return self._later(job, now)
        except ChannelRefused as error:
            raise NeedsPerson(repr(error)) from error
        return None

    async def _apply_deduction(self, facts: DeductionFacts, actor: str, now: datetime) -> None:
        if await by_out_trade_no(facts.out_trade_no) is None:
            raise NeedsPerson(f"nothing here has begun the contract of a deduction that is {facts.state}")
        channels = self.third_parties.channels
        await deducting.apply(facts=facts, channels=channels, actor=actor, policy=self.policy, now=now)

    async def announce_prices(self, job: Job, now: datetime) -> datetime | None:
        await pricing.announce(effective_from=datetime.fromisoformat(job.payload["effective_from"]), now=now)
        return None

    async def _confirm(self, facts: TradeFacts, actor: str, now: datetime) -> None:
        """Apply a payment to what it pays: an order, or the wallet."""
        if await top_ups.by_out_trade_no(facts.out_trade_no):
            await top_ups.confirm(facts=facts, channels=self.third_parties.channels, now=now)
            return
        await confirming.confirm_payment(
            facts=facts, channels=self.third_parties.channels, actor=actor, policy=self.policy, now=now
        )

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
