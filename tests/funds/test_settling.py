"""What channels pay out: only what was cleared, once, and what differs becomes somebody's work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from domain.funds import audit, settling
from domain.funds.settling import NotArrived, NotCleared, SettlementOwed
from domain.ledger import audit as ledger
from domain.ledger.queries import balance
from domain.payments.bills import BillLine, BillNotReady
from domain.payments.ports import PaymentChannel
from domain.reconciliation import audit as reconciliation
from domain.reconciliation import deciding, queries
from domain.reconciliation.operations import reconcile
from domain.reconciliation.sources import BankFlow
from domain.work.operations import Kind
from kernel.clock import utc_now
from kernel.states import DifferenceClass, DifferenceOutcome, DifferenceState, StaffRole
from models.funds import FundSettlement, FundStep
from models.jobs import Job
from models.ledger import LedgerTransaction
from models.reconciliation import ReconciliationDifference
from tests.factories import create_staff, sign
from tests.funds.support import POLICY, FakeBank
from tests.ledger.booking import CLEARING
from tests.reconciliation.support import (
    CHANNEL,
    DAY,
    LIMITS,
    SOURCE,
    SUB_MCHID,
    FakeChannel,
    at,
    create_order,
    pay,
    pay_back,
    run,
)

pytestmark = pytest.mark.usefixtures("database")
REFERENCE = f"{CHANNEL}:{SUB_MCHID}:{DAY}"
NOW = at(DAY + timedelta(days=1), 14)


@dataclass
class Channel:
    """A channel that has the bills of a test, whose lines cost a fee each."""

    bills: dict[date, list[BillLine]] = field(default_factory=dict)
    name: str = CHANNEL
    sub_mchid: str = SUB_MCHID

    async def fetch_bill(self, *, day: date, into: Path) -> None:
        if day not in self.bills:
            raise BillNotReady(day.isoformat())
        into.write_text(day.isoformat(), encoding="ascii")  # noqa: ASYNC240 -- a few bytes.

    def read_bill(self, path: Path) -> Iterator[BillLine]:
        yield from self.bills[date.fromisoformat(path.read_text("ascii"))]


async def traded(folder: Path) -> Channel:
    """Return the channel of a day on which ¥500 and ¥300 were paid, ¥300 of it back, for a fee of ¥3 in all."""
    order = await create_order()
    lines = [await pay(order, 1, 50_000, at(DAY)), await pay(order, 2, 30_000, at(DAY))]
    lines.append(await pay_back(order, lines[1], at(DAY)))
    lines = [replace(line, fee_fen=fee) for line, fee in zip(lines, (300, 180, -180), strict=True)]
    await run(FakeChannel(bills={DAY: lines}), folder)
    return Channel({DAY: lines})


async def settle(channel: Channel, bank: FakeBank, folder: Path) -> FundSettlement | None:
    return await settling.settle(channel=cast(PaymentChannel, channel), bank=bank, day=DAY, folder=folder, now=NOW)


async def trace() -> list[int]:
    kinds = (FundSettlement, FundStep, LedgerTransaction, ReconciliationDifference)
    return [await kind.all().count() for kind in kinds]


async def assert_books_hold() -> None:
    found = [*await ledger.findings(), *await reconciliation.findings(), *await audit.findings(policy=POLICY)]
    assert found == []


async def fen(account: str) -> int:
    return (await balance(account)).fen


async def test_what_was_cleared_arrives_less_its_fee(folder: Path) -> None:
    channel, bank = await traded(folder), FakeBank(arrivals={REFERENCE: 49_700})
    assert await fen(CLEARING) == 50_000
    row = await settle(channel, bank, folder)
    assert row is not None
    assert (row.gross_fen, row.fee_fen, row.arrived_fen) == (50_000, 300, 49_700)
    assert [await fen(each) for each in (CLEARING, "fee_expense", "escrow:operating")] == [0, 300, 49_700]
    assert not await ReconciliationDifference.exists()
    await assert_books_hold()


async def test_it_is_booked_once_whoever_comes(folder: Path) -> None:
    channel, bank = await traded(folder), FakeBank(arrivals={REFERENCE: 49_700})
    found = await asyncio.gather(*(settle(channel, bank, folder) for _ in range(3)))
    assert len({row.id for row in found if row}) == 1
    before = await trace()
    bank.arrivals[REFERENCE] = 1
    await settle(channel, bank, folder)
    assert await trace() == before


async def test_nothing_is_booked_before_it_is_cleared_and_there(folder: Path) -> None:
    channel = await traded(folder)
    before = await trace()
    with pytest.raises(NotArrived):
        await settle(channel, FakeBank(), folder)
    another = Channel({DAY: channel.bills[DAY][:1] + channel.bills[DAY][:1]})
    with pytest.raises(NotCleared):
        await settle(another, FakeBank(arrivals={REFERENCE: 49_700}), folder)
    with pytest.raises(NotCleared):
        await settling.settle(
            channel=cast(PaymentChannel, channel), bank=FakeBank(), day=DAY - timedelta(1), folder=folder, now=NOW
        )
    assert await trace() == before


async def test_a_day_that_leaves_nothing(folder: Path) -> None:
    order = await create_order()
    first = await pay(order, 1, 50_000, at(DAY - timedelta(1)))
    await run(FakeChannel(bills={DAY: []}), folder)
    assert await settle(Channel({DAY: []}), FakeBank(), folder) is None
    lines = [await pay_back(order, first, at(DAY))]
    await run(FakeChannel(bills={DAY: lines}), folder, now=utc_now() + timedelta(hours=1))
    with pytest.raises(SettlementOwed):
        await settle(Channel({DAY: lines}), FakeBank(arrivals={REFERENCE: 1}), folder)


@pytest.mark.parametrize("arrived", [49_600, 49_800])
async def test_another_amount_stands_in_suspense_for_two_people(folder: Path, arrived: int) -> None:
    channel, bank = await traded(folder), FakeBank(arrivals={REFERENCE: arrived})
    await settle(channel, bank, folder)
    assert [await fen(each) for each in (CLEARING, "escrow:operating", "suspense:escrow")] == [
        0,
        arrived,
        49_700 - arrived,
    ]
    row = await ReconciliationDifference.get()
    assert (row.difference_class, row.state, row.amount_fen) == (
        DifferenceClass.AMOUNT_DIFF,
        DifferenceState.OPEN,
        arrived - 49_700,
    )
    (age,) = await queries.suspense_ageing(now=NOW)
    assert age.unexplained.fen == 0
    await assert_books_hold()
    # The bank's own flow of the day says the same, so it is the same difference.
    flow = folder / "flow.csv"
    yuan = f"{arrived // 100}.{arrived % 100:02d}"
    flow.write_text(f"reference,yuan\n{REFERENCE},{yuan}\ntotal,1,{yuan}\n", encoding="utf-8")
    await _reconcile_flow(folder, flow)
    assert (await ReconciliationDifference.get()).version == row.version
    maker, checker = await create_staff(StaffRole.FINANCE), await create_staff(StaffRole.FINANCE)
    await _resolve(row, maker, checker)
    assert await fen("suspense:escrow") == 0
    await assert_books_hold()


async def _reconcile_flow(folder: Path, flow: Path) -> None:
    day = (NOW).astimezone().date()
    await reconcile(
        source=BankFlow("escrow:operating"), day=day, folder=folder, limits=LIMITS, owner="test", clock=lambda: NOW,
        bill=flow,
    )  # fmt: skip


async def _resolve(row: ReconciliationDifference, maker: Any, checker: Any) -> None:
    proposed = await deciding.propose(
        staff=maker, difference_id=row.id, version=row.version, outcome=DifferenceOutcome.WRITE_OFF,
        reason="the bank's fee", now=NOW,
    )  # fmt: skip
    await deciding.approve(
        signature=await sign(checker), difference_id=row.id, version=proposed.version, reason="as told", now=NOW
    )


async def test_days_whose_bills_were_compared_are_work_once(folder: Path) -> None:
    channel = await traded(folder)
    for _ in range(2):
        assert await settling.schedule_days(sources=[SOURCE, "alipay:2088"], now=NOW) == 1
    (job,) = await Job.filter(kind=Kind.SETTLE)
    assert job.payload == {"source": SOURCE, "day": str(DAY)}
    await settle(channel, FakeBank(arrivals={REFERENCE: 49_700}), folder)
    assert await settling.schedule_days(sources=[SOURCE], now=NOW) == 0
