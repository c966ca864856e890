"""Orders that were paid over HTTP, and the sandbox's own bill of them: true, with a drift, and cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.payments.bills import BillRefused
from domain.payments.ports import merchant_name
from domain.reconciliation import audit
from domain.reconciliation.operations import reconcile
from domain.reconciliation.sources import ChannelSource, IssuerSource
from domain.work.operations import Kind
from jobs.reconciliation import ReconciliationWork
from kernel.clock import business_day, utc_now
from kernel.ids import new_id
from kernel.settings import Settings
from kernel.states import DifferenceClass, DifferenceState, OrderState, ReconciliationState
from models.jobs import Job
from models.ledger import LedgerTransaction
from models.orders import RechargeAttempt
from models.payments import PaymentAttempt
from models.reconciliation import ReconciliationCrossing, ReconciliationDifference, ReconciliationRun
from tests.audits import assert_audits_find_nothing
from tests.orders.conftest import House, house
from tests.reconciliation.support import LIMITS

__all__ = ["house"]


async def compare(house: House, folder: Path) -> ReconciliationRun:
    source = ChannelSource(house.third_parties.channels.main)
    assert source.name == merchant_name(house.third_parties.channels.main)
    return await reconcile(
        source=source, day=business_day(utc_now()), folder=folder, limits=LIMITS, owner="test", clock=utc_now
    )


async def test_the_sandboxs_bill_agrees_and_its_drift_is_found(house: House, folder: Path) -> None:
    orders = [await house.paid_order() for _ in range(2)]
    for order in orders:
        await house.work_until_state(order.id, OrderState.SUCCEEDED)
    # The sandbox has served other houses, whose payments this one has never heard of.
    done = await compare(house, folder)
    assert (done.state, done.matched_count) == (ReconciliationState.DONE, 2)
    assert set(done.counts) <= {DifferenceClass.LONG}
    house.sandbox.faults(bill="drift")
    drifted = await compare(house, folder)
    assert drifted.id != done.id
    assert drifted.digest != done.digest
    assert drifted.counts["AMOUNT_DIFF"] == 1
    row = await ReconciliationDifference.get(difference_class=DifferenceClass.AMOUNT_DIFF)
    assert (abs(row.amount_fen), row.book_fen) == (1, 50_000)
    assert await audit.findings() == []
    await assert_audits_find_nothing()
    house.sandbox.faults(bill="cut_off")
    with pytest.raises(BillRefused):
        await compare(house, folder)


async def trace() -> list[int]:
    return [await each.all().count() for each in (ReconciliationDifference, ReconciliationCrossing, LedgerTransaction)]


async def test_a_bill_that_cannot_be_used_is_refused_whole_and_asked_for_again(house: House, folder: Path) -> None:
    order = await house.paid_order()
    await house.work_until_state(order.id, OrderState.SUCCEEDED)
    source, today = ChannelSource(house.third_parties.channels.main), business_day(utc_now()).isoformat()
    work = ReconciliationWork(Settings(data_dir=folder), {source.name: source})
    job = Job(id=new_id(), kind=Kind.RECONCILE, attempts=0, payload={"source": source.name, "day": today})
    before = await trace()
    for fault in ("not_ready", "altered", "cut_off", "sums", "other_day", "error_500"):
        house.sandbox.faults(bill=fault)
        again_at = await work.reconcile(job, utc_now())
        assert again_at is not None, fault
        assert again_at > utc_now()
        assert await trace() == before, fault
        states = {run.state for run in await ReconciliationRun.all()}
        assert states <= {ReconciliationState.REFUSED, ReconciliationState.STOPPED}, fault
        assert list((folder / "bills").iterdir()) == []
    refused = await ReconciliationRun.get(state=ReconciliationState.REFUSED)
    assert (refused.passes, refused.reason) == (4, "the bill is of another day")
    house.sandbox.faults(bill="ok")
    assert await work.reconcile(job, utc_now()) is None
    assert (await ReconciliationRun.get(state=ReconciliationState.DONE)).matched_count == 1


async def test_what_is_false_and_adds_up_is_found_and_goes_with_its_bill(house: House, folder: Path) -> None:
    order = await house.paid_order()
    await house.work_until_state(order.id, OrderState.SUCCEEDED)
    attempt = await PaymentAttempt.get(order_id=order.id)
    true = await compare(house, folder)
    known = {row.key for row in await ReconciliationDifference.all()}
    for fault, found in (
        ("omit", [(DifferenceClass.SHORT, DifferenceState.WAITING, -50_000)]),
        ("drift", [(DifferenceClass.AMOUNT_DIFF, DifferenceState.OPEN, 1)]),
        ("extra", [(DifferenceClass.LONG, DifferenceState.OPEN, 50_000)]),
    ):
        house.sandbox.faults(bill=fault)
        await compare(house, folder)
        live = ReconciliationDifference.filter(state__in=[DifferenceState.WAITING, DifferenceState.OPEN])
        rows = await live.exclude(key__in=known)
        assert [(row.difference_class, row.state, row.amount_fen) for row in rows] == found, fault
        assert (rows[0].key == attempt.out_trade_no) == (fault != "extra")
        assert await audit.findings() == [], fault
    house.sandbox.faults(bill="ok")
    again = await compare(house, folder)
    assert (again.id, again.passes) == (true.id, 2)
    assert {row.key for row in await live.all()} == known
    await assert_audits_find_nothing()


async def test_the_issuers_bill_agrees(house: House, folder: Path) -> None:
    order = await house.paid_order()
    await house.work_until_state(order.id, OrderState.SUCCEEDED)
    issuer = house.third_parties.issuers.of((await RechargeAttempt.get()).issuer)
    source = IssuerSource(issuer)
    day = business_day(utc_now())
    done = await reconcile(source=source, day=day, folder=folder, limits=LIMITS, owner="test", clock=utc_now)
    assert (done.state, done.matched_count) == (ReconciliationState.DONE, 1)
    assert set(done.counts) <= {DifferenceClass.LONG}
    assert done.book_fen < 0
