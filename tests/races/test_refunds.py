"""A refund that is asked for twice, 6 ms apart, and that is told of in every way at once, goes back once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain.ledger import postings
from domain.ledger.queries import balance
from domain.orders import refunding
from domain.orders.owing import paid_from
from domain.payments.ports import Channels, RefundFacts
from gateways.assembly import third_parties
from kernel.clock import utc_now
from kernel.money import Money
from kernel.states import ErrorKind, OrderState, PaymentState, RefundState
from models.events import Event
from models.ledger import LedgerTransaction
from models.orders import RechargeOrder
from models.payments import PaymentAttempt, Refund, ThirdPartyNotice
from models.reviews import ErrorEntry
from tests.gateways.stand_ins import Listener
from tests.orders.conftest import steps
from tests.races.conftest import OpenHouse, delivered
from tests.subscriptions.support import eventually

PRICE_FEN = 50_000
SUCCESS = "REFUND.SUCCESS"


async def owed(house: OpenHouse) -> Refund:
    """Return the refund of a payment that came after its order was cancelled; nobody has asked for it yet."""
    order = await house.order()
    started = await house.start_payment(order)
    await house.cancel(order)
    return await paid_after_all(house, started)


async def paid_after_all(house: OpenHouse, started: Any) -> Refund:
    """Pay what is closed already, as a late success would, and return what is owed back for it."""
    house.pay(started, force=True)
    attempt = await PaymentAttempt.filter(order_id=started.order.id).order_by("-number").first()
    assert attempt is not None
    assert attempt.state is PaymentState.CLOSED
    await house.confirm(await house.third_parties.channels.main.query(attempt.out_trade_no))
    return await Refund.get(attempt_id=attempt.id)


async def push(house: OpenHouse, refund: Refund, *, after_ms: float = 0, channels: Channels | None = None) -> bool:
    await asyncio.sleep(after_ms / 1_000)
    return await refunding.push_refund(
        refund_id=refund.id, channels=channels or house.third_parties.channels, actor="t", now=utc_now()
    )


async def state_of(refund: Refund) -> RefundState:
    return (await Refund.get(id=refund.id)).state


async def pushed_until_paid(house: OpenHouse, refund: Refund) -> None:
    async def paid() -> bool:
        await push(house, refund)
        return await state_of(refund) is RefundState.SUCCESS

    await eventually(paid)


async def refunded(house: OpenHouse, refund: Refund) -> list[tuple[str, int]]:
    """Return number and amount of everything that the sandbox has paid back of the refund's payment."""
    attempt = await PaymentAttempt.get(id=refund.attempt_id)
    theirs = [each for each in house.sandbox.state()["refunds"] if each["out_trade_no"] == attempt.out_trade_no]
    return [(each["out_refund_no"], each["refund"]) for each in theirs if each["status"] == "SUCCESS"]


async def assert_paid_back_once(house: OpenHouse, refund: Refund) -> None:
    """The customer has the money once, under one number, and the books say so in three transactions."""
    assert await refunded(house, refund) == [(refund.out_refund_no, PRICE_FEN)]
    order = await RechargeOrder.get(id=refund.order_id)
    assert (order.state, order.refund_state) == (OrderState.FAILED, RefundState.SUCCESS)
    assert await steps(order.id) == [1, 2, 6, 7, 16, 16]
    assert await Refund.filter(order_id=order.id).count() == 1
    assert await LedgerTransaction.filter(order_id=order.id).count() == 3
    assert await balance(paid_from(await PaymentAttempt.get(id=refund.attempt_id))) == Money(0)
    assert await balance(postings.REFUNDS_PAYABLE) == Money(0)
    await house.assert_true()


class TestOneRefund:
    @pytest.mark.parametrize("apart_ms", [0, 6, 60])
    async def test_asked_for_twice(self, house: OpenHouse, apart_ms: float) -> None:
        refund = await owed(house)
        await asyncio.gather(push(house, refund), push(house, refund, after_ms=apart_ms))
        await pushed_until_paid(house, refund)
        await asyncio.gather(push(house, refund), push(house, refund, after_ms=apart_ms))
        await assert_paid_back_once(house, refund)

    async def test_two_workers_look_for_it_6_ms_apart(self, house: OpenHouse) -> None:
        refund = await owed(house)
        other = house.another_worker()

        async def work(after_ms: float) -> int:
            await asyncio.sleep(after_ms / 1_000)
            worker = other if after_ms else house.worker
            claimed = await worker.run_due()
            await worker.settle()
            return claimed

        assert sorted(await asyncio.gather(work(0), work(6))) == [0, 1]
        await pushed_until_paid(house, refund)
        await assert_paid_back_once(house, refund)

    async def test_a_request_that_was_not_answered_is_repeated_under_its_number(self, house: OpenHouse) -> None:
        refund = await owed(house)
        house.sandbox.faults(refund="timeout", times=1)
        impatient = house.settings.model_copy(update={"third_party_timeout_s": 1.0})
        async with third_parties(impatient) as parties:
            assert await push(house, refund, channels=parties.channels) is False
        assert await state_of(refund) is RefundState.PROCESSING
        house.sandbox.clear_faults()
        await asyncio.gather(push(house, refund), push(house, refund, after_ms=6))
        await pushed_until_paid(house, refund)
        await assert_paid_back_once(house, refund)

    @pytest.mark.parametrize("first", ["callback", "query", "neither"])
    async def test_the_callback_comes_with_the_answer_to_the_query(
        self, house: OpenHouse, listener: Listener, first: str
    ) -> None:
        refund = await owed(house)
        await push(house, refund)
        (callback,) = await delivered(listener, SUCCESS)

        async def hear() -> None:
            assert await house.post(callback) == 204
            await house.apply()

        if first == "callback":
            # The answer is on its way while the callback is applied.
            await push(house, refund, channels=interrupted(house, hear))
        elif first == "query":
            assert await house.post(callback) == 204
            await push(house, refund)
            await house.apply()
        else:
            await asyncio.gather(push(house, refund), hear(), push(house, refund), hear())
        assert await ThirdPartyNotice.filter(applied_at__isnull=True).count() == 0
        await assert_paid_back_once(house, refund)


