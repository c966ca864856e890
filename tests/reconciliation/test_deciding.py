"""Two people decide where money in suspense goes; nobody else does, and nothing else is decided with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from domain.events.streams import ALERTS
from domain.identity.staff import Staff
from domain.ledger.queries import balance
from domain.orders import alerts
from domain.orders.cases import OutcomeNotPossible, SecondPersonNeeded
from domain.orders.reviewing import ReasonMissing
from domain.reconciliation import audit
from domain.reconciliation.deciding import (
    BooksMoved,
    DifferenceChanged,
    DifferenceNotFound,
    OutcomeOverdraws,
    approve,
    propose,
)
from domain.reconciliation.queries import stories
from kernel.clock import utc_now
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.states import DifferenceClass, DifferenceOutcome, DifferenceState, DifferenceStep, PaymentState, StaffRole
from models.events import Event
from models.identity import StaffMember
from models.ledger import LedgerTransaction
from models.payments import PaymentAttempt
from models.reconciliation import ReconciliationDifference, ReconciliationStep
from models.staff_actions import StaffAction
from tests.audits import assert_audits_find_nothing
from tests.factories import create_staff, sign
from tests.reconciliation.support import DAY, FakeChannel, at, create_order, pay, run, stranger

pytestmark = pytest.mark.usefixtures("database")
SUSPENSE = "suspense:wechat_pay"
WRITE_OFF = DifferenceOutcome.WRITE_OFF


async def opened(folder: Path) -> ReconciliationDifference:
    """Return a difference of ¥123 that nobody knows of."""
    await run(FakeChannel(bills={DAY: [stranger(1)]}), folder)
    return await ReconciliationDifference.get()


async def proposed(row: ReconciliationDifference, outcome: DifferenceOutcome = WRITE_OFF) -> ReconciliationDifference:
    maker = await create_staff(StaffRole.FINANCE)
    return await propose(
        staff=maker, difference_id=row.id, version=row.version, outcome=outcome, reason="looked at", now=utc_now()
    )


async def resolved(row: ReconciliationDifference, outcome: DifferenceOutcome = WRITE_OFF) -> ReconciliationDifference:
    waiting = await proposed(row, outcome)
    checker = await create_staff(StaffRole.FINANCE_DIRECTOR)
    return await approved_by(checker, waiting)


async def approved_by(staff: Staff, read: ReconciliationDifference) -> ReconciliationDifference:
    """Approve the difference as it was read."""
    return await approve(
        signature=await sign(staff), difference_id=read.id, version=read.version, reason="checked", now=utc_now()
    )


async def trace() -> tuple[object, ...]:
    """Return everything that a refusal must leave alone."""
    rows = await ReconciliationDifference.all().order_by("id").values_list("id", "state", "version", "outcome")
    return list(rows), await ReconciliationStep.all().count(), await LedgerTransaction.all().count()


class TestOutcomes:
    @pytest.mark.parametrize(
        ("outcome", "account"),
        [
            (DifferenceOutcome.REFUND, "refunds_payable"),
            (DifferenceOutcome.TRANSIT, "recharge_transit"),
            (DifferenceOutcome.WRITE_OFF, "loss"),
        ],
    )
    async def test_the_money_goes_where_two_people_say(
        self, folder: Path, outcome: DifferenceOutcome, account: str
    ) -> None:
        row = await opened(folder)
        assert (await balance(SUSPENSE)).fen == -12_300
        done = await resolved(row, outcome)
        assert (done.state, done.outcome) == (DifferenceState.RESOLVED, outcome)
        assert ((await balance(SUSPENSE)).fen, (await balance(account)).fen) == (0, -12_300)
        (story,) = await stories([row.id])
        assert [(step.step, step.from_state, step.to_state) for step in story] == [
            (DifferenceStep.FOUND, None, DifferenceState.OPEN),
            (DifferenceStep.PROPOSED, DifferenceState.OPEN, DifferenceState.PROPOSED),
            (DifferenceStep.APPROVED, DifferenceState.PROPOSED, DifferenceState.RESOLVED),
        ]
        actors = [f"staff:{done.proposed_by}", f"staff:{done.approved_by}"]
        assert [step.actor for step in story[1:]] == actors
        assert await audit.findings() == []
        await assert_audits_find_nothing()

    async def test_a_run_afterwards_changes_nothing(self, folder: Path) -> None:
        await resolved(await opened(folder))
        before = await trace()
        await run(FakeChannel(bills={DAY: [stranger(1)]}), folder)
        assert await trace() == before

    async def test_what_is_missing_cannot_be_taken_from_what_customers_are_owed(self, folder: Path) -> None:
        order = await create_order()
        await pay(order, 1, 10_000, at(DAY))
        channel = FakeChannel(bills={DAY: [], DAY + timedelta(days=1): []})
        for day in channel.bills:
            await run(channel, folder, day)
        row = await proposed(await ReconciliationDifference.get(), DifferenceOutcome.REFUND)
        checker = await create_staff()
        before = await trace()
        with pytest.raises(OutcomeOverdraws):
            await approved_by(checker, row)
        assert await trace() == before

    async def test_a_decision_that_the_books_have_overtaken_is_to_be_taken_back(self, folder: Path) -> None:
        order = await create_order()
        line = await pay(order, 1, 7_000, at(DAY), state=PaymentState.CLOSED)
        channel = FakeChannel(bills={DAY: [line]})
        await run(channel, folder)
        first = await resolved(await ReconciliationDifference.get(), DifferenceOutcome.TRANSIT)
        await PaymentAttempt.all().update(state=PaymentState.PAID, settled_at=at(DAY))
        await run(channel, folder)
        await first.refresh_from_db()
        assert first.state is DifferenceState.OVERTAKEN
        counter = await ReconciliationDifference.get(difference_class=DifferenceClass.OVERTAKEN)
        assert (counter.state, counter.amount_fen) == (DifferenceState.OPEN, -7_000)
        assert ((await balance(SUSPENSE)).fen, (await balance("recharge_transit")).fen) == (7_000, -7_000)
        await resolved(counter, DifferenceOutcome.TRANSIT)
        assert ((await balance(SUSPENSE)).fen, (await balance("recharge_transit")).fen) == (0, 0)
        assert await audit.findings() == []
        before = await trace()
        await run(channel, folder)
        assert await trace() == before


class TestRefusals:
    async def test_nobody_approves_what_they_have_proposed(self, folder: Path) -> None:
        row = await opened(folder)
        maker = await create_staff()
        row = await propose(
            staff=maker, difference_id=row.id, version=1, outcome=WRITE_OFF, reason="mine", now=utc_now()
        )
        before = await trace()
        with pytest.raises(SecondPersonNeeded):
            await approved_by(maker, row)
        assert await trace() == before

    async def test_nobody_decides_about_money_of_their_own(self, folder: Path) -> None:
        order = await create_order()
        line = await pay(order, 1, 10_000, at(DAY))
        await run(FakeChannel(bills={DAY: [line, stranger(1)]}), folder)
        await run(FakeChannel(bills={DAY: [stranger(1)]}), folder)
        row = await ReconciliationDifference.get(owner_id=order.user_id)
        await ReconciliationDifference.filter(id=row.id).update(state=DifferenceState.OPEN)
        owner = await create_staff()
        await StaffMember.filter(id=owner.id).update(customer_id=order.user_id)
        owner = type(owner)(owner.id, owner.name, order.user_id)
        before = await trace()
        with pytest.raises(SecondPersonNeeded):
            await propose(
                staff=owner, difference_id=row.id, version=row.version, outcome=WRITE_OFF, reason="r", now=utc_now()
            )
        assert await trace() == before
        waiting = await proposed(row)
        before = await trace()
        with pytest.raises(SecondPersonNeeded):
            await approved_by(owner, waiting)
        assert await trace() == before

    async def test_a_proposal_that_was_replaced_is_not_approved_unseen(self, folder: Path) -> None:
        row = await opened(folder)
        read = await proposed(row)
        await proposed(read, DifferenceOutcome.REFUND)
        before = await trace()
        with pytest.raises(DifferenceChanged):
            await approved_by(await create_staff(), read)
        assert await trace() == before

    async def test_a_proposal_is_void_once_the_difference_has_gone(self, folder: Path) -> None:
        row = await proposed(await opened(folder))
        await run(FakeChannel(bills={DAY: []}), folder)
        await run(FakeChannel(bills={DAY: [stranger(1)]}), folder)
        again = await ReconciliationDifference.get()
        assert (again.state, again.proposed_by, again.round) == (DifferenceState.OPEN, None, 2)
        before = await trace()
        with pytest.raises(DifferenceChanged):
            await approved_by(await create_staff(), row)
        assert await trace() == before

    async def test_nothing_is_approved_over_books_that_have_moved_since(self, folder: Path) -> None:
        order = await create_order()
        line = await pay(order, 1, 7_000, at(DAY), state=PaymentState.CLOSED)
        await run(FakeChannel(bills={DAY: [line]}), folder)
        row = await proposed(await ReconciliationDifference.get())
        await PaymentAttempt.all().update(state=PaymentState.PAID)
        before = await trace()
        with pytest.raises(BooksMoved):
            await approved_by(await create_staff(), row)
        assert await trace() == before

    async def test_an_approval_that_is_sent_again_is_refused_by_whomever(self, folder: Path) -> None:
        row = await proposed(await opened(folder))
        checker, other = await create_staff(), await create_staff()
        assert (await approved_by(checker, row)).state is DifferenceState.RESOLVED
        before = await trace()
        for again in (checker, other):
            with pytest.raises(DifferenceChanged):
                await approved_by(again, row)
        assert await trace() == before
        assert await LedgerTransaction.all().count() == 2

    @pytest.mark.parametrize(
        ("refusal", "change"),
        [
            (DifferenceNotFound, lambda wish: wish | {"difference_id": new_id()}),
            (DifferenceNotFound, lambda wish: wish | {"difference_id": None}),
            (DifferenceChanged, lambda wish: wish | {"version": 2}),
            (ReasonMissing, lambda wish: wish | {"reason": "  "}),
        ],
    )
    async def test_a_wish_that_cannot_be(
        self, folder: Path, refusal: type[YoukaError], change: Callable[[dict[str, object]], dict[str, object]]
    ) -> None:
        row = await opened(folder)
        wish = {"difference_id": row.id, "version": 1, "outcome": WRITE_OFF, "reason": "r"}
        before = await trace()
        with pytest.raises(refusal):
            await propose(staff=await create_staff(), now=utc_now(), **change(wish))  # type: ignore[arg-type]
        assert await trace() == before

    async def test_what_waits_for_a_bill_is_not_decided_yet(self, folder: Path) -> None:
        order = await create_order()
        await pay(order, 1, 10_000, at(DAY))
        await run(FakeChannel(bills={DAY: []}), folder)
        row = await ReconciliationDifference.get()
        assert row.state is DifferenceState.WAITING
        before = await trace()
        with pytest.raises(DifferenceChanged):
            await proposed(row)
        assert (await trace())[1:] == before[1:]

    async def test_without_money_in_suspense_there_is_nothing_to_refund(self, folder: Path) -> None:
        await opened(folder)
        await ReconciliationDifference.all().update(amount_fen=0)
        row = await ReconciliationDifference.get()
        with pytest.raises(OutcomeNotPossible):
            await proposed(row, DifferenceOutcome.REFUND)
        assert isinstance(row.id, UUID)


async def test_staff_hear_of_a_difference_once_and_of_what_they_decide_there_is_a_record(tmp_path: Path) -> None:
    row = await opened(tmp_path)
    await run(FakeChannel(bills={DAY: [stranger(1)]}), tmp_path)
    (event,) = await Event.filter(stream=ALERTS)
    assert event.payload == {"kind": "DIFFERENCE", "id": str(row.id)}
    finance, support = await create_staff(StaffRole.FINANCE), await create_staff(StaffRole.SUPPORT)
    assert [each.id for each in await alerts.waiting(staff=finance, limit=5)] == [row.id]
    assert await alerts.waiting(staff=support, limit=5) == []
    await resolved(row)
    assert await alerts.waiting(staff=finance, limit=5) == []
    first, second = await StaffAction.all().order_by("position")
    assert (first.action, second.action) == ("proposeDifferenceResolution", "approveDifferenceResolution")
    assert (first.before["state"], second.before["state"], second.after["state"]) == ("OPEN", "PROPOSED", "RESOLVED")
    assert second.roles == "FINANCE_DIRECTOR"
    assert (first.reason, second.reason) == ("looked at", "checked")
    await row.refresh_from_db()
    assert row.reason == "looked at"
    told = await ReconciliationStep.filter(difference_id=row.id).order_by("version")
    assert [each.reason for each in told] == ["", "looked at", "checked"]


async def test_a_decision_that_is_refused_leaves_no_record(tmp_path: Path) -> None:
    row = await opened(tmp_path)
    staff = await create_staff(StaffRole.FINANCE)
    with pytest.raises(DifferenceChanged):
        await propose(
            staff=staff, difference_id=row.id, version=row.version + 1, outcome=WRITE_OFF, reason="why", now=utc_now()
        )
    assert not await StaffAction.exists()
