"""Runs over a real database: what is found, that nothing is found twice, and what goes again."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from domain.ledger.queries import balance
from domain.payments.bills import BillNotReady, BillRefused
from domain.reconciliation import audit
from domain.reconciliation.operations import TooManyDifferences
from domain.reconciliation.queries import stories
from domain.reconciliation.runs import RunBusy, RunLost
from kernel.states import (
    DifferenceClass,
    DifferenceState,
    DifferenceStep,
    PaymentState,
    ReconciliationState,
    RefundState,
)
from models.ledger import LedgerTransaction
from models.payments import PaymentAttempt
from models.reconciliation import (
    ReconciliationCrossing,
    ReconciliationDifference,
    ReconciliationRun,
    ReconciliationStep,
)
from tests.audits import assert_audits_find_nothing
from tests.reconciliation.support import (
    CLEARING,
    DAY,
    LIMITS,
    SUB_MCHID,
    FakeChannel,
    at,
    create_order,
    pay,
    pay_back,
    run,
    stranger,
)

pytestmark = pytest.mark.usefixtures("database")
NEXT = DAY + timedelta(days=1)
SUSPENSE = "suspense:wechat_pay"


async def found() -> dict[str, tuple[DifferenceClass, DifferenceState, int]]:
    """Return every difference by its key, and prove that suspense is what they say."""
    assert await audit.findings() == []
    rows = await ReconciliationDifference.all()
    return {row.key: (row.difference_class, row.state, row.amount_fen) for row in rows}


async def counted() -> tuple[int, int, int]:
    return (
        await ReconciliationDifference.all().count(),
        await ReconciliationStep.all().count(),
        await LedgerTransaction.all().count(),
    )


class TestComparing:
    async def test_books_that_agree_leave_nothing_behind(self, folder: Path) -> None:
        order = await create_order()
        lines = [await pay(order, number, 10_000 + number, at(DAY, number)) for number in range(1, 20)]
        lines.append(await pay_back(order, lines[0], at(DAY, 23)))
        done = await run(FakeChannel(bills={DAY: lines[::-1]}), folder)
        assert (done.state, done.matched_count, done.difference_count) == (ReconciliationState.DONE, 20, 0)
        assert (done.bill_line_count, done.book_line_count, done.bill_fen) == (20, 20, done.book_fen)
        assert await found() == {}
        assert os.listdir(folder) == []

    async def test_each_class_stands_in_suspense_with_what_the_bill_says_more(self, folder: Path) -> None:
        order = await create_order()
        paid = [await pay(order, number, 10_000, at(DAY)) for number in range(1, 5)]
        closed = await pay(order, 5, 7_000, at(DAY), state=PaymentState.CLOSED)
        unpaid_back = await pay_back(order, paid[0], at(DAY), state=RefundState.PROCESSING, settled_at=None)
        bill = [paid[0], replace(paid[1], amount_fen=9_900), paid[2], paid[2], closed, unpaid_back, stranger(1)]
        channel = FakeChannel(bills={DAY: bill, NEXT: []})
        done = await run(channel, folder)
        assert done.counts == {"AMOUNT_DIFF": 1, "DUPLICATE": 1, "STATUS_DIFF": 2, "LONG": 1, "SHORT": 1}
        assert (await found())[paid[3].out_trade_no][1] is DifferenceState.WAITING
        await run(channel, folder, NEXT)
        assert await found() == {
            paid[1].out_trade_no: (DifferenceClass.AMOUNT_DIFF, DifferenceState.OPEN, -100),
            paid[2].out_trade_no: (DifferenceClass.DUPLICATE, DifferenceState.OPEN, 10_000),
            paid[3].out_trade_no: (DifferenceClass.SHORT, DifferenceState.OPEN, -10_000),
            closed.out_trade_no: (DifferenceClass.STATUS_DIFF, DifferenceState.OPEN, 7_000),
            unpaid_back.out_refund_no: (DifferenceClass.STATUS_DIFF, DifferenceState.OPEN, -10_000),
            stranger(1).out_trade_no: (DifferenceClass.LONG, DifferenceState.OPEN, 12_300),
        }
        # The clearing account is what the bill says, and what nobody can explain is on the other side.
        assert (await balance(CLEARING)).fen == 10_000 + 9_900 + 2 * 10_000 + 7_000 - 10_000 + 12_300
        assert (await balance(SUSPENSE)).fen == 100 - 10_000 + 10_000 - 7_000 + 10_000 - 12_300

    async def test_a_pending_line_contradicts_nothing(self, folder: Path) -> None:
        order = await create_order()
        paid = await pay(order, 1, 10_000, at(DAY))
        back = await pay_back(order, paid, at(NEXT))
        channel = FakeChannel(bills={DAY: [paid, replace(back, state="PROCESSING")], NEXT: []})
        await run(channel, folder)
        await run(channel, folder, NEXT)
        assert await found() == {}

    async def test_another_merchants_rows_are_nobodys_business(self, folder: Path) -> None:
        order = await create_order()
        line = await pay(order, 1, 10_000, at(DAY))
        await PaymentAttempt.all().update(sub_mchid="1900000210")
        assert SUB_MCHID != "1900000210"
        await run(FakeChannel(bills={DAY: [line]}), folder)
        assert [row[0] for row in (await found()).values()] == [DifferenceClass.LONG]


class TestMidnight:
    async def test_what_another_days_bill_has_is_no_difference(self, folder: Path) -> None:
        order = await create_order()
        late = await pay(order, 1, 10_000, at(NEXT, 0, 1))
        early = await pay(order, 2, 20_000, at(DAY, 23, 59))
        channel = FakeChannel(bills={DAY: [late], NEXT: [early]})
        await run(channel, folder)
        assert await found() == {early.out_trade_no: (DifferenceClass.SHORT, DifferenceState.WAITING, -20_000)}
        assert (await balance(SUSPENSE)).fen == 0
        await run(channel, folder, NEXT)
        assert (await found())[early.out_trade_no][1] is DifferenceState.SELF_RESOLVED
        assert (await balance(SUSPENSE)).fen == 0
        assert await ReconciliationDifference.all().count() == 1

    async def test_the_grace_is_one_day(self, folder: Path) -> None:
        order = await create_order()
        line = await pay(order, 1, 10_000, at(DAY))
        after = NEXT + timedelta(days=1)
        channel = FakeChannel(bills={DAY: [], NEXT: [], after: [line]})
        await run(channel, folder)
        await run(channel, folder, NEXT)
        assert (await balance(SUSPENSE)).fen == 10_000
        await run(channel, folder, after)
        assert (await found())[line.out_trade_no][1] is DifferenceState.SELF_RESOLVED
        assert (await balance(SUSPENSE)).fen == 0

    async def test_days_may_come_in_any_order(self, folder: Path) -> None:
        order = await create_order()
        missing, moved = await pay(order, 1, 10_000, at(DAY)), await pay(order, 2, 20_000, at(DAY))
        channel = FakeChannel(bills={DAY: [], NEXT: [moved]})
        await run(channel, folder, NEXT)
        await run(channel, folder)
        assert await found() == {missing.out_trade_no: (DifferenceClass.SHORT, DifferenceState.OPEN, -10_000)}


class TestAgain:
    async def test_the_same_bill_changes_nothing(self, folder: Path) -> None:
        order = await create_order()
        lines = [await pay(order, number, 10_000, at(DAY)) for number in range(1, 4)]
        channel = FakeChannel(bills={DAY: [*lines[1:], stranger(1), stranger(2)], NEXT: []})
        await run(channel, folder)
        await run(channel, folder, NEXT)
        before, rows = await counted(), await found()
        for _ in range(2):
            done = await run(channel, folder)
        assert (await counted(), await found()) == (before, rows)
        assert done.passes == 3
        assert await ReconciliationRun.all().count() == 2

    async def test_what_the_books_learn_later_closes_itself_with_a_story(self, folder: Path) -> None:
        order = await create_order()
        closed = await pay(order, 1, 7_000, at(DAY), state=PaymentState.CLOSED)
        channel = FakeChannel(bills={DAY: [closed], NEXT: []})
        await run(channel, folder)
        assert (await balance(SUSPENSE)).fen == -7_000
        await PaymentAttempt.all().update(state=PaymentState.PAID, settled_at=at(NEXT))
        await run(channel, folder, NEXT)
        (row,) = await ReconciliationDifference.all()
        assert row.state is DifferenceState.SELF_RESOLVED
        assert (await balance(SUSPENSE)).fen == 0
        (story,) = await stories([row.id])
        assert [step.step for step in story] == [DifferenceStep.FOUND, DifferenceStep.SELF_RESOLVED]
        assert (story[1].from_state, story[1].to_state) == (DifferenceState.OPEN, DifferenceState.SELF_RESOLVED)
        assert await audit.findings() == []

    async def test_another_bill_of_the_day_closes_what_it_has_and_opens_what_comes_back(self, folder: Path) -> None:
        order = await create_order()
        line = await pay(order, 1, 10_000, at(DAY))
        wrong, right = [replace(line, amount_fen=9_000)], [line]
        for bill, state, suspense in (
            (wrong, DifferenceState.OPEN, 1_000),
            (right, DifferenceState.SELF_RESOLVED, 0),
            (wrong, DifferenceState.OPEN, 1_000),
            (right, DifferenceState.SELF_RESOLVED, 0),
        ):
            await run(FakeChannel(bills={DAY: bill}), folder)
            (row,) = (await found()).values()
            assert (row[1], (await balance(SUSPENSE)).fen) == (state, suspense)
        assert await ReconciliationRun.all().count() == 2


class TestRefusing:
    async def test_a_bill_that_is_cut_off_is_refused_whole(self, folder: Path) -> None:
        order = await create_order()
        before = await pay(order, 1, 10_000, at(DAY))
        transactions = await LedgerTransaction.all().count()
        with pytest.raises(BillRefused):
            await run(FakeChannel(bills={DAY: [stranger(1), before]}, cut_off=True), folder)
        assert await found() == {}
        assert await LedgerTransaction.all().count() == transactions
        states = {row.digest: row.state for row in await ReconciliationRun.all()}
        assert states.pop("") is ReconciliationState.REFUSED
        assert list(states.values()) == [ReconciliationState.STOPPED]
        assert os.listdir(folder) == []

    async def test_a_bill_that_is_not_ready_leaves_nothing(self, folder: Path) -> None:
        with pytest.raises(BillNotReady):
            await run(FakeChannel(), folder)
        assert await ReconciliationRun.all().count() == 0

    async def test_more_differences_than_anybody_could_look_at_are_none(self, folder: Path) -> None:
        channel = FakeChannel(bills={DAY: [stranger(number) for number in range(30)]})
        with pytest.raises(TooManyDifferences):
            await run(channel, folder, limits=replace(LIMITS, differences_max=29))
        assert await found() == {}
        assert await LedgerTransaction.all().count() == 0
        await run(channel, folder, limits=replace(LIMITS, differences_max=30))
        assert len(await found()) == 30


class TestTogether:
    async def test_of_two_runs_at_once_one_works(self, folder: Path) -> None:
        channel = FakeChannel(bills={DAY: [stranger(number) for number in range(300)]})
        outcomes = await asyncio.gather(*(run(channel, folder) for _ in range(4)), return_exceptions=True)
        worked = [each for each in outcomes if isinstance(each, ReconciliationRun)]
        assert worked
        assert {type(each) for each in outcomes} <= {ReconciliationRun, RunBusy}, outcomes
        assert len(await found()) == 300
        assert await ReconciliationStep.all().count() == 300

    async def test_a_run_that_died_in_the_middle_is_taken_over_and_finds_nothing_twice(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from domain.reconciliation import differences

        order = await create_order()
        short = await pay(order, 1, 10_000, at(DAY))
        channel = FakeChannel(bills={DAY: [stranger(number) for number in range(500)]})
        record, batches = differences.record, 0

        async def die_at_the_second(*given: object, **named: object) -> None:
            nonlocal batches
            batches += 1
            if batches == 2:
                # As if the process were gone: nobody gives the lease back.
                raise asyncio.CancelledError
            await record(*given, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(differences, "record", die_at_the_second)
        now = at(NEXT)
        with pytest.raises(asyncio.CancelledError):
            await run(channel, folder, now=now)
        monkeypatch.undo()
        assert 0 < await ReconciliationDifference.all().count() < 501
        assert (await ReconciliationRun.get()).state is ReconciliationState.RUNNING
        with pytest.raises(RunBusy):
            await run(channel, folder, now=now + timedelta(seconds=29))
        done = await run(channel, folder, now=now + timedelta(seconds=31))
        assert (done.state, done.passes) == (ReconciliationState.DONE, 2)
        rows = await found()
        assert len(rows) == 501
        assert rows[short.out_trade_no][1] is DifferenceState.WAITING
        assert (await balance(SUSPENSE)).fen == -500 * 12_300

    async def test_whoever_has_lost_the_lease_writes_nothing_more(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from domain.reconciliation import differences

        channel = FakeChannel(bills={DAY: [stranger(1)]})
        record = differences.record

        async def be_overtaken(*given: object, **named: object) -> None:
            monkeypatch.undo()
            await ReconciliationRun.all().update(lease_until=at(DAY))
            await run(FakeChannel(bills={DAY: []}), folder)
            await record(*given, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(differences, "record", be_overtaken)
        with pytest.raises(RunLost):
            await run(channel, folder)
        assert await found() == {}
        assert await LedgerTransaction.all().count() == 0
        assert await ReconciliationCrossing.all().count() == 0


async def test_the_ledger_itself_stays_true(folder: Path) -> None:
    channel = FakeChannel(bills={DAY: [stranger(1), stranger(2)]})
    await run(channel, folder)
    await assert_audits_find_nothing()
