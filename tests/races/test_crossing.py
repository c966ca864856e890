"""The issuer says that a recharge succeeded and that it failed, over HTTP, in either order and at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from domain.ledger import postings
from domain.ledger.queries import balance
from domain.orders import recharging
from kernel.clock import utc_now
from kernel.money import Money
from kernel.states import CaseKind, CaseState, OrderState, RechargeState, RefundState
from models.ledger import LedgerTransaction
from models.orders import RechargeAttempt, RechargeOrder
from models.payments import Refund, ThirdPartyNotice
from models.reviews import ManualCase
from tests.orders.conftest import steps
from tests.races.conftest import OpenHouse
from tests.subscriptions.support import eventually

SUCCEEDED, REFUSED = "SUCCEEDED", "REFUSED"


async def submitted(house: OpenHouse) -> RechargeAttempt:
    """Return the recharge of a paid order, of which the issuer has said nothing yet."""
    house.sandbox.faults(issuer="stuck")
    order = await house.paid_order()
    await house.work_until(order.id, lambda waiting: waiting.version >= 4)
    house.sandbox.clear_faults()
    return await RechargeAttempt.get(order_id=order.id)


async def heard(count: int) -> None:
    """Return once so many words of the issuer have come in, and all of them are applied."""

    async def applied() -> bool:
        return await ThirdPartyNotice.filter(source="card_issuer", applied_at__isnull=False).count() >= count

    await eventually(applied)


@asynccontextmanager
async def two_workers(house: OpenHouse) -> AsyncIterator[None]:
    workers = [house.another_worker(), house.another_worker()]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        await asyncio.gather(*(worker.stop() for worker in workers))


async def assert_one_truth(house: OpenHouse, attempt: RechargeAttempt) -> CaseKind:
    """Check that order, money and the one case tell the same story, and return how it ended."""
    case = await ManualCase.get(order_id=attempt.order_id)
    order = await RechargeOrder.get(id=attempt.order_id)
    assert case.state is CaseState.OPEN
    if case.kind is CaseKind.REVERSAL:
        # The success counted first: it stands until two people take it back.
        assert (order.state, order.refund_state) == (OrderState.SUCCEEDED, RefundState.NONE)
        assert await steps(order.id) == [1, 2, 4, 10, 11]
        assert await Refund.all().count() == 0
        assert await balance(postings.suspense("card_issuer")) == Money(0)
    else:
        # The refusal counted first: the customer is paid back, and what the issuer took after all is in suspense.
        order = await house.work_until_refund(order.id, RefundState.SUCCESS)
        assert order.state is OrderState.FAILED
        assert sorted(await steps(order.id)) == [1, 2, 4, 10, 12, 14, 16, 16]
        assert await balance(postings.suspense("card_issuer")) == Money(case.amount_fen) == Money(49_750)
    assert (await RechargeAttempt.get(id=attempt.id)).state is RechargeState.SUCCEEDED
    assert await balance(postings.TRANSIT) == await balance(postings.REFUNDS_PAYABLE) == Money(0)
    assert await balance(postings.issuer_prepaid("card_issuer")) == Money(-49_750)
    assert await ThirdPartyNotice.filter(source="card_issuer", applied_at__isnull=True).count() == 0
    await house.assert_true()
    return case.kind


@pytest.mark.parametrize("first", [SUCCEEDED, REFUSED])
async def test_one_after_the_other(reachable_house: OpenHouse, first: str) -> None:
    house = reachable_house
    attempt = await submitted(house)
    async with two_workers(house):
        for count, state in enumerate((first, REFUSED if first is SUCCEEDED else SUCCEEDED), start=1):
            house.sandbox.settle_recharge(attempt.id, state)
            await heard(count)
    ended = await assert_one_truth(house, attempt)
    assert ended is (CaseKind.REVERSAL if first is SUCCEEDED else CaseKind.CLAW_BACK)


@pytest.mark.parametrize("first", [SUCCEEDED, REFUSED])
@pytest.mark.parametrize("arriving", ["oldest_first", "newest_first", "at_once"])
async def test_crossing(reachable_house: OpenHouse, first: str, arriving: str) -> None:
    house = reachable_house
    attempt = await submitted(house)
    house.sandbox.faults(callbacks="hold")
    for state in (first, REFUSED if first is SUCCEEDED else SUCCEEDED):
        house.sandbox.settle_recharge(attempt.id, state)
    house.sandbox.clear_faults()
    async with two_workers(house):
        house.sandbox.repeat_callbacks(attempt.id, arriving)
        await asyncio.gather(heard(2), *(query(house, attempt) for _ in range(3)))
    await assert_one_truth(house, attempt)
    await assert_copies_change_nothing(house, attempt)


async def query(house: OpenHouse, attempt: RechargeAttempt) -> None:
    """Ask the issuer, whose word is the later one."""
    await recharging.settle_recharge(facts=await house.third_parties.issuer.query(attempt.id), actor="t", now=utc_now())


async def assert_copies_change_nothing(house: OpenHouse, attempt: RechargeAttempt) -> None:
    async def standing() -> list[int]:
        order = await RechargeOrder.get(id=attempt.order_id)
        return [order.version, *[await kind.all().count() for kind in (LedgerTransaction, ManualCase, Refund)]]

    before = await standing()
    sent = sum(len(each["tries"]) for each in house.sandbox.callbacks(attempt.id))
    for _ in range(5):
        house.sandbox.repeat_callbacks(attempt.id)
    await house.sandbox.wait_until(
        lambda: sum(len(each["tries"]) for each in house.sandbox.callbacks(attempt.id)) >= sent + 10
    )
    tries = [one for each in house.sandbox.callbacks(attempt.id) for one in each["tries"]]
    assert {one["result"] for one in tries} == {"204"}
    await house.apply()
    assert await standing() == before
    assert await ThirdPartyNotice.filter(source="card_issuer").count() == 2
