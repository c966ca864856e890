"""Paying by Alipay, on both engines, over the sandbox: from the code of a mini-program to the refund."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from domain.identity.idempotency import IdempotencyConflict
from domain.ledger import postings
from domain.ledger.queries import balance
from domain.orders.choosing import PaymentMethodUnavailable
from domain.orders.paying import OrderNotPayable, StartedPayment
from domain.payments.health import Thresholds
from domain.payments.operations import PaymentUnavailable
from domain.payments.payers import PayerUnknown
from domain.payments.ports import Channels, TradeState
from domain.payments.watching import watched
from kernel.money import Money
from kernel.settings import SANDBOX_ALIPAY_SELLER_ID, Settings
from kernel.states import ErrorKind, OrderState, PaymentMethod, PaymentState, RefundState
from models.orders import RechargeOrder
from models.payments import ChannelPayer, PaymentAttempt, Refund
from models.reviews import ErrorEntry
from tests.orders.conftest import House, steps

ALIPAY, WECHAT_PAY, WALLET = PaymentMethod.ALIPAY, PaymentMethod.WECHAT_PAY, PaymentMethod.WALLET
CLEARING = postings.channel_clearing("alipay", SANDBOX_ALIPAY_SELLER_ID)
MAIN = "1900000209"


async def start(house: House, order: RechargeOrder, key: str | None = None, **options: Any) -> StartedPayment:
    options = {"method": ALIPAY, "alipay_code": house.sandbox.alipay_code(), **options}
    return await house.start_payment(order, key, **options)


def pay(house: House, started: StartedPayment, *, force: bool = False) -> None:
    assert started.alipay is not None
    house.sandbox.pay_alipay(started.alipay.trade_no, force=force)


async def attempts(order: RechargeOrder) -> list[tuple[str, PaymentState]]:
    rows = await PaymentAttempt.filter(order_id=order.id).order_by("number")
    return [(row.channel, row.state) for row in rows]


async def test_a_recharge_is_paid_by_alipay(house: House) -> None:
    order = await house.order()
    started = await start(house, order)
    assert started.parameters is None
    pay(house, started)
    await house.work_until_state(order.id, OrderState.SUCCEEDED)
    assert await steps(order.id) == [1, 2, 4, 10, 11]
    assert await balance(CLEARING) == Money(50_000)
    attempt = await house.attempt(order)
    assert (attempt.channel, attempt.sub_mchid, attempt.state) == (
        "alipay",
        SANDBOX_ALIPAY_SELLER_ID,
        PaymentState.PAID,
    )


@pytest.mark.parametrize("fault", ["ok", "pending", "timeout"])
async def test_what_the_issuer_refuses_goes_back_by_alipay(house: House, fault: str) -> None:
    order = await house.order()
    pay(house, await start(house, order))
    house.sandbox.faults(issuer="refuse_at_once")
    house.sandbox.faults(alipay_refund=fault, times=1)
    if fault == "pending":
        await house.work_until_refund(order.id, RefundState.PROCESSING)
        refund, attempt = await Refund.get(order_id=order.id), await house.attempt(order)

        def is_asked() -> bool:
            return bool(house.sandbox.state()["alipay_refunds"]) and refund.out_refund_no in {
                each["out_request_no"] for each in house.sandbox.state()["alipay_refunds"]
            }

        for _ in range(100):
            await house.worker.run_due()
            await house.worker.settle()
            if is_asked():
                break
        house.sandbox.control("settle-alipay", out_trade_no=attempt.out_trade_no, out_request_no=refund.out_refund_no)
    done = await house.work_until_refund(order.id, RefundState.SUCCESS)
    assert done.state is OrderState.FAILED
    assert await balance(CLEARING) == Money(0)
    attempt = await house.attempt(order)
    (channel,) = house.third_parties.channels.by([ALIPAY])
    assert (await channel.query(attempt.out_trade_no)).state is TradeState.REFUNDED
    mine = [each for each in house.sandbox.state()["alipay_refunds"] if each["out_trade_no"] == attempt.out_trade_no]
    assert len(mine) == 1


class TestWhoPays:
    async def test_without_a_code_nobody_is_known(self, house: House) -> None:
        order = await house.order()
        for code in (None, "invented"):
            with pytest.raises(PayerUnknown):
                await house.start_payment(order, method=ALIPAY, alipay_code=code)
        assert await attempts(order) == []
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.PENDING_PAYMENT
        assert await ChannelPayer.all().count() == 0

    async def test_who_is_known_stays_known_and_another_code_may_name_another(self, house: House) -> None:
        first, second = await house.order("100.00"), await house.order("50.00")
        await start(house, first, alipay_code=house.sandbox.alipay_code("2088000000000001"))
        await start(house, second, alipay_code=None)
        assert house.sandbox.alipay_payment((await house.attempt(second)).out_trade_no)["payer"] == "2088000000000001"
        third = await house.order("50.00")
        await start(house, third, alipay_code=house.sandbox.alipay_code("2088000000000002"))
        row = await ChannelPayer.get()
        assert (row.payer_id, len(row.code_digest)) == ("2088000000000002", 64)

    async def test_the_same_request_again_has_the_same_code(self, house: House) -> None:
        order, code = await house.order(), house.sandbox.alipay_code()
        started = [await start(house, order, "pay-key-1", alipay_code=code) for _ in range(2)]
        assert started[0].alipay == started[1].alipay
        assert await PaymentAttempt.filter(order_id=order.id).count() == 1

    async def test_requests_at_once_with_one_code(self, house: House) -> None:
        order, code = await house.order(), house.sandbox.alipay_code()
        started = await asyncio.gather(
            *(start(house, order, "pay-key-1", alipay_code=code) for _ in range(4)), return_exceptions=True
        )
        numbers = {each.alipay.trade_no for each in started if isinstance(each, StartedPayment) and each.alipay}
        assert len(numbers) == 1
        assert all(isinstance(each, StartedPayment | PayerUnknown) for each in started)
        assert await attempts(order) == [("alipay", PaymentState.OPEN)]

    async def test_while_alipay_is_silent_nothing_begins(self, house: House) -> None:
        order, code = await house.order(), house.sandbox.alipay_code()
        house.sandbox.faults(alipay="error_500")
        with pytest.raises(PaymentUnavailable):
            await start(house, order, alipay_code=code)
        assert await attempts(order) == []


class TestWays:
    @pytest.mark.parametrize(
        ("method", "alternatives"),
        [(WALLET, [WECHAT_PAY]), (WECHAT_PAY, [WALLET]), (ALIPAY, [WECHAT_PAY, WALLET])],
    )
    async def test_the_wallet_is_nobodys_alternative(
        self, house: House, method: PaymentMethod, alternatives: list[PaymentMethod]
    ) -> None:
        order = await house.order()
        with pytest.raises(PaymentMethodUnavailable):
            await start(house, order, method=method, alternatives=alternatives)
        assert await attempts(order) == []

    async def test_a_deployment_without_alipay_says_so(self, house: House) -> None:
        channels = house.third_parties.channels
        without = house.on(Channels(channels.by([WECHAT_PAY])))
        order = await without.order()
        with pytest.raises(PaymentMethodUnavailable):
            await start(without, order)
        assert await attempts(order) == []
        assert (await start(without, order, method=WECHAT_PAY, alternatives=[ALIPAY])).parameters

    async def test_other_ways_under_the_same_key_are_a_conflict(self, house: House) -> None:
        order = await house.order()
        await start(house, order, "pay-key-1", method=WECHAT_PAY)
        for options in ({"method": ALIPAY}, {"method": WECHAT_PAY, "alternatives": [ALIPAY]}):
            with pytest.raises(IdempotencyConflict):
                await start(house, order, "pay-key-1", **options)

    @pytest.mark.parametrize("first", [WECHAT_PAY, ALIPAY])
    async def test_a_user_changes_their_mind(self, house: House, first: PaymentMethod) -> None:
        second = ALIPAY if first is WECHAT_PAY else WECHAT_PAY
        order = await house.order()
        await start(house, order, "pay-key-1", method=first)
        started = await start(house, order, "pay-key-2", method=second)
        assert [state for _, state in await attempts(order)] == [PaymentState.CLOSED, PaymentState.OPEN]
        old = await PaymentAttempt.get(order_id=order.id, number=1)
        channel = house.third_parties.channels.of(name=old.channel, sub_mchid=old.sub_mchid)
        assert (await channel.query(old.out_trade_no)).state is TradeState.CLOSED
        # The first wish, sent again by a slow network, does not take the payment away from under the user.
        with pytest.raises(OrderNotPayable):
            await start(house, order, "pay-key-1", method=first)
        again = await start(house, order, "pay-key-2", method=second)
        assert (again.alipay, bool(again.parameters)) == (started.alipay, bool(started.parameters))
        pay(house, started) if started.alipay else house.pay(started)
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        assert await steps(order.id) == [1, 2, 3, 4, 10, 11]

    async def test_what_gave_way_and_is_paid_after_all_goes_back_by_its_own_channel(self, house: House) -> None:
        order = await house.order()
        first = await start(house, order)
        house.pay(await house.start_payment(order))
        pay(house, first, force=True)
        old = await PaymentAttempt.get(order_id=order.id, number=1)
        (channel,) = house.third_parties.channels.by([ALIPAY])
        await house.confirm(await channel.query(old.out_trade_no))
        await house.work_until_refund(order.id, RefundState.SUCCESS)
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        assert (await Refund.get(order_id=order.id)).attempt_id == old.id
        assert await balance(CLEARING) == Money(0)
        assert (await ErrorEntry.get(order_id=order.id)).kind in {ErrorKind.SURPLUS_PAYMENT, ErrorKind.LATE_PAYMENT}

    async def test_another_channel_takes_over_where_the_client_can_use_it(self, house: House) -> None:
        house.sandbox.faults(payment="prepay_error_500")
        order = await house.order()
        started = await start(house, order, method=WECHAT_PAY, alternatives=[ALIPAY])
        assert started.alipay
        assert [channel for channel, _ in await attempts(order)] == ["wechat_pay", "wechat_pay", "alipay"]
        pay(house, started)
        await house.work_until_state(order.id, OrderState.SUCCEEDED)

    async def test_a_channel_that_is_down_is_passed_by_only_for_who_can(self, house: House) -> None:
        settings = Settings(channel_down_failures=1, channel_suspect_failures=1)
        down = house.on(watched(house.third_parties.channels, Thresholds.of(settings)))
        house.sandbox.faults(payment="prepay_error_500")
        with pytest.raises(PaymentUnavailable):
            await down.start_payment(await house.order("50.00"))
        both, one = await house.order("100.00"), await house.order("100.00")
        assert (await start(down, both, method=WECHAT_PAY, alternatives=[ALIPAY])).alipay
        assert await attempts(both) == [("alipay", PaymentState.OPEN)]
        with pytest.raises(PaymentUnavailable):
            await start(down, one, method=WECHAT_PAY)
        assert {channel for channel, _ in await attempts(one)} == {"wechat_pay"}

    async def test_while_the_old_one_is_not_certainly_closed_nothing_opens(self, house: House) -> None:
        order = await house.order()
        await start(house, order)
        house.sandbox.faults(alipay="error_500")
        with pytest.raises(PaymentUnavailable):
            await house.start_payment(order, "pay-key-2")
        assert await attempts(order) == [("alipay", PaymentState.OPEN)]
        house.sandbox.clear_faults()
        await house.start_payment(order, "pay-key-2")
        assert await attempts(order) == [("alipay", PaymentState.CLOSED), ("wechat_pay", PaymentState.OPEN)]


async def test_somebody_elses_payer_is_never_taken(house: House) -> None:
    """What is known of one user is nothing to another one."""
    await start(house, await house.order())
    assert await ChannelPayer.filter(user_id=house.viewer.user_id).exists()
    stranger = replace(house, viewer=replace(house.viewer, user_id=uuid4()))
    with pytest.raises(Exception, match="order"):
        await stranger.start_payment(await house.order("50.00"), method=ALIPAY)
