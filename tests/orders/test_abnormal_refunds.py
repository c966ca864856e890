"""A refund that could not go back the way it came, paid elsewhere by what two people have decided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.ledger import postings
from domain.ledger.queries import balance
from domain.orders.abnormal_refunds import (
    AbnormalRefundNotPossible,
    AbnormalRefundRefused,
    RefundNotAbnormal,
    TwoPeopleNeeded,
    pay_abnormal_refund,
)
from domain.payments.ports import AbnormalRefundTo, BankAccount, Channels
from domain.work.manual_queue import ReasonMissing
from kernel.clock import utc_now
from kernel.errors import YoukaError
from kernel.money import Money
from kernel.states import RefundState
from models.jobs import Job, JobIntervention
from models.orders import RechargeOrder
from models.payments import Refund
from tests.orders.conftest import House, steps

ACCOUNT = BankAccount("ICBC_DEBIT", "6222021234567890123", "张三")


async def abnormal(house: House) -> Refund:
    """Return the abnormal refund of an order, whose work waits in the manual queue."""
    house.sandbox.faults(issuer="refuse", refund="abnormal")
    order = await house.paid_order()
    await house.work_until_refund(order.id, RefundState.ABNORMAL)
    house.sandbox.clear_faults()
    refund = await Refund.get(order_id=order.id)
    while (await Job.get(kind="refund", key=refund.out_refund_no)).parked_at is None:
        await Job.filter(done_at__isnull=True, parked_at__isnull=True, kind="refund").update(due_at=utc_now())
        await house.worker.run_due()
        await house.worker.settle()
    return refund


async def decide(house: House, refund: Refund, **changes: Any) -> bool:
    wish: dict[str, Any] = {
        "out_refund_no": refund.out_refund_no,
        "destination": AbnormalRefundTo.USER_BANK_CARD,
        "account": ACCOUNT,
        "proposed_by": "li.na",
        "approved_by": "wang.wei",
        "reason": "the card that paid is closed",
        "channels": house.third_parties.channels,
        "now": utc_now(),
    }
    return await pay_abnormal_refund(**{**wish, **changes})


async def assert_untouched(house: House, refund: Refund) -> None:
    assert (await Refund.get(id=refund.id)).state is RefundState.ABNORMAL
    assert house.sandbox.refund(refund.out_refund_no)["status"] == "ABNORMAL"
    assert (await Job.get(kind="refund", key=refund.out_refund_no)).parked_at is not None
    assert await JobIntervention.all().count() == 0
    assert await balance(postings.REFUNDS_PAYABLE) == Money(-50_000)


@pytest.mark.parametrize(
    ("destination", "account"),
    [(AbnormalRefundTo.USER_BANK_CARD, ACCOUNT), (AbnormalRefundTo.MERCHANT_BANK_CARD, None)],
)
async def test_it_is_paid_elsewhere_and_the_customer_is_told(
    house: House, destination: AbnormalRefundTo, account: BankAccount | None
) -> None:
    refund = await abnormal(house)
    assert await decide(house, refund, destination=destination, account=account)
    order = await house.work_until_refund(refund.order_id, RefundState.SUCCESS)
    assert house.sandbox.refund(refund.out_refund_no)["paid_to"] == destination
    assert (await steps(order.id))[-3:] == [16, 16, 16]
    assert await balance(postings.REFUNDS_PAYABLE) == Money(0)
    intervention = await JobIntervention.get()
    assert intervention.actor == "li.na, wang.wei"
    assert intervention.reason == f"{destination}: the card that paid is closed"
    assert ACCOUNT.number not in str((intervention.reason, (await Job.get(id=intervention.job_id)).payload))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"approved_by": "li.na"}, TwoPeopleNeeded),
        ({"approved_by": " li.na "}, TwoPeopleNeeded),
        ({"approved_by": ""}, TwoPeopleNeeded),
        ({"account": None}, AbnormalRefundNotPossible),
        ({"destination": AbnormalRefundTo.MERCHANT_BANK_CARD}, AbnormalRefundNotPossible),
        ({"out_refund_no": "R0"}, RefundNotAbnormal),
        ({"reason": "x" * 300}, ReasonMissing),
        ({"reason": " "}, ReasonMissing),
    ],
)
async def test_what_is_denied_changes_nothing(house: House, changes: dict[str, Any], error: type[YoukaError]) -> None:
    refund = await abnormal(house)
    with pytest.raises(error):
        await decide(house, refund, **changes)
    await assert_untouched(house, refund)


async def test_a_refund_that_went_well_is_not_paid_again(house: House) -> None:
    house.sandbox.faults(issuer="refuse")
    order = await house.paid_order()
    await house.work_until_refund(order.id, RefundState.SUCCESS)
    refund = await Refund.get(order_id=order.id)
    with pytest.raises(RefundNotAbnormal):
        await decide(house, refund)
    assert "paid_to" not in house.sandbox.refund(refund.out_refund_no)


async def test_a_refused_card_leaves_it_to_people_again(house: House) -> None:
    refund = await abnormal(house)
    with pytest.raises(AbnormalRefundRefused, match="PARAM_ERROR"):
        await decide(house, refund, account=replace(ACCOUNT, number="0"))
    assert (await JobIntervention.get()).actor == "li.na, wang.wei"
    await Job.filter(kind="refund", key=refund.out_refund_no).update(due_at=utc_now())
    await house.worker.run_due()
    await house.worker.settle()
    assert (await Job.get(kind="refund", key=refund.out_refund_no)).parked_at is not None
    assert (await RechargeOrder.get(id=refund.order_id)).refund_state is RefundState.ABNORMAL


async def test_without_an_answer_the_work_finds_out(house: House) -> None:
    refund = await abnormal(house)
    channel = house.third_parties.channels.main
    house.sandbox.faults(refund="error_500", times=100)
    assert not await decide(house, refund, channels=Channels((channel,)))
    house.sandbox.clear_faults()
    await Job.filter(kind="refund", key=refund.out_refund_no).update(due_at=utc_now())
    await house.worker.run_due()
    await house.worker.settle()
    assert (await Job.get(kind="refund", key=refund.out_refund_no)).parked_at is not None
    assert await decide(house, refund)
    await house.work_until_refund(refund.order_id, RefundState.SUCCESS)
    assert await JobIntervention.all().count() == 2
