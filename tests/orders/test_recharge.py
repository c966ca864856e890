"""A recharge and the ways it can go, on both engines, with the sandbox's channel and issuer over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.events.streams import arrivals_stream
from domain.ledger import postings
from domain.ledger.queries import balance
from domain.orders import confirming, recharging
from domain.orders.lifecycle import Trigger
from domain.orders.owing import paid_from
from kernel.clock import utc_now
from kernel.money import Money
from kernel.states import ErrorKind, FailureKind, OrderState, RechargeState, RefundState
from models.events import Event
from models.jobs import Job
from models.ledger import LedgerTransaction
from models.orders import OrderTransition, RechargeAttempt, RechargeOrder
from models.payments import PaymentAttempt, Refund
from models.reviews import ErrorEntry
from tests.factories import SEALER
from tests.ledger.audit import assert_books_are_true
from tests.orders.conftest import House, steps


class TestSuccess:
    async def test_money_arrives_and_the_books_say_so(self, house: House) -> None:
        order = await house.paid_order()
        done = await house.work_until_state(order.id, OrderState.SUCCEEDED)
        assert await steps(order.id) == [1, 2, 4, 10, 11]
        assert (done.refund_state, done.version) == (RefundState.NONE, 5)
        assert await RechargeOrder.filter(id=order.id, failure_kind__isnull=True).exists()
        attempt = await RechargeAttempt.get(order_id=order.id)
        assert attempt.state is RechargeState.SUCCEEDED
        assert attempt.cost_fen == 49_750
        clearing = paid_from(await house.attempt(order))
        assert await balance(clearing) == Money(50_000)
        assert await balance(postings.TRANSIT) == Money(0)
        assert await balance(postings.issuer_prepaid(attempt.issuer)) == Money(-49_750)
        assert await balance(postings.COMMISSION) == Money(-250)

    async def test_one_arrival_notice_is_in_the_owners_stream(self, house: House) -> None:
        order = await house.paid_order()
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        (event,) = await Event.filter(stream=arrivals_stream(house.viewer.user_id))
        assert (event.position, event.type) == (1, "recharge.arrived")
        assert event.payload["order_id"] == str(order.id)
        assert event.payload["amount_fen"] == 50_000

    async def test_copies_of_what_we_are_told_change_nothing(self, house: House) -> None:
        order = await house.paid_order()
        channel = house.third_parties.channels.main
        facts = await channel.query((await house.attempt(order)).out_trade_no)
        await asyncio.gather(*(house.confirm(facts) for _ in range(20)))
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        attempt = await RechargeAttempt.get(order_id=order.id)
        told = await house.third_parties.issuer.query(attempt.id)
        await asyncio.gather(*(recharging.settle_recharge(facts=told, actor="t", now=utc_now()) for _ in range(20)))
        assert await steps(order.id) == [1, 2, 4, 10, 11]
        assert await LedgerTransaction.all().count() == 2
        await assert_books_are_true()


class TestIssuer:
    async def test_a_refusal_is_refunded_once_by_the_original_route(self, house: House) -> None:
        house.sandbox.faults(issuer="refuse")
        order = await house.paid_order()
        done = await house.work_until_refund(order.id, RefundState.SUCCESS)
        assert (done.state, done.failure_kind) == (OrderState.FAILED, FailureKind.ISSUER_REFUSED)
        assert await steps(order.id) == [1, 2, 4, 10, 12, 16, 16]
        refund = await Refund.get(order_id=order.id)
        assert house.sandbox.refund(refund.out_refund_no)["refund"] == 50_000
        assert await balance(postings.REFUNDS_PAYABLE) == Money(0)
        assert await balance(paid_from(await house.attempt(order))) == Money(0)
        assert await Event.filter(stream=arrivals_stream(house.viewer.user_id)).count() == 0

    @pytest.mark.parametrize("fault", ["accept_then_timeout", "error_500"])
    async def test_an_unknown_answer_is_not_a_failure(self, house: House, fault: str) -> None:
        house.sandbox.faults(issuer=fault, times=1)
        order = await house.paid_order()
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        assert await RechargeAttempt.filter(order_id=order.id).count() == 1
        assert await Refund.all().count() == 0

    async def test_a_stuck_recharge_stays_pending_and_then_waits_for_a_person(self, house: House) -> None:
        house.sandbox.faults(issuer="stuck")
        order = await house.paid_order()
        await house.work_until_state(order.id, OrderState.RECHARGING)
        await house.work_until(order.id, lambda _: house.sandbox.state()["recharges"] != [])
        attempt = await RechargeAttempt.get(order_id=order.id)
        settled = await recharging.query_recharge(
            attempt_id=attempt.id,
            issuers=house.third_parties.issuers,
            sealer=SEALER,
            actor="t",
            compensate_after=timedelta(minutes=15),
            now=utc_now() + timedelta(minutes=16),
        )
        assert settled is False
        assert (await steps(order.id))[-1] == 13
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.RECHARGING
        assert await Refund.all().count() == 0

    async def test_another_amount_goes_to_a_person(self, house: House) -> None:
        order = await house.paid_order()
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        attempt = await RechargeAttempt.get(order_id=order.id)
        told = await house.third_parties.issuer.query(attempt.id)
        with pytest.raises(recharging.RechargeContradiction):
            await recharging.settle_recharge(facts=replace(told, amount_fen=1), actor="t", now=utc_now())
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.SUCCEEDED
        await assert_books_are_true()

    async def test_an_abnormal_refund_waits_with_the_money_still_owed(self, house: House) -> None:
        house.sandbox.faults(issuer="refuse", refund="abnormal")
        order = await house.paid_order()
        done = await house.work_until_refund(order.id, RefundState.ABNORMAL)
        assert done.state is OrderState.FAILED
        assert await balance(postings.REFUNDS_PAYABLE) == Money(-50_000)
        (refunding,) = await Job.filter(kind="refund")
        for _ in range(2):
            if refunding.parked_at is None:
                await house.worker.run_due(now=utc_now() + timedelta(hours=1))
                await house.worker.settle()
            await refunding.refresh_from_db()
        assert refunding.parked_at is not None
        assert refunding.done_at is None

    async def test_a_recharge_that_cost_nothing_is_all_commission(self, house: House) -> None:
        house.sandbox.faults(issuer="stuck")
        order = await house.paid_order()
        await house.work_until(order.id, lambda waiting: waiting.version >= 4)
        attempt = await RechargeAttempt.get(order_id=order.id)
        told = await house.third_parties.issuer.query(attempt.id)
        free = replace(told, state=type(told.state).SUCCEEDED, cost_fen=0)
        await recharging.settle_recharge(facts=free, actor="t", now=utc_now())
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.SUCCEEDED
        assert await balance(postings.COMMISSION) == Money(-50_000)
        await assert_books_are_true()

    async def test_a_refund_that_is_retried_keeps_its_number(self, house: House) -> None:
        house.sandbox.faults(issuer="refuse", refund="error_500")
        order = await house.paid_order()
        await house.work_until_refund(order.id, RefundState.PROCESSING)
        for _ in range(3):
            await Job.filter(kind="refund").update(due_at=utc_now())
            await house.worker.run_due()
            await house.worker.settle()
        house.sandbox.clear_faults()
        await house.work_until_refund(order.id, RefundState.SUCCESS)
        assert await Refund.all().count() == 1
        (theirs,) = [each for each in house.sandbox.state()["refunds"] if each["out_trade_no"] in await _trades(order)]
        assert theirs["refund"] == 50_000


class TestStory:
    async def test_every_step_says_who_and_when_and_moves_by_one(self, house: House) -> None:
        order = await house.paid_order()
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        rows = await OrderTransition.filter(order_id=order.id).order_by("version")
        assert [row.version for row in rows] == [1, 2, 3, 4, 5]
        assert [row.from_state for row in rows[1:]] == [row.to_state for row in rows[:-1]]
        assert rows[0].actor == house.viewer.actor
        assert rows[-1].actor == "system"
        assert rows[-1].request_id.startswith("job:")
        events = await Event.filter(stream=f"order:{order.id}").order_by("position")
        assert [event.payload["version"] for event in events] == [1, 2, 3, 4, 5]
        assert [event.position for event in events] == [1, 2, 3, 4, 5]

    async def test_a_closed_attempt_that_is_paid_all_the_same_is_paid_back_while_the_order_waits(
        self, house: House
    ) -> None:
        order = await house.order()
        started = await house.start_payment(order)
        attempt = await house.attempt(order)
        await confirming.close_attempt(out_trade_no=attempt.out_trade_no, actor="t", reason="closed", now=utc_now())
        assert await steps(order.id) == [1, 2, 5]
        house.pay(started, force=True)
        facts = await house.third_parties.channels.main.query(attempt.out_trade_no)
        for _ in range(2):
            await house.confirm(facts)
        done = await house.work_until_refund(order.id, RefundState.SUCCESS)
        assert done.state is OrderState.PENDING_PAYMENT
        assert await steps(order.id) == [1, 2, 5, 17, 16, 16]
        (entry,) = await ErrorEntry.filter(order_id=order.id)
        assert (entry.kind, entry.amount_fen) == (ErrorKind.SURPLUS_PAYMENT, 50_000)
        assert Trigger.CONFIRM_PAYMENT not in {row.trigger for row in await OrderTransition.all()}
        house.pay(await house.start_payment(order))
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        assert await balance(paid_from(attempt)) == Money(50_000)


async def _trades(order: RechargeOrder) -> set[str]:
    return {attempt.out_trade_no for attempt in await PaymentAttempt.filter(order_id=order.id)}