def interrupted(house: OpenHouse, meanwhile: Any) -> Channels:
    """Return the routes with something that happens between the channel's answer and what we make of it."""
    channel = house.third_parties.channels.main

    class Interrupted:
        def __getattr__(self, name: str) -> object:
            return getattr(channel, name)

        async def query_refund(self, out_refund_no: str, *, out_trade_no: str) -> RefundFacts:
            facts = await channel.query_refund(out_refund_no, out_trade_no=out_trade_no)
            await meanwhile()
            return facts

    return Channels((Interrupted(),))  # type: ignore[arg-type]


class TestTwoRefundsOfOneOrder:
    async def both(self, house: OpenHouse) -> tuple[Refund, Refund]:
        """Return what is owed for a payment that came between two attempts, and for one that came too late."""
        order = await house.order()
        started = await house.start_payment(order)
        await house.close(await house.attempt(order))
        surplus = await paid_after_all(house, started)
        started = await house.start_payment(order)
        await house.cancel(order)
        late = await paid_after_all(house, started)
        assert (surplus.order_id, surplus.attempt_id) != (late.order_id, late.attempt_id)
        return surplus, late

    async def test_each_goes_back_once_whoever_asks_6_ms_apart(self, house: OpenHouse, listener: Listener) -> None:
        surplus, late = await self.both(house)
        for _ in range(2):
            await asyncio.gather(
                *(push(house, refund, after_ms=after_ms) for refund in (surplus, late) for after_ms in (0, 6))
            )
        callbacks = await delivered(listener, SUCCESS, 2)
        answers = await asyncio.gather(*(house.post(callback) for callback in callbacks * 5))
        assert set(answers) == {204}
        await asyncio.gather(house.apply(house.worker, house.another_worker()), push(house, surplus), push(house, late))
        for refund in (surplus, late):
            assert await refunded(house, refund) == [(refund.out_refund_no, PRICE_FEN)]
        order = await RechargeOrder.get(id=late.order_id)
        assert await steps(order.id) == [1, 2, 5, 17, 16, 2, 6, 7, 16, 16, 16]
        assert await refund_states(order) == ["PROCESSING", "PROCESSING", "PROCESSING", "SUCCESS"]
        kinds = sorted([entry.kind for entry in await ErrorEntry.filter(order_id=order.id)])
        assert kinds == [ErrorKind.LATE_PAYMENT, ErrorKind.SURPLUS_PAYMENT]
        # Two payments, two debts and two refunds, and nothing of either is left anywhere.
        assert await LedgerTransaction.filter(order_id=order.id).count() == 6
        assert await balance(postings.REFUNDS_PAYABLE) == Money(0)
        await house.assert_true()

    async def test_one_that_cannot_go_back_stands_for_both_until_it_has(
        self, house: OpenHouse, listener: Listener
    ) -> None:
        surplus, late = await self.both(house)
        house.sandbox.faults(refund="abnormal", times=1)
        await asyncio.gather(push(house, surplus), push(house, surplus, after_ms=6))
        house.sandbox.clear_faults()
        await asyncio.gather(push(house, late), push(house, late, after_ms=6))
        callbacks = [*await delivered(listener, "REFUND.ABNORMAL"), *await delivered(listener, SUCCESS)]
        for callback in callbacks:
            assert await house.post(callback) == 204
            await house.apply()
        assert (await RechargeOrder.get(id=late.order_id)).refund_state is RefundState.ABNORMAL
        assert await balance(postings.REFUNDS_PAYABLE) == Money(-PRICE_FEN)
        await house.assert_true()
        with pytest.raises(refunding.RefundAbnormal):
            await push(house, surplus)
        # Somebody pays it by hand at the channel, which says so, twice and at once.
        house.sandbox.settle_refund(surplus.out_refund_no, "SUCCESS")
        *_, paid = await delivered(listener, SUCCESS, 2)
        assert set(await asyncio.gather(*(house.post(paid) for _ in range(2)))) == {204}
        await house.apply(house.worker, house.another_worker())
        order = await RechargeOrder.get(id=late.order_id)
        started, _, first, second, last = await refund_states(order)
        assert (started, second, last) == ("PROCESSING", "ABNORMAL", "SUCCESS")
        # Whichever of the two was settled first: a success beside one under way, or what stands for both.
        assert first in {"PROCESSING", "ABNORMAL"}
        for refund in (surplus, late):
            assert await refunded(house, refund) == [(refund.out_refund_no, PRICE_FEN)]
        assert await balance(postings.REFUNDS_PAYABLE) == Money(0)
        await house.assert_true()


async def refund_states(order: RechargeOrder) -> list[str]:
    """Return what the order said of its refunds after each step of one."""
    events = await Event.filter(stream=f"order:{order.id}").order_by("position")
    rules = await steps(order.id)
    return [str(event.payload["refund_state"]) for event, rule in zip(events, rules, strict=True) if rule == 16]
