"""Runs as processes that are killed in each of their transactions, and two at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from domain.ledger import audit as ledger
from domain.ledger.queries import balance
from domain.reconciliation import audit
from kernel.states import DifferenceClass, DifferenceState, DifferenceStep, PaymentState, ReconciliationState
from models.ledger import LedgerTransaction
from models.payments import PaymentAttempt
from models.reconciliation import (
    ReconciliationCrossing,
    ReconciliationDifference,
    ReconciliationRun,
    ReconciliationStep,
)
from tests.house_process import ROOT
from tests.reconciliation.support import DAY, LIMITS, FakeChannel, at, create_order, pay, run, stranger

BEFORE, NEXT = DAY - timedelta(days=1), DAY + timedelta(days=1)
STRANGERS = 230
# Looking again at what is known, a key of another day, two batches of findings, forgetting crossings, closing, and
# ending the grace. What was closed is not looked at again, so the end itself is the sixth of what is left to do then.
DIES_AT = ["line:100", *(f"hold:{number}" for number in range(1, 8)), "hold:6"]


async def begin(database: str, bill: Path, now: datetime, cut: str) -> asyncio.subprocess.Process:
    command = [
        sys.executable,
        "-m",
        "tests.reconciliation.run_process",
        str(bill),
        DAY.isoformat(),
        now.isoformat(),
        cut,
    ]
    environment = {**os.environ, "DATABASE_URL": database}
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE)


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def trace() -> tuple[object, ...]:
    rows = await ReconciliationDifference.all().order_by("id").values_list("id", "state", "version")
    return rows, await ReconciliationStep.all().count(), await LedgerTransaction.all().count()


async def test_a_run_that_is_killed_anywhere_is_done_again_and_finds_everything_once(
    database: str, folder: Path, tmp_path: Path
) -> None:
    order = await create_order()
    old_short = await pay(order, 1, 10_000, at(BEFORE))
    short = await pay(order, 2, 20_000, at(DAY))
    wrong = await pay(order, 3, 30_000, at(DAY))
    crossing = await pay(order, 4, 40_000, at(NEXT, 0, 1))
    closed = await pay(order, 5, 7_000, at(BEFORE), state=PaymentState.CLOSED)
    await run(FakeChannel(bills={BEFORE: [closed]}), folder, BEFORE)
    # The books have learned of it since.
    await PaymentAttempt.filter(out_trade_no=closed.out_trade_no).update(state=PaymentState.PAID, settled_at=at(BEFORE))
    before = await LedgerTransaction.all().count()

    lines = [*(stranger(number) for number in range(STRANGERS)), replace(wrong, amount_fen=30_001), crossing]
    bill, now = tmp_path / "bill", at(NEXT)
    await FakeChannel(bills={DAY: lines}).fetch(day=DAY, into=bill)
    for cut in DIES_AT:
        now += LIMITS.lease * 2
        assert await ended(await begin(database, bill, now, cut)) == (-signal.SIGKILL, ""), cut
        assert await audit.findings() == [], cut
        (left,) = await ReconciliationRun.filter(state=ReconciliationState.RUNNING)
        assert left.business_day == DAY
    assert await ended(await begin(database, bill, now, "none")) == (0, "busy")
    now += LIMITS.lease * 2
    assert await ended(await begin(database, bill, now, "none")) == (0, "done")

    rows = {row.key: row for row in await ReconciliationDifference.all()}
    expected = {
        **{stranger(number).out_trade_no: (DifferenceClass.LONG, DifferenceState.OPEN) for number in range(STRANGERS)},
        closed.out_trade_no: (DifferenceClass.STATUS_DIFF, DifferenceState.SELF_RESOLVED),
        old_short.out_trade_no: (DifferenceClass.SHORT, DifferenceState.OPEN),
        short.out_trade_no: (DifferenceClass.SHORT, DifferenceState.WAITING),
        wrong.out_trade_no: (DifferenceClass.AMOUNT_DIFF, DifferenceState.OPEN),
    }
    assert {key: (row.difference_class, row.state) for key, row in rows.items()} == expected
    steps = ReconciliationStep.filter(step__in=[DifferenceStep.FOUND, DifferenceStep.FOUND_AGAIN])
    assert await steps.count() == len(rows)
    # One posting for each that stands in suspense, and one that takes out of it what the books have learned.
    assert await LedgerTransaction.all().count() == before + STRANGERS + 3
    assert (await balance("suspense:wechat_pay")).fen == -STRANGERS * 12_300 + 10_000 - 1
    assert await ReconciliationCrossing.all().count() == 2
    assert await ReconciliationRun.filter(state=ReconciliationState.RUNNING).count() == 0
    assert await ledger.findings() == []


async def test_of_two_processes_at_once_one_works_or_both_find_the_same(database: str, tmp_path: Path) -> None:
    lines, bill = [stranger(number) for number in range(STRANGERS)], tmp_path / "bill"
    await FakeChannel(bills={DAY: lines}).fetch(day=DAY, into=bill)
    both = [await begin(database, bill, at(NEXT), "none") for _ in range(2)]
    said = [await ended(process) for process in both]
    assert {code for code, _ in said} == {0}
    assert "done" in {word for _, word in said}
    assert await ReconciliationDifference.filter(state=DifferenceState.OPEN).count() == STRANGERS
    assert await LedgerTransaction.all().count() == await ReconciliationStep.all().count() == STRANGERS
    before = await trace()
    assert await ended(await begin(database, bill, at(NEXT) + timedelta(hours=1), "none")) == (0, "done")
    assert await trace() == before
    assert await audit.findings() == []
