"""The faults that are planted: each is a function of the product with the mistake in it that somebody could make.

A fault stands in the product until the end of the test. Where it has to get past a guard, the guard is taken away by a
fault of its own, so that each is seen to hold.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from domain.cards.operations import open_number
from domain.cards.ports import CardIssuer, IssuerUnavailable, RechargeRequest
from domain.events.operations import append
from domain.events.streams import EventType, order_stream
from domain.ledger import postings
from domain.ledger.operations import post
from domain.orders import confirming, lifecycle, operations, recharging, refunding, transitions
from domain.orders.lifecycle import Rule, Standing, Trigger
from domain.orders.policy import Policy
from domain.payments import operations as payments
from domain.payments import top_ups
from domain.payments.operations import record_notice
from domain.payments.ports import Channels, ChannelUnavailable, RefundRequest, TradeFacts
from domain.payments.queries import by_out_trade_no
from domain.work import operations as work
from endpoints import callbacks
from jobs.worker import Handler
from kernel.ids import new_id
from kernel.sealing import Sealer
from kernel.states import FailureKind, OrderState, PaymentState, RechargeState, RefundState
from kernel.tasks import spawn
from models.cards import FuelCard
from models.database import after_commit, transactional
from models.jobs import Job
from models.orders import RechargeAttempt, RechargeOrder
from models.payments import PaymentAttempt, Refund, WalletTopUp
from tests.canaries.stage import Stage
from tests.ledger.booking import run_sql
from tests.simulation.fate import Commit

Plant = Callable[[Stage, pytest.MonkeyPatch], Awaitable[None]]


# Double credits: money that is booked, given or sent twice.


async def a_copy_is_a_new_payment(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether the payment that a callback tells of is known already."""

    @transactional
    async def confirm_payment(
        *, facts: TradeFacts, channels: Channels, actor: str, policy: Policy, now: datetime
    ) -> RechargeOrder:
        attempt = await by_out_trade_no(facts.out_trade_no)
        assert attempt is not None
        order = await transitions.lock(attempt.order_id)
        assert facts.transaction_id
        await confirming._take(order, attempt, transaction_id=facts.transaction_id, actor=actor, policy=policy, now=now)
        return order

    patch.setattr(confirming, "confirm_payment", confirm_payment)


