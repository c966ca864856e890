"""What is missing from an account that does not hold so much: it waits for people, and the run goes to its end."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from domain.events.streams import EventType
from domain.ledger import postings
from domain.ledger.queries import balance
from domain.reconciliation import audit
from domain.reconciliation.deciding import OutcomeOverdraws, approve, propose
from domain.reconciliation.operations import reconcile
from domain.reconciliation.queries import stories, suspense_ageing
from domain.reconciliation.sources import BankFlow
from kernel.clock import utc_now
from kernel.money import Money
from kernel.states import DifferenceClass, DifferenceOutcome, DifferenceState, DifferenceStep, ReconciliationState
from models.events import Event
from models.ledger import LedgerTransaction
from models.reconciliation import ReconciliationDifference, ReconciliationRun, ReconciliationStep
from tests.audits import assert_audits_find_nothing
from tests.factories import create_staff
from tests.funds.support import Signer
from tests.ledger.booking import book
from tests.reconciliation.support import DAY, LIMITS, at

pytestmark = pytest.mark.usefixtures("database")
NEXT = DAY + timedelta(days=1)
OPERATING, SUSPENSE = postings.ESCROW_OPERATING, "suspense:escrow"
CLEARING = postings.channel_clearing("wechat_pay", "1900000209")


async def settle(reference: str, fen: int, day: date = DAY) -> None:
    await book(postings.settled(reference=reference, clearing=CLEARING, amount_fen=fen, fee_fen=0), now=at(day))


async def sweep(reference: str, fen: int, day: date = DAY) -> None:
    await book(postings.swept(reference=reference, into=postings.ESCROW_RESERVE, amount_fen=fen), now=at(day))


async def compare(folder: Path, day: date, flow: dict[str, int]) -> ReconciliationRun:
    lines = [f"{reference},{Money(fen).yuan}\n" for reference, fen in flow.items()]
    path = folder.parent / f"{day}.csv"
    path.write_text(f"reference,yuan\n{''.join(lines)}total,{len(flow)},{Money(sum(flow.values())).yuan}\n")
    done = await reconcile(
        source=BankFlow(OPERATING), day=day, folder=folder, limits=LIMITS, owner="test", clock=utc_now, bill=path
    )
    assert await audit.findings() == []
    return done


async def missing(folder: Path) -> ReconciliationDifference:
    """Return ¥900 that the bank has never had, of an account in which ¥100 are left, between two others."""
    for number in range(1, 6):
        await settle(f"S{number}", 100)
    await settle("S6", 90_000)
    await sweep("W1", 80_500)
    await compare(folder, DAY, {"W1": -80_500, **{f"S{number}": 100 for number in range(2, 6)}, "X1": 7, "X2": 8})
    done = await compare(folder, NEXT, {})
    assert done.state is ReconciliationState.DONE
    return await ReconciliationDifference.get(key="S6")


async def trace() -> tuple[object, ...]:
    rows = await ReconciliationDifference.all().order_by("id").values_list("id", "state", "version", "suspended")
    return (
        rows,
        await ReconciliationStep.all().count(),
        await LedgerTransaction.all().count(),
        await Event.all().count(),
    )


async def test_the_run_ends_and_only_what_cannot_be_booked_is_not(folder: Path) -> None:
    row = await missing(folder)
    assert (row.state, row.suspended, row.amount_fen) == (DifferenceState.OPEN, False, -90_000)
    booked = {each.key: each.suspended for each in await ReconciliationDifference.all() if each.key != "S6"}
    assert booked == {"S1": True, "X1": True, "X2": True}
    assert (await balance(OPERATING)).fen == 5 * 100 + 90_000 - 80_500 + 7 + 8 - 100
    assert (await balance(SUSPENSE)).fen == -(7 + 8 - 100)
    alerts = await Event.filter(type=EventType.ALERT_RAISED)
    assert str(row.id) in {alert.payload["id"] for alert in alerts}
    (ageing,) = await suspense_ageing(now=utc_now())
    assert (sum(ageing.counts), ageing.unexplained.fen) == (3, 0)
    before = await trace()
    await compare(folder, NEXT, {})
    assert await trace() == before


async def test_it_is_booked_once_the_account_holds_it(folder: Path) -> None:
    row = await missing(folder)
    after = NEXT + timedelta(days=1)
    await settle("S7", 85_000, after)
    await compare(folder, after, {"S7": 85_000})
    await row.refresh_from_db()
    assert (row.state, row.suspended) == (DifferenceState.OPEN, True)
    assert (await balance(SUSPENSE)).fen == -(7 + 8 - 100 - 90_000)
    (story,) = await stories([row.id])
    steps = [DifferenceStep.FOUND, DifferenceStep.GRACE_OVER, DifferenceStep.SUSPENDED]
    assert [step.step for step in story] == steps
    await assert_audits_find_nothing()


async def test_it_goes_by_itself_where_a_later_bill_has_it(folder: Path) -> None:
    row = await missing(folder)
    before = await LedgerTransaction.all().count()
    await compare(folder, NEXT + timedelta(days=1), {"S6": 90_000})
    await row.refresh_from_db()
    assert (row.state, row.suspended) == (DifferenceState.SELF_RESOLVED, False)
    assert await LedgerTransaction.all().count() == before


async def test_people_decide_about_it_once_the_money_can_be_moved(folder: Path) -> None:
    row = await missing(folder)
    maker, checker = await create_staff(), await Signer.of()
    wish = {"difference_id": row.id, "version": row.version, "reason": "never arrived", "now": utc_now()}
    waiting = await propose(staff=maker, outcome=DifferenceOutcome.WRITE_OFF, **wish)  # type: ignore[arg-type]
    approval = {"difference_id": row.id, "version": waiting.version, "reason": "lost", "now": utc_now()}
    signature, before = await checker.sign(), await trace()
    with pytest.raises(OutcomeOverdraws):
        await approve(signature=signature, **approval)  # type: ignore[arg-type]
    assert await trace() == before
    await settle("S7", 85_000, NEXT)
    done = await approve(signature=signature, **approval)  # type: ignore[arg-type]
    assert (done.state, done.suspended) == (DifferenceState.RESOLVED, True)
    assert (await balance("loss")).fen == 90_000
    assert (await balance(SUSPENSE)).fen == -(7 + 8 - 100)
    assert await audit.findings() == []
    await assert_audits_find_nothing()


async def test_what_an_account_cannot_give_back_stays_for_the_next_run(folder: Path) -> None:
    """The bank's word of ¥500 was believed and spent, and is gone from its next bill."""
    await compare(folder, DAY, {"X1": 50_000})
    await sweep("W1", 50_000)
    done = await compare(folder, DAY, {"W1": -50_000})
    assert done.state is ReconciliationState.DONE
    row = await ReconciliationDifference.get(key="X1")
    assert (row.difference_class, row.state, row.suspended) == (DifferenceClass.LONG, DifferenceState.OPEN, True)
    await settle("S1", 50_000)
    await compare(folder, DAY, {"W1": -50_000, "S1": 50_000})
    await row.refresh_from_db()
    assert row.state is DifferenceState.SELF_RESOLVED
    assert ((await balance(OPERATING)).fen, (await balance(SUSPENSE)).fen) == (0, 0)
