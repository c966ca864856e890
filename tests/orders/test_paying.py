"""Ordering, paying, cancelling and expiring, on both engines, with the sandbox's channel over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.cards.queries import CardNotFound
from domain.identity.idempotency import IdempotencyConflict, IdempotencyKeyInvalid
from domain.ledger.queries import balance
from domain.orders.confirming import UnexpectedPayment
from domain.orders.operations import OrderNotCancellable, PaymentStateUnknown
from domain.orders.owing import paid_from
from domain.orders.paying import OrderNotPayable, PaymentDeadlinePassed
from domain.orders.queries import OrderNotFound
from domain.payments.operations import PaymentRefused, PaymentUnavailable
from domain.payments.ports import Channels, PrepayRequest, RefundRequest, TradeFacts
from domain.payments.rules import PaymentMismatch
from domain.risk import rules as risk
from kernel.clock import utc_now
from kernel.money import Money
from kernel.states import FailureKind, OrderState, PaymentState, RefundState
from models.events import Event
from models.jobs import Job
from models.ledger import LedgerTransaction
from models.orders import RechargeAttempt, RechargeOrder
from models.payments import PaymentAttempt
from tests.factories import LIMITS, create_card, create_order, create_viewer
from tests.orders.conftest import House, steps


def only_main(house: House) -> Channels:
    """Return the routes of a deployment that has no backup."""
    return Channels(house.third_parties.channels.routes[:1])


class TestCreate:
    async def test_the_same_key_and_input_make_one_order_even_at_once(self, house: House) -> None:
        orders = await asyncio.gather(*(house.order(key="same-key-1") for _ in range(10)))
        assert len({order.id for order in orders}) == 1
        assert await RechargeOrder.all().count() == 1
        assert await steps(orders[0].id) == [1]

    async def test_the_same_key_with_another_input_is_a_conflict(self, house: House) -> None:
        await house.order("500.00", key="same-key-1")
        with pytest.raises(IdempotencyConflict):
            await house.order("500.01", key="same-key-1")
        assert await RechargeOrder.all().count() == 1

    async def test_a_repeated_key_finds_its_order_when_the_limits_are_used_up(self, house: House) -> None:
        limits = replace(LIMITS, unpaid_orders_max=1)
        first = await house.order(key="same-key-1", limits=limits)
        assert (await house.order(key="same-key-1", limits=limits)).id == first.id
        with pytest.raises(risk.TooManyUnpaidOrders):
            await house.order(key="other-key", limits=limits)

    async def test_limits_hold_when_orders_come_at_once(self, house: House) -> None:
        limits = replace(LIMITS, unpaid_orders_max=3)
        outcomes = await asyncio.gather(*(house.order(limits=limits) for _ in range(10)), return_exceptions=True)
        assert await RechargeOrder.all().count() == 3
        assert sum(isinstance(outcome, risk.TooManyUnpaidOrders) for outcome in outcomes) == 7

    async def test_the_daily_limit_counts_what_did_not_fail(self, house: House) -> None:
        limits = replace(LIMITS, daily_max_fen=100_000)
        await house.order("600.00", limits=limits)
        with pytest.raises(risk.DailyLimitExceeded) as refused:
            await house.order("600.00", limits=limits)
        assert refused.value.values["maximum"] == Money(40_000)
        order = await RechargeOrder.get()
        await house.cancel(order)
        await house.order("600.00", limits=limits)

    @pytest.mark.parametrize("key", ["", "short", "x" * 65, "with space", "kéy-12345"])
    async def test_a_malformed_key_is_refused(self, house: House, key: str) -> None:
        with pytest.raises(IdempotencyKeyInvalid):
            await house.order(key=key or " ")
        assert await RechargeOrder.all().count() == 0

    async def test_another_persons_card_is_not_there(self, house: House) -> None:
        theirs = await create_card(await create_viewer())
        with pytest.raises(CardNotFound):
            await create_order(house.viewer, theirs)
        assert await RechargeOrder.all().count() == 0
        assert await Event.all().count() == 0


class TestPay:
    async def test_the_same_key_gives_the_same_payment(self, house: House) -> None:
        order = await house.order()
        first = await house.start_payment(order, "pay-key-1")
        second = await house.start_payment(order, "pay-key-1")
        third = await house.start_payment(order, "pay-key-2")
        assert len({each.parameters.package for each in (first, second, third) if each.parameters}) == 1
        assert await PaymentAttempt.all().count() == 1
        assert await steps(order.id) == [1, 2]

    async def test_concurrent_payments_open_one_attempt(self, house: House) -> None:
        order = await house.order()
        started = await asyncio.gather(*(house.start_payment(order) for _ in range(6)))
        assert len({each.parameters.package for each in started if each.parameters}) == 1
        assert await PaymentAttempt.all().count() == 1

    async def test_a_key_of_another_order_is_a_conflict(self, house: House) -> None:
        one, other = await house.order(), await house.order()
        await house.start_payment(one, "pay-key-1")
        with pytest.raises(IdempotencyConflict):
            await house.start_payment(other, "pay-key-1")
        assert (await RechargeOrder.get(id=other.id)).state is OrderState.PENDING_PAYMENT

    async def test_an_unanswered_channel_leaves_an_attempt_that_continues(self, house: House) -> None:
        house = house.on(only_main(house))
        order = await house.order()
        house.sandbox.faults(payment="timeout")
        with pytest.raises(PaymentUnavailable):
            await house.start_payment(order, "pay-key-1")
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.PAYING
        house.sandbox.clear_faults()
        started = await house.start_payment(order, "pay-key-1")
        house.pay(started)
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        assert await PaymentAttempt.all().count() == 1

    async def test_after_the_deadline_nothing_is_started(self, house: House) -> None:
        order = await house.order(pay_within=timedelta(0))
        with pytest.raises(PaymentDeadlinePassed):
            await house.start_payment(order)
        assert await PaymentAttempt.all().count() == 0

    async def test_a_refused_prepay_may_be_tried_again(self, house: House) -> None:
        house = house.on(only_main(house))
        order = await house.order()
        await house.start_payment(order)
        # The channel keeps what an out_trade_no was first sent with, so another deadline under it is refused.
        await PaymentAttempt.filter(order_id=order.id).update(prepay_id=None)
        await RechargeOrder.filter(id=order.id).update(pay_deadline_at=utc_now() + timedelta(hours=1))
        with pytest.raises(PaymentRefused):
            await house.start_payment(order)
        assert await steps(order.id) == [1, 2, 5]
        started = await house.start_payment(order)
        house.pay(started)
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        assert [attempt.state for attempt in await PaymentAttempt.all().order_by("number")] == [
            PaymentState.CLOSED,
            PaymentState.PAID,
        ]

    async def test_a_prepay_refused_because_it_is_paid_takes_the_payment(self, house: House) -> None:
        order = await house.paid_order()
        await PaymentAttempt.filter(order_id=order.id).update(prepay_id=None)
        with pytest.raises(OrderNotPayable):
            await house.start_payment(order)
        await house.work_until_state(order.id, OrderState.SUCCEEDED)

    async def test_a_stranger_finds_no_order(self, house: House) -> None:
        order = await house.order()
        stranger = replace(house, viewer=await create_viewer())
        with pytest.raises(OrderNotFound):
            await stranger.start_payment(order)
        with pytest.raises(OrderNotFound):
            await stranger.cancel(order)
        assert await steps(order.id) == [1]

    async def test_a_settled_order_is_not_payable(self, house: House) -> None:
        order = await house.paid_order()
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        with pytest.raises(OrderNotPayable):
            await house.start_payment(order)

    @pytest.mark.parametrize("change", [{"amount_fen": 1}, {"app_id": "wx0"}, {"mchid": "1"}, {"sub_mchid": "2"}])
    async def test_a_payment_that_is_not_ours_is_refused(self, house: House, change: dict[str, object]) -> None:
        order = await house.paid_order()
        channel = house.third_parties.channels.main
        facts: TradeFacts = await channel.query((await house.attempt(order)).out_trade_no)
        with pytest.raises(PaymentMismatch):
            await house.confirm(replace(facts, **change))  # type: ignore[arg-type]
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.PAYING
        assert await LedgerTransaction.all().count() == 0

    async def test_a_second_payment_of_a_paid_attempt_goes_to_a_person(self, house: House) -> None:
        order = await house.paid_order()
        channel = house.third_parties.channels.main
        facts = await channel.query((await house.attempt(order)).out_trade_no)
        await house.confirm(facts)
        other = replace(facts, transaction_id="4200000000000000000000000000")
        with pytest.raises(PaymentMismatch):
            await house.confirm(other)
        assert await LedgerTransaction.all().count() == 1

    async def test_a_payment_that_somebody_else_refunded_recharges_nothing(self, house: House) -> None:
        order = await house.paid_order()
        attempt, channel = await house.attempt(order), house.third_parties.channels.main
        by_hand = RefundRequest(
            out_trade_no=attempt.out_trade_no,
            out_refund_no=uuid4().hex,
            amount_fen=order.amount_fen,
            total_fen=order.amount_fen,
            reason="by hand",
        )
        await channel.refund(by_hand)
        facts = await channel.query(attempt.out_trade_no)
        with pytest.raises(UnexpectedPayment):
            await house.confirm(facts)
        with pytest.raises(UnexpectedPayment):
            await house.cancel(order)
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.PAYING
        assert await LedgerTransaction.all().count() == 0
        assert await Job.filter(kind="submit_recharge").count() == 0


class TestUnpaid:
    async def test_cancelling_before_paying(self, house: House) -> None:
        order = await house.order()
        for _ in range(2):
            cancelled = await house.cancel(order)
            assert (cancelled.state, cancelled.failure_kind) == (OrderState.FAILED, FailureKind.CANCELLED)
        assert await steps(order.id) == [1, 6]

    async def test_cancelling_while_paying_closes_the_payment_first(self, house: House) -> None:
        order = await house.order()
        started = await house.start_payment(order)
        await house.cancel(order)
        attempt = await house.attempt(order)
        assert attempt.state is PaymentState.CLOSED
        assert house.sandbox.payment(attempt.out_trade_no)["state"] == "CLOSED"
        assert started.order.state is OrderState.PAYING
        assert await steps(order.id) == [1, 2, 6]

    async def test_what_is_cancelled_while_the_channel_prepays_is_not_handed_out(self, house: House) -> None:
        order = await house.order()
        channel = house.third_parties.channels.main

        class CancelledMeanwhile:
            def __getattr__(self, name: str) -> object:
                return getattr(channel, name)

            async def prepay(self, request: PrepayRequest) -> str:
                await house.cancel(order)
                return await channel.prepay(request)

        channels = Channels((CancelledMeanwhile(),))  # type: ignore[arg-type]
        slow = replace(house, third_parties=replace(house.third_parties, channels=channels))
        with pytest.raises(OrderNotPayable):
            await slow.start_payment(order)
        attempt = await house.attempt(order)
        assert (attempt.state, attempt.prepay_id) == (PaymentState.CLOSED, None)
        assert await steps(order.id) == [1, 2, 6]

    async def test_a_payment_found_while_cancelling_is_taken(self, house: House) -> None:
        order = await house.paid_order()
        with pytest.raises(OrderNotCancellable):
            await house.cancel(order)
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.RECHARGING
        await house.work_until_state(order.id, OrderState.SUCCEEDED)

    async def test_while_the_channel_is_silent_nothing_is_given_up(self, house: House) -> None:
        order = await house.order()
        await house.start_payment(order)
        house.sandbox.faults(payment="error_500")
        with pytest.raises(PaymentStateUnknown):
            await house.cancel(order)
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.PAYING
        assert (await house.attempt(order)).state is PaymentState.OPEN

    async def test_the_deadline_fails_an_unpaid_order(self, house: House) -> None:
        order = await house.order(pay_within=timedelta(0))
        await house.worker.run_due()
        await house.worker.settle()
        expired = await RechargeOrder.get(id=order.id)
        assert (expired.state, expired.failure_kind) == (OrderState.FAILED, FailureKind.UNPAID)
        assert (await Job.get(kind="expire_order")).done_at is not None

    async def test_a_late_payment_is_booked_and_paid_back_and_reopens_nothing(self, house: House) -> None:
        order = await house.order()
        started = await house.start_payment(order)
        await house.cancel(order)
        house.pay(started, force=True)
        attempt = await house.attempt(order)
        facts = await house.third_parties.channels.main.query(attempt.out_trade_no)
        for _ in range(2):
            await house.confirm(facts)
        done = await house.work_until_refund(order.id, RefundState.SUCCESS)
        assert (done.state, done.failure_kind) == (OrderState.FAILED, FailureKind.CANCELLED)
        assert await steps(order.id) == [1, 2, 6, 7, 16, 16]
        assert await balance(paid_from(attempt)) == Money(0)
        assert await RechargeAttempt.all().count() == 0
