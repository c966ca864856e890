"""The sweep of a day: once, by the forecast, never more than is there, and the reserve keeps its share."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from domain.funds import audit, queries, sending, sweeping
from domain.ledger import postings
from domain.ledger.queries import balance
from kernel.clock import business_day, utc_now
from kernel.fund_states import TransferKind, TransferState
from kernel.ids import new_id
from kernel.states import OrderState, RechargeState, RefundState, ReviewState
from models.funds import FundSettlement, FundSweep, FundTransfer
from models.orders import RechargeAttempt, RechargeOrder
from tests.factories import SEALER, create_card, create_viewer
from tests.funds.support import POLICY, FakeBank, assert_books_hold, check, direct, director, fill, finance
from tests.ledger.booking import book

pytestmark = pytest.mark.usefixtures("database")
WEEK = timedelta(days=7)


async def sweep(now: datetime | None = None) -> FundSweep:
    return await sweeping.sweep(policy=POLICY, now=now or utc_now())


async def send_all(bank: FakeBank) -> None:
    for row in await FundTransfer.all():
        await sending.push(transfer_id=row.id, bank=bank, sealer=SEALER, now=utc_now())


async def recharged(fen: int, when: datetime) -> None:
    """Have the day of `when` take so much of a deposit."""
    viewer = await create_viewer()
    card = await create_card(viewer)
    order = await RechargeOrder.create(
        id=new_id(), user_id=viewer.user_id, card_id=card.id, amount_fen=fen, price_fen=fen,
        state=OrderState.SUCCEEDED, version=1, refund_state=RefundState.NONE, review_state=ReviewState.NONE,
        pay_deadline_at=when, created_at=when, updated_at=when,
    )  # fmt: skip
    await RechargeAttempt.create(
        id=new_id(), order_id=order.id, user_id=viewer.user_id, number=1, issuer="card_issuer",
        state=RechargeState.SUCCEEDED, cost_fen=fen, submitted_at=when, settled_at=when,
    )  # fmt: skip


async def test_without_a_history_as_much_as_the_rule_allows_stays() -> None:
    await fill(100_000_00)
    row, bank = await sweep(), FakeBank()
    assert (row.forecast_fen, row.target_fen, row.amount_fen) == (None, 5_000_00, 95_000_00)
    assert (await balance("escrow:operating_held")).fen == 95_000_00
    await send_all(bank)
    assert (await balance("escrow:reserve")).fen == 95_000_00
    (order,) = bank.orders.values()
    assert (order.source, order.target) == ("operating", "reserve")
    await assert_books_hold()


async def test_the_forecast_of_the_day_stays() -> None:
    now = utc_now()
    await fill(100_000_00)
    for week, fen in ((1, 1_000_00), (2, 2_000_00), (3, 3_000_00)):
        await recharged(fen, now - week * WEEK)
    await recharged(50_000_00, now - timedelta(days=6))
    row = await sweep(now)
    assert (row.forecast_fen, row.target_fen, row.amount_fen) == (2_400_00, 2_400_00, 97_600_00)


async def test_once_a_day_whoever_comes() -> None:
    await fill(100_000_00)
    now = utc_now()
    found = await asyncio.gather(*(sweep(now) for _ in range(3)))
    assert len({row.id for row in found}) == 1
    await fill(50_000_00)
    assert (await sweep(now)).id == found[0].id
    assert await FundTransfer.all().count() == await FundSweep.all().count() == 1
    assert (await sweep(now + timedelta(days=1))).amount_fen > 0
    await send_all(FakeBank())
    await assert_books_hold()


async def settlement(now: datetime) -> FundSettlement:
    return await FundSettlement.create(
        id=new_id(), channel="wechat_pay", sub_mchid="1900000209", business_day=business_day(now),
        reference=str(new_id()), bank_reference="B1", gross_fen=50_000_00, fee_fen=0, arrived_fen=50_000_00,
        occurred_at=now,
    )  # fmt: skip


async def test_what_arrives_during_the_day_is_swept_at_once_and_once() -> None:
    await fill(100_000_00)
    now = utc_now()
    first = await sweep(now)
    await fill(50_000_00)
    arrived = await settlement(now)
    sweeps = [
        await sweeping.sweep(policy=POLICY, now=now + timedelta(days=late), settlement=arrived) for late in (0, 0, 1)
    ]
    assert {row.id for row in sweeps} == {sweeps[0].id} != {first.id}
    await send_all(FakeBank())
    assert (await balance("escrow:reserve")).fen == 142_500_00
    assert (await balance("escrow:operating")).fen == 7_500_00
    assert (await queries.position(policy=POLICY, now=now)).keeps_the_reserve


async def test_a_settlement_proposes_nothing_out_of_the_reserve() -> None:
    await fill(0, 100_000_00)
    now = utc_now()
    row = await sweeping.sweep(policy=POLICY, now=now, settlement=await settlement(now))
    assert (row.amount_fen, row.transfer_id) == (0, None)
    assert not await FundTransfer.exists()


async def test_out_of_the_reserve_it_only_proposes() -> None:
    await fill(0, 100_000_00)
    row, bank = await sweep(), FakeBank()
    assert row.amount_fen == -5_000_00
    transfer = await FundTransfer.get()
    assert (transfer.kind, transfer.state, transfer.proposed_by) == (
        TransferKind.FROM_RESERVE,
        TransferState.PROPOSED,
        None,
    )
    await send_all(bank)
    assert bank.calls == 0
    await direct(await check(transfer, await finance()), await director())
    await send_all(bank)
    assert (await balance("escrow:operating")).fen == 5_000_00
    assert (await sweep(utc_now() + timedelta(days=1))).amount_fen == 0
    await assert_books_hold()


async def test_nothing_in_escrow_is_no_mistake() -> None:
    row = await sweep()
    assert (row.amount_fen, row.transfer_id) == (0, None)
    await assert_books_hold()


async def test_the_audit_finds_a_reserve_that_was_taken_from() -> None:
    await fill(100_000_00)
    await sweep()
    await send_all(FakeBank())
    position = await queries.position(policy=POLICY, now=utc_now())
    assert position.keeps_the_reserve
    assert position.reserve_min_fen == 95_000_00
    stolen = postings.Posting(
        "stolen", None, None, (postings.Line("loss", 50_000_00), postings.Line("escrow:reserve", -50_000_00))
    )
    await book(stolen)
    assert [each.rule for each in await audit.findings(policy=POLICY)] == [audit.RESERVE_RULE]
    # What arrives afterwards is for the next sweep, and no finding.
    await fill(1_00, now=utc_now() + timedelta(seconds=1))
    assert await audit.findings(policy=POLICY) == []
