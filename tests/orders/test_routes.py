"""Failover (row 3): the next route opens only once the old attempt can certainly not be paid any more."""

from __future__ import annotations

import asyncio

import pytest

from domain.ledger import postings
from domain.ledger.queries import balance
from domain.orders import choosing
from domain.payments.operations import PaymentRefused, PaymentUnavailable
from domain.payments.ports import UnknownChannel
from kernel.money import Money
from kernel.states import ErrorKind, OrderState, PaymentMethod, PaymentState, RefundState
from models.jobs import Job
from models.orders import RechargeOrder
from models.payments import PaymentAttempt, Refund
from models.reviews import ErrorEntry
from tests.orders.conftest import House, steps
from tests.orders.test_paying import only_main


def routes(house: House) -> tuple[str, str]:
    main, backup, _ = house.third_parties.channels.routes
    return main.sub_mchid, backup.sub_mchid


async def attempts(order: RechargeOrder) -> list[tuple[str, PaymentState]]:
    rows = await PaymentAttempt.filter(order_id=order.id).order_by("number")
    return [(row.sub_mchid, row.state) for row in rows]


async def test_a_main_route_that_does_not_answer_gives_way_to_the_backup(house: House) -> None:
    main, backup = routes(house)
    house.sandbox.faults(**{f"payment:{main}": "timeout"})
    order = await house.order()
    house.pay(await house.start_payment(order))
    assert await attempts(order) == [(main, PaymentState.CLOSED), (backup, PaymentState.OPEN)]
    first = await PaymentAttempt.get(order_id=order.id, number=1)
    # It was made although nobody heard of it, so it had to be closed before the next one opened.
    assert house.sandbox.payment(first.out_trade_no)["state"] == "CLOSED"
    await house.work_until_state(order.id, OrderState.SUCCEEDED)
    assert await steps(order.id) == [1, 2, 3, 4, 10, 11]
    assert await balance(postings.channel_clearing("wechat_pay", backup)) == Money(50_000)
    assert await balance(postings.channel_clearing("wechat_pay", main)) == Money(0)


async def test_while_the_old_attempt_is_not_certainly_closed_nothing_opens(house: House) -> None:
    main, _ = routes(house)
    house.sandbox.faults(**{f"payment:{main}": "error_500"})
    order = await house.order()
    for _ in range(2):
        with pytest.raises(PaymentUnavailable):
            await house.start_payment(order, "pay-key-1")
    assert await attempts(order) == [(main, PaymentState.OPEN)]
    assert (await RechargeOrder.get(id=order.id)).state is OrderState.PAYING
    house.sandbox.clear_faults()
    house.pay(await house.start_payment(order, "pay-key-1"))
    await house.work_until_state(order.id, OrderState.SUCCEEDED)
    assert await steps(order.id) == [1, 2, 4, 10, 11]


async def test_the_same_key_goes_on_with_the_new_attempt(house: House) -> None:
    main, _ = routes(house)
    house.sandbox.faults(**{f"payment:{main}": "timeout"})
    order = await house.order()
    answers = [await house.start_payment(order, "pay-key-1") for _ in range(3)]
    assert len({answer.parameters.package for answer in answers if answer.parameters}) == 1
    assert await PaymentAttempt.filter(order_id=order.id).count() == 2


async def test_requests_that_fail_over_at_once_open_one_attempt(house: House) -> None:
    main, backup = routes(house)
    house.sandbox.faults(**{f"payment:{main}": "timeout"})
    order = await house.order()
    started = await asyncio.gather(*(house.start_payment(order) for _ in range(4)))
    assert len({each.parameters.package for each in started if each.parameters}) == 1
    assert await attempts(order) == [(main, PaymentState.CLOSED), (backup, PaymentState.OPEN)]


async def test_a_payment_of_the_old_attempt_after_all_is_paid_back_by_its_own_route(house: House) -> None:
    main, backup = routes(house)
    house.sandbox.faults(**{f"payment:{main}": "timeout"})
    order = await house.order()
    started = await house.start_payment(order)
    house.sandbox.clear_faults()
    first = await PaymentAttempt.get(order_id=order.id, number=1)
    house.sandbox.pay(house.sandbox.payment(first.out_trade_no)["prepay_id"], force=True)
    facts = await house.third_parties.channels.main.query(first.out_trade_no)
    await house.confirm(facts)
    house.pay(started)
    await house.work_until_refund(order.id, RefundState.SUCCESS)
    done = await house.work_until_state(order.id, OrderState.SUCCEEDED)
    assert done.refund_state is RefundState.SUCCESS
    refund = await Refund.get(order_id=order.id)
    assert refund.attempt_id == first.id
    assert (await ErrorEntry.get(order_id=order.id)).kind is ErrorKind.SURPLUS_PAYMENT
    assert await balance(postings.channel_clearing("wechat_pay", main)) == Money(0)
    assert await balance(postings.channel_clearing("wechat_pay", backup)) == Money(50_000)


async def test_without_a_route_that_takes_it_the_payment_is_refused_or_waits(house: House) -> None:
    main, backup = routes(house)
    house.sandbox.faults(payment="timeout")
    order = await house.order()
    with pytest.raises(PaymentUnavailable):
        await house.start_payment(order, "pay-key-1")
    assert await attempts(order) == [(main, PaymentState.CLOSED), (backup, PaymentState.OPEN)]
    house.sandbox.clear_faults()
    house.pay(await house.start_payment(order, "pay-key-1"))
    await house.work_until_state(order.id, OrderState.SUCCEEDED)


async def test_a_merchant_that_is_gone_leaves_the_payment_to_a_person(house: House) -> None:
    order = await house.paid_order()
    facts = await house.third_parties.channels.main.query((await house.attempt(order)).out_trade_no)
    await PaymentAttempt.filter(order_id=order.id).update(sub_mchid="1900000999")
    with pytest.raises(UnknownChannel):
        await house.confirm(facts)
    await Job.filter(kind="query_payment").update(due_at=order.created_at)
    await house.worker.run_due()
    await house.worker.settle()
    assert (await Job.get(kind="query_payment")).parked_at is not None
    assert (await RechargeOrder.get(id=order.id)).state is OrderState.PAYING


async def test_routes_follow_each_other_and_end(house: House) -> None:
    order = await house.order()
    await house.start_payment(order)
    attempt, channels = await house.attempt(order), house.third_parties.channels
    accepted, user_id = [PaymentMethod.WECHAT_PAY], house.viewer.user_id
    first, second = await choosing.routes_of(user_id=user_id, accepted=accepted, channels=channels)
    assert choosing.behind([first, second], attempt) == second
    assert choosing.behind([second, first], attempt) is None
    # An attempt by a route that is none of these any more goes on with the first of them.
    assert choosing.behind([second], attempt) == second


async def test_a_refusal_of_every_route_is_told(house: House) -> None:
    order = await house.order()
    await house.start_payment(order)
    # The channel keeps what an out_trade_no was first sent with, so another deadline under it is refused.
    await PaymentAttempt.filter(order_id=order.id).update(prepay_id=None)
    await RechargeOrder.filter(id=order.id).update(pay_deadline_at=order.pay_deadline_at.replace(year=2099))
    with pytest.raises(PaymentRefused):
        await house.on(only_main(house)).start_payment(order)
    assert await steps(order.id) == [1, 2, 5]