async def paid_is_set_without_comparing(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """A payment is marked as paid whatever it was before."""

    async def mark_paid(*, attempt: PaymentAttempt, transaction_id: str, now: datetime) -> None:
        await PaymentAttempt.filter(id=attempt.id).update(
            state=PaymentState.PAID, transaction_id=transaction_id, settled_at=now
        )

    patch.setattr(payments, "mark_paid", mark_paid)


async def each_posting_has_a_key_of_its_own(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """A posting's key is new each time instead of following from what it tells of."""

    def fresh(build: Callable[..., postings.Posting]) -> Callable[..., postings.Posting]:
        @functools.wraps(build)
        def built(*args: Any, **kwargs: Any) -> postings.Posting:
            return replace(build(*args, **kwargs), key=str(uuid4()))

        return built

    for name in ("paid", "topped_up"):
        patch.setattr(postings, name, fresh(getattr(postings, name)))


async def each_callback_fills_the_wallet(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """A payment into the wallet is credited whenever somebody tells of it."""

    @transactional
    async def confirm(*, facts: TradeFacts, channels: Channels, now: datetime) -> WalletTopUp:
        top_up = await WalletTopUp.select_for_update().get(out_trade_no=facts.out_trade_no)
        await WalletTopUp.filter(id=top_up.id).update(
            state=PaymentState.PAID, transaction_id=facts.transaction_id, settled_at=now
        )
        await post(
            postings.topped_up(
                top_up_id=top_up.id,
                user_id=top_up.user_id,
                clearing=postings.channel_clearing(top_up.channel, top_up.sub_mchid),
                amount_fen=top_up.amount_fen,
            ),
            now=now,
        )
        return top_up

    patch.setattr(top_ups, "confirm", confirm)


async def an_unanswered_submission_gets_a_new_id(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """Where the issuer does not answer, the card is recharged under another id."""

    async def send(attempt: RechargeAttempt, issuer: CardIssuer, sealer: Sealer, actor: str, now: datetime) -> None:
        order = await RechargeOrder.get(id=attempt.order_id)
        card = await FuelCard.get(id=order.card_id)
        number = open_number(card, sealer)
        while True:
            try:
                facts = await issuer.submit(RechargeRequest(attempt.id, card.brand, number, order.amount_fen))
            except IssuerUnavailable:
                attempt = await RechargeAttempt.create(
                    id=new_id(),
                    order_id=order.id,
                    user_id=order.user_id,
                    number=attempt.number + 1,
                    issuer=issuer.name,
                    state=RechargeState.SUBMITTED,
                    submitted_at=now,
                )
            else:
                break
        await recharging.settle_recharge(facts=facts, actor=actor, now=now)

    patch.setattr(recharging, "_send", send)


async def an_order_may_have_two_recharges_under_way(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """The database lets an order be recharged by two attempts at once, and twice by one issuer."""
    await run_sql("DROP INDEX recharge_one_running")
    await run_sql("DROP INDEX recharge_once_per_issuer")


async def a_refund_gets_a_new_number_for_each_try(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """A refund that was not answered is asked for again under another number."""

    async def push_refund(*, refund_id: UUID, channels: Channels, actor: str, now: datetime) -> bool:
        refund = await Refund.get(id=refund_id)
        if refund.state is not RefundState.PROCESSING:
            return True
        attempt = await PaymentAttempt.get(id=refund.attempt_id)
        number = f"R{uuid4().hex}"
        await Refund.filter(id=refund.id).update(out_refund_no=number)
        channel = channels.of(name=attempt.channel, sub_mchid=attempt.sub_mchid)
        request = RefundRequest(attempt.out_trade_no, number, refund.amount_fen, attempt.amount_fen, "")
        try:
            facts = await channel.refund(request)
        except ChannelUnavailable:
            return False
        await refunding.settle_refund(facts=facts, actor=actor, now=now)
        return True

    patch.setattr(refunding, "push_refund", push_refund)


async def the_channel_counts_what_it_pays_back(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """No fault: the channel refuses to pay back more than it has received, as a good one does."""
    for channel in stage.world.channels:
        channel.careful = True


# Acknowledged before it is done.


async def callbacks_are_acknowledged_first(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """The endpoint answers at once and stores the callback behind its answer."""

    async def promise(**notice: Any) -> None:
        stage.background.append(spawn(record_notice(**notice), name="stored later"))

    patch.setattr(callbacks, "record_notice", promise)


async def work_is_ticked_off_first(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """The worker notes that its work is done, and does it then."""
    handlers = cast(dict[str, Handler], stage.world.house.handlers)

    def ticking(handler: Handler) -> Handler:
        async def handle(job: Job, now: datetime) -> datetime | None:
            await work.finish(job, now=now)
            return await handler(job, now)

        return handle

    patch.setitem(handlers, work.Kind.SUBMIT_RECHARGE, ticking(handlers[work.Kind.SUBMIT_RECHARGE]))


# Postings that do not happen, or happen elsewhere.


async def a_success_is_not_booked(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """An order succeeds, and the posting that says so is forgotten."""
    patch.setattr(recharging, "post", _book_nothing)


async def a_refund_is_not_booked(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """The money goes back, and the posting that says so is forgotten."""
    patch.setattr(refunding, "post", _book_nothing)


async def _book_nothing(*_postings: postings.Posting, now: datetime) -> None:
    del now


async def refunds_are_booked_at_the_main_channel(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """A refund is booked at the main channel, whichever one the payment came by."""
    main = stage.channels.main

    def refunded_to(_attempt: PaymentAttempt) -> str:
        return postings.channel_clearing(main.name, main.sub_mchid)

    patch.setattr(refunding, "refunded_to", refunded_to)


async def any_amount_will_do(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """Nobody compares what was paid with what was asked for."""
    patch.setattr(confirming, "check_payment", lambda _facts, _expected: None)


# Orders that come to life again.


async def a_late_payment_is_taken_as_any_other(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """A payment for an order that has failed unpaid recharges it after all."""

    async def take(order: RechargeOrder, _attempt: PaymentAttempt, *, actor: str, now: datetime) -> None:
        await transitions.advance(order, Trigger.CONFIRM_PAYMENT, actor=actor, now=now)
        await recharging.schedule_submission(order, now=now)

    patch.setattr(confirming, "_give_back", take)


async def the_table_lets_a_failed_order_be_paid(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """Row 4 is taken from FAILED as well."""
    await _let_failed_orders_be_paid(patch, Rule(4, OrderState.FAILED, Trigger.CONFIRM_PAYMENT, OrderState.RECHARGING))


async def the_failure_is_forgotten(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """The order says no longer why it had failed."""

    @dataclass(frozen=True, slots=True)
    class Forgetting(Rule):
        def after(self, standing: Standing) -> Standing:
            return Standing(self.target, None, standing.review_state)

    rule = Forgetting(4, OrderState.FAILED, Trigger.CONFIRM_PAYMENT, OrderState.RECHARGING)
    await _let_failed_orders_be_paid(patch, rule)


async def _let_failed_orders_be_paid(patch: pytest.MonkeyPatch, rule: Rule) -> None:
    def next_step(standing: Standing | None, trigger: Trigger) -> Rule:
        late = standing is not None and standing.failure_kind is FailureKind.CANCELLED
        return rule if late and trigger is rule.trigger else lifecycle.next_step(standing, trigger)

    patch.setattr(transitions, "next_step", next_step)


# Events that are not committed with what they tell of. One on the wire is planted in test_events.py.


async def events_follow_their_commit(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """An event is written once its change is committed, in a transaction of its own."""
    write = transactional(append)

    async def append_later(**event: Any) -> int:
        # A function of its own for each event, since the same one would be called once.
        after_commit(lambda: stage.background.append(spawn(write(**event), name="told later")))
        return int(event["payload"]["version"])

    patch.setattr(transitions, "append", append_later)


async def events_are_committed_before_their_change(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """A cancellation is told in a transaction of its own, and then it happens."""
    give_up, write = operations._give_up, transactional(append)

    async def tell_and_give_up(order_id: UUID, *args: Any) -> RechargeOrder:
        # It is the second transaction that a scenario lets die.
        stage.fate.commits.appendleft(Commit.PLAIN)
        order = await RechargeOrder.get(id=order_id)
        payload = {"order_id": str(order.id), "state": "FAILED", "refund_state": "NONE", "version": order.version + 1}
        await write(
            stream=order_stream(order.id),
            type=EventType.ORDER_CHANGED,
            payload=payload,
            now=stage.world.now,
        )
        with pytest.MonkeyPatch.context() as told:
            told.setattr(transitions, "append", _told_already)
            return await give_up(order_id, *args)

    patch.setattr(operations, "_give_up", tell_and_give_up)


async def _told_already(**event: Any) -> int:
    return int(event["payload"]["version"])


async def arrivals_are_not_told(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """The money is on the card, and nobody is told."""

    async def keep_quiet(**_event: Any) -> int:
        return 0

    patch.setattr(recharging, "append", keep_quiet)
