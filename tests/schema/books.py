"""One of everything that staff look at."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from domain.ledger.postings import Line, Posting, suspense
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import (
    BillEntryKind,
    CaseKind,
    CaseState,
    DifferenceClass,
    DifferenceState,
    ErrorKind,
    ReconciliationState,
    ReviewReason,
    ReviewState,
)
from models.ledger import LedgerAccount, LedgerEntry
from models.orders import RechargeOrder
from models.reconciliation import ReconciliationDifference, ReconciliationRun
from models.reviews import ErrorEntry, ManualCase, Review
from models.staff_actions import StaffAction
from tests.ledger.booking import CLEARING, book


async def create_books() -> dict[str, Any]:
    """Return rows by the names of their types; they are of the one order that there is."""
    now, day, order = utc_now(), date(2026, 5, 1), await RechargeOrder.get()
    of_order: dict[str, Any] = {"order_id": order.id, "user_id": order.user_id, "created_at": now}
    run = await ReconciliationRun.create(
        id=new_id(), source="wechat_pay:1", business_day=day, digest="d", state=ReconciliationState.DONE, reason="",
        passes=1, pass_id=new_id(), bill_line_count=1, book_line_count=0, matched_count=0, difference_count=1,
        bill_fen=100, book_fen=0, counts={"LONG": 1}, begun_at=now, finished_at=now,
    )  # fmt: skip
    difference = await ReconciliationDifference.create(
        id=new_id(), source=run.source, business_day=day, kind=BillEntryKind.PAYMENT, key="k",
        difference_class=DifferenceClass.LONG, figures="f", amount_fen=100, bill_fen=100, bill_state="SUCCESS",
        bill_standing="DONE", bill_moved_fen=100, reference="r", run_id=run.id, seen_pass=run.pass_id,
        state=DifferenceState.WAITING, suspended=False, round=1, version=1, reason="", found_at=now,
    )  # fmt: skip
    review = await Review.create(
        id=new_id(), reason=ReviewReason.LARGE_AMOUNT, state=ReviewState.PENDING,
        deadline_at=now + timedelta(hours=1), **of_order,
    )  # fmt: skip
    case = await ManualCase.create(
        id=new_id(), key="case", kind=CaseKind.CLAW_BACK, amount_fen=100, state=CaseState.OPEN, reason="r", **of_order
    )
    error = await ErrorEntry.create(
        id=new_id(), key="error", kind=next(iter(ErrorKind)), order_id=order.id, user_id=order.user_id, amount_fen=100,
        detail="d", occurred_at=now,
    )  # fmt: skip
    action = await StaffAction.create(
        id=new_id(), position=1_000, actor="staff:1", roles="AUDITOR", action="look", object_type="Order",
        object_id=str(order.id), reason="", request_id="", occurred_at=now, previous_digest="0", digest="1",
    )  # fmt: skip
    party = suspense("wechat_pay")
    await book(Posting("of-the-books", None, None, (Line(party, 100), Line(CLEARING, -100))))
    line = await LedgerEntry.get(account_id=(await LedgerAccount.get(code=party)).id)
    return {
        "LedgerError": error,
        "StaffAction": action,
        "SuspenseEntry": line,
        "ReconciliationRun": run,
        "Difference": difference,
        "OrderReview": review,
        "Case": case,
    }
