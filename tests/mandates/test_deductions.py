"""Orders that a mandate pays: once, within its caps, never behind a revocation, and unknown means pending."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.mandates import operations
from domain.mandates.operations import Revoked
from domain.mandates.rules import MandateCapExceeded, MandateCardNotAllowed, MandateNotActive
from domain.orders import deducting
from domain.orders.choosing import PaymentMethodUnavailable
from domain.orders.operations import PaymentStateUnknown
from domain.orders.paying import StartedPayment
from domain.payments.contracts import DeductionRequest
from domain.payments.operations import PaymentRefused, PaymentUnavailable
from domain.payments.ports import ChannelUnavailable
from domain.risk.rules import PayerNeeded, TooManyUnattended
from kernel.clock import start_of_business_day, utc_now
from kernel.money import Money
from kernel.states import ErrorKind, MandateState, OrderState, PaymentMethod, PaymentState, RefundState
from models.mandates import Mandate
from models.orders import RechargeOrder
from models.payments import PaymentAttempt
from models.reviews import ErrorEntry
from tests.factories import LIMITS, PETROCHINA_NUMBER, create_card, create_order
from tests.ledger.audit import assert_books_are_true
from tests.mandates.support import MANDATE, Watched, assert_untouched, create_signed, on, pay, revoke, work
from tests.orders.conftest import House, steps


class Unreached:
    """Contracts whose deductions do not arrive, as many times as it is told."""

    def __init__(self, house: House, times: int = 1) -> None:
        self._contracts, self.left = house.third_parties.contracts, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._contracts, name)

    async def deduct(self, _request: object) -> None:
        self.left -= 1
        raise ChannelUnavailable("nobody answers")


class TestPaying:
    async def test_an_order_is_paid_by_the_mandate_and_arrives(self, house: House) -> None:
        await create_signed(house)
        order, contracts = await house.order("500.00"), Watched(house)
        started = await pay(on(house, contracts), order, "pay-key-1")
        assert (started.order.state, started.parameters, started.alipay) == (OrderState.PAYING, None, None)
        again = await pay(on(house, contracts), order, "pay-key-1")
        assert again.order.state is OrderState.PAYING
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        attempt = await house.attempt(order)
        assert [each.out_trade_no for each in contracts.asked] == [attempt.out_trade_no]
        assert await steps(order.id) == [1, 2, 4, 10, 11]
        assert (await pay(house, order, "pay-key-1")).order.state is OrderState.SUCCEEDED

    async def test_a_lost_answer_is_pending_and_nothing_is_deducted_twice(self, house: House) -> None:
        await create_signed(house)
        order, contracts = await house.order(), Watched(house)
        house.sandbox.faults(contract="timeout")
        assert (await pay(on(house, contracts), order)).order.state is OrderState.PAYING
        house.sandbox.clear_faults()
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        assert len(contracts.asked) == 1
        assert await PaymentAttempt.filter(order_id=order.id, state=PaymentState.PAID).count() == 1

    async def test_what_never_arrived_is_asked_for_again_under_its_number(self, house: House) -> None:
        await create_signed(house)
        order = await house.order()
        assert (await pay(on(house, Unreached(house)), order)).order.state is OrderState.PAYING
        attempt = await house.attempt(order)
        assert house.sandbox.payment(attempt.out_trade_no) is None
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        assert house.sandbox.payment(attempt.out_trade_no)["state"] == "SUCCESS"
        assert await PaymentAttempt.filter(order_id=order.id).count() == 1

    @pytest.mark.parametrize("fault", ["no_callback", "error_500"])
    async def test_what_nobody_tells_of_or_takes_on_is_asked_for(self, house: House, fault: str) -> None:
        await create_signed(house)
        order = await house.order()
        house.sandbox.faults(contract=fault)
        assert (await pay(house, order)).order.state is OrderState.PAYING
        attempt = await house.attempt(order)
        if fault == "error_500":
            await house.work_until_state(order.id, OrderState.PAYING)
            assert house.sandbox.payment(attempt.out_trade_no) is None
            house.sandbox.clear_faults()
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        told = [each["event"] for each in house.sandbox.callbacks(attempt.out_trade_no)]
        assert bool(told) == (fault == "error_500")
        assert await PaymentAttempt.filter(order_id=order.id, state=PaymentState.PAID).count() == 1

    async def test_a_failed_deduction_leaves_the_order_to_its_user(self, house: House) -> None:
        await create_signed(house)
        house.sandbox.faults(contract="fail")
        order = await house.order()
        await pay(house, order, "pay-key-1")
        await house.work_until_state(order.id, OrderState.PENDING_PAYMENT)
        house.sandbox.clear_faults()
        with pytest.raises(PaymentRefused):
            await pay(house, order, "pay-key-1")
        house.pay(await house.start_payment(order))
        await house.work_until_state(order.id, OrderState.SUCCEEDED)

    async def test_a_refusal_is_told_at_once(self, house: House) -> None:
        await create_signed(house)
        house.sandbox.faults(contract="refuse")
        order = await house.order()
        with pytest.raises(PaymentRefused):
            await pay(house, order)
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.PENDING_PAYMENT
        assert (await house.attempt(order)).state is PaymentState.CLOSED

    async def test_a_contract_that_was_ended_at_the_channel_is_noticed(self, house: House) -> None:
        mandate, order = await create_signed(house), await house.order()
        house.sandbox.control("contract", out_contract_code=mandate.out_contract_code, wish="terminate")
        with pytest.raises(PaymentRefused):
            await pay(house, order)
        assert (await Mandate.get(id=mandate.id)).state is MandateState.ENDED
        with pytest.raises(MandateNotActive):
            await pay(house, order)

    async def test_what_is_under_way_can_neither_be_cancelled_nor_paid_otherwise(self, house: House) -> None:
        await create_signed(house)
        house.sandbox.faults(contract="stuck")
        order = await house.order()
        await pay(house, order)
        with pytest.raises(PaymentStateUnknown):
            await house.cancel(order)
        with pytest.raises(PaymentUnavailable):
            await house.start_payment(order)
        attempt = await house.attempt(order)
        assert attempt.state is PaymentState.OPEN
        house.sandbox.control("deduction", out_trade_no=attempt.out_trade_no, state="SUCCESS")
        await house.work_until_state(order.id, OrderState.SUCCEEDED)

    async def test_it_takes_the_place_of_what_the_user_began_otherwise(self, house: House) -> None:
        await create_signed(house)
        order = await house.order()
        await house.start_payment(order, "pay-key-1")
        assert (await pay(house, order, "pay-key-2")).order.state is OrderState.PAYING
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        assert await PaymentAttempt.filter(order_id=order.id, mandate_id__isnull=False).count() == 1

    async def test_what_is_deducted_after_all_is_paid_back(self, house: House) -> None:
        mandate, order = await create_signed(house), await house.order()
        lost = Watched(house)
        await pay(on(house, Unreached(house)), order)
        attempt = await house.attempt(order)
        assert (await house.cancel(order)).state is OrderState.FAILED
        assert mandate.contract_id is not None
        late = DeductionRequest(attempt.out_trade_no, mandate.contract_id, attempt.amount_fen, "late")
        await lost.deduct(late)
        await house.sandbox.wait_until(lambda: house.sandbox.payment(attempt.out_trade_no)["state"] == "SUCCESS")
        await PaymentAttempt.filter(id=attempt.id).update(asked_at=utc_now() - timedelta(minutes=5))
        await house.work_until_refund(order.id, RefundState.SUCCESS)
        assert [entry.kind for entry in await ErrorEntry.filter(order_id=order.id)] == [ErrorKind.LATE_PAYMENT]

    async def test_what_the_issuer_refuses_is_paid_back_by_the_same_way(self, house: House) -> None:
        await create_signed(house)
        house.sandbox.faults(issuer="refuse")
        order = await house.order()
        await pay(house, order)
        await house.work_until_refund(order.id, RefundState.SUCCESS)


class TestDenied:
    async def denied(self, house: House, kind: type[Exception], order: RechargeOrder, **options: Any) -> Exception:
        contracts = Watched(house)
        with pytest.raises(kind) as refused:
            await pay(on(house, contracts), order, **options)
        await assert_untouched(order, contracts)
        return refused.value

    async def test_without_a_mandate_in_force(self, house: House) -> None:
        order = await house.order()
        await self.denied(house, MandateNotActive, order)
        mandate = await create_signed(house)
        await revoke(house, mandate)
        await self.denied(house, MandateNotActive, order)
        await Mandate.filter(id=mandate.id).update(state=MandateState.ACTIVE, expires_at=utc_now())
        await self.denied(house, MandateNotActive, order)

    async def test_over_the_cap_of_an_order(self, house: House) -> None:
        await create_signed(house)
        error = await self.denied(house, MandateCapExceeded, await house.order("500.01"))
        assert isinstance(error, MandateCapExceeded)
        assert error.values["maximum"] == Money(50_000)

    async def test_caps_that_were_lowered_hold(self, house: House) -> None:
        mandate = await create_signed(house)
        await operations.lower_caps(
            viewer=house.viewer,
            mandate_id=mandate.id,
            transaction_max=Decimal("100.00"),
            daily_max=Decimal("100.00"),
            now=utc_now(),
        )
        await self.denied(house, MandateCapExceeded, await house.order("100.01"))

    async def test_for_a_card_that_it_does_not_name(self, house: House) -> None:
        await create_signed(house)
        other = await create_card(house.viewer, PETROCHINA_NUMBER)
        await self.denied(house, MandateCardNotAllowed, await create_order(house.viewer, other))

    async def test_where_a_face_is_needed(self, house: House) -> None:
        await create_signed(house)
        order = await house.order("300.00", limits=replace(LIMITS, review_above_fen=20_000))
        await self.denied(house, PayerNeeded, order)

    async def test_too_often_in_one_day(self, house: House) -> None:
        await create_signed(house)
        await pay(house, await house.order("10.00"))
        once = replace(house, policy=replace(house.policy, limits=replace(LIMITS, unattended_per_day_max=1)))
        await self.denied(once, TooManyUnattended, await house.order("10.00"))

    async def test_where_there_are_no_contracts_or_other_ways_beside(self, house: House) -> None:
        await create_signed(house)
        order = await house.order()
        await self.denied(house, PaymentMethodUnavailable, order, alternatives=[PaymentMethod.WECHAT_PAY])
        with pytest.raises(PaymentMethodUnavailable):
            await house.start_payment(order, method=PaymentMethod.WECHAT_PAY, alternatives=[MANDATE])
        with pytest.raises(PaymentMethodUnavailable):
            await pay(on(house, None), order)
        await assert_untouched(order, Watched(house))


class TestCapOfTheDay:
    async def test_orders_at_once_keep_to_it_together(self, house: House) -> None:
        await create_signed(house, transaction_max=Decimal("300.00"), daily_max=Decimal("1000.00"))
        orders = [await house.order("300.00") for _ in range(5)]
        contracts = Watched(house)
        payments = (pay(on(house, contracts), order) for order in orders)
        results = await asyncio.gather(*payments, return_exceptions=True)
        paid = [each for each in results if isinstance(each, StartedPayment)]
        refused = [each for each in results if isinstance(each, MandateCapExceeded)]
        assert (len(paid), len(refused), len(contracts.asked)) == (3, 2, 3)
        assert {error.values["maximum"] for error in refused} == {Money(10_000)}

    async def test_a_deduction_that_failed_leaves_room_and_yesterday_does_not_count(self, house: House) -> None:
        await create_signed(house, daily_max=Decimal("500.00"))
        house.sandbox.faults(contract="fail")
        first = await house.order()
        await pay(house, first)
        await house.work_until_state(first.id, OrderState.PENDING_PAYMENT)
        house.sandbox.clear_faults()
        await pay(house, await house.order())
        third = await house.order("10.00")
        with pytest.raises(MandateCapExceeded):
            await pay(house, third)
        yesterday = start_of_business_day(utc_now()) - timedelta(seconds=1)
        await PaymentAttempt.filter(mandate_id__isnull=False).update(created_at=yesterday)
        assert (await pay(house, third)).order.state is OrderState.PAYING


class TestRevoked:
    async def test_what_is_at_the_channel_is_named_and_still_arrives(self, house: House) -> None:
        mandate, order = await create_signed(house), await house.order()
        named: list[Any] = []

        async def meanwhile() -> None:
            named.extend((await revoke(house, mandate)).under_way)

        contracts = Watched(house, before=meanwhile)
        assert (await pay(on(house, contracts), order)).order.state is OrderState.PAYING
        assert [each.id for each in named] == [order.id]
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
        assert len(contracts.asked) == 1

    async def test_what_was_written_down_and_not_asked_for_ends(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mandate, order = await create_signed(house), await house.order()

        async def die(**_: Any) -> RechargeOrder:
            raise RuntimeError("the process has died")

        with monkeypatch.context() as patched:
            patched.setattr(deducting, "ask", die)
            with pytest.raises(RuntimeError):
                await pay(house, order)
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.PAYING
        assert (await revoke(house, mandate)).under_way == []
        await work(house, "settle_deduction")
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.PENDING_PAYMENT
        assert house.sandbox.payment((await house.attempt(order)).out_trade_no) is None
        await assert_books_are_true()

    async def test_what_never_arrived_is_not_asked_for_again(self, house: House) -> None:
        mandate, order = await create_signed(house), await house.order()
        await pay(on(house, Unreached(house)), order)
        assert [each.id for each in (await revoke(house, mandate)).under_way] == [order.id]
        attempt = await house.attempt(order)
        await work(house, "settle_deduction")
        assert (await house.attempt(order)).state is PaymentState.OPEN
        assert house.sandbox.payment(attempt.out_trade_no) is None
        await PaymentAttempt.filter(id=attempt.id).update(asked_at=utc_now() - timedelta(minutes=5))
        await work(house, "settle_deduction")
        assert (await RechargeOrder.get(id=order.id)).state is OrderState.PENDING_PAYMENT
        assert house.sandbox.payment(attempt.out_trade_no) is None

    async def test_whoever_comes_first_no_deduction_is_begun_behind_it(self, house: House) -> None:
        mandate = await create_signed(house, transaction_max=Decimal("100.00"))
        orders = [await house.order("100.00") for _ in range(4)]
        contracts = Watched(house)
        tries = [pay(on(house, contracts), order) for order in orders]
        *paid, revoked = await asyncio.gather(*tries, revoke(house, mandate), return_exceptions=True)
        assert isinstance(revoked, Revoked)
        asked = await PaymentAttempt.filter(asked_at__isnull=False)
        assert {each.id for each in revoked.under_way} == {attempt.order_id for attempt in asked}
        assert len(contracts.asked) == len(asked)
        refused = [each for each in paid if isinstance(each, BaseException)]
        assert all(isinstance(each, MandateNotActive) for each in refused)
        assert len(refused) + len(asked) == len(orders)
