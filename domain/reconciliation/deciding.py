"""What becomes of a difference: one person proposes where its money goes, another one approves exactly that."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.access.second_factor import Signature, spend
from domain.actions.recording import acting
from domain.identity.staff import Staff
from domain.ledger import postings
from domain.ledger.operations import AccountOverdrawn, post
from domain.orders.cases import OutcomeNotPossible, SecondPersonNeeded
from domain.orders.reviewing import ReasonMissing
from domain.reconciliation.books import books_of
from domain.reconciliation.differences import move, suspend
from domain.reconciliation.rules import outcomes_of
from kernel.errors import YoukaError
from kernel.states import DifferenceClass, DifferenceOutcome, DifferenceState, DifferenceStep
from models.database import transactional
from models.reconciliation import ReconciliationDifference

REASON_LENGTH_MAX = 256
TARGETS = {
    DifferenceOutcome.REFUND: postings.REFUNDS_PAYABLE,
    DifferenceOutcome.TRANSIT: postings.TRANSIT,
    DifferenceOutcome.WRITE_OFF: postings.LOSS,
}
# Their bill's line stands for itself, whatever our books say of the key.
WITHOUT_BOOKS = frozenset({DifferenceClass.DUPLICATE, DifferenceClass.OVERTAKEN})


class DifferenceNotFound(YoukaError):
    code = "DIFFERENCE_NOT_FOUND"
    messages = {"zh-CN": "差异不存在", "en": "There is no such difference"}


class DifferenceChanged(YoukaError):
    """It is another version than the one that was read, it waits for a bill, or it is over."""

    code = "DIFFERENCE_CHANGED"
    messages = {"zh-CN": "差异已变化，请刷新后再试", "en": "The difference has moved on, please look at it again"}


class BooksMoved(YoukaError):
    """Our books say something else of the key than when it was compared; the next run will see that."""

    code = "BOOKS_MOVED"
    messages = {
        "zh-CN": "账务在对账后已变化，请等待下一次对账",
        "en": "Our books have changed since the comparison, please wait for the next one",
    }


class OutcomeOverdraws(YoukaError):
    """More would be taken out of an account than is there, of the party's or of where the money should go."""

    code = "OUTCOME_OVERDRAWS"
    messages = {"zh-CN": "目标科目余额不足，不能这样处理", "en": "The account does not hold enough to end it so"}


@transactional
async def propose(
    *,
    staff: Staff,
    difference_id: UUID | None,
    version: int,
    outcome: DifferenceOutcome,
    reason: str,
    now: datetime,
) -> ReconciliationDifference:
    """Say where the money in suspense should go; a later proposal replaces one that nobody has approved.

    `version` is that of the difference as it was read. Raises DifferenceNotFound, DifferenceChanged,
    OutcomeNotPossible, SecondPersonNeeded or ReasonMissing.
    """
    if not reason.strip():
        raise ReasonMissing
    row = await _locked(difference_id)
    if row.version != version or row.state not in (DifferenceState.OPEN, DifferenceState.PROPOSED):
        raise DifferenceChanged
    if outcome not in outcomes_of(row.amount_fen):
        raise OutcomeNotPossible
    _refuse_own(staff, row)
    async with acting(staff, "proposeDifferenceResolution", row, kind="Difference", reason=reason, now=now):
        await move(
            row,
            DifferenceState.PROPOSED,
            DifferenceStep.PROPOSED,
            now=now,
            actor=staff.actor,
            why=reason[:REASON_LENGTH_MAX],
            outcome=outcome,
            reason=reason[:REASON_LENGTH_MAX],
            proposed_by=staff.id,
            proposed_at=now,
        )
    return row


async def approve(
    *, signature: Signature, difference_id: UUID | None, version: int, reason: str, now: datetime
) -> ReconciliationDifference:
    """Move the money out of suspense as somebody else has proposed. `version` is that of the proposal as it was read,
    so another one, or one about other figures, is not approved unseen. An approval that is sent again is refused.

    Raises DifferenceNotFound, DifferenceChanged, SecondPersonNeeded, SecondFactorRefused,
    ReasonMissing, BooksMoved or OutcomeOverdraws; then nothing has changed.
    """
    try:
        return await _approve(signature, difference_id, version, reason, now)
    except AccountOverdrawn as error:
        raise OutcomeOverdraws from error


@transactional
async def _approve(
    signature: Signature, difference_id: UUID | None, version: int, reason: str, now: datetime
) -> ReconciliationDifference:
    if not reason.strip():
        raise ReasonMissing
    staff, row = signature.staff, await _locked(difference_id)
    if row.state is not DifferenceState.PROPOSED or row.version != version:
        raise DifferenceChanged
    if staff.id == row.proposed_by:
        raise SecondPersonNeeded
    _refuse_own(staff, row)
    await _require_unmoved(row)
    await spend(signature)
    async with acting(staff, "approveDifferenceResolution", row, kind="Difference", reason=reason, now=now):
        await _resolve(staff, row, reason, now)
    return row


async def _resolve(staff: Staff, row: ReconciliationDifference, reason: str, now: datetime) -> None:
    assert row.outcome is not None
    was_suspended = row.suspended
    await move(
        row,
        DifferenceState.RESOLVED,
        DifferenceStep.APPROVED,
        now=now,
        actor=staff.actor,
        why=reason[:REASON_LENGTH_MAX],
        suspended=True,
        approved_by=staff.id,
        approved_at=now,
    )
    if row.amount_fen:
        explained = postings.explained(
            difference_id=row.id,
            number=row.round,
            target=TARGETS[row.outcome],
            party=books_of(row.source).party,
            amount_fen=row.amount_fen,
        )
        await post(*([] if was_suspended else suspend(row)), explained, now=now)


async def _require_unmoved(row: ReconciliationDifference) -> None:
    if row.difference_class in WITHOUT_BOOKS:
        return
    name = (row.kind.value, row.key)
    book = (await books_of(row.source).by_names([name])).get(name)
    said = (book.state, book.amount_fen, book.moved_fen) if book else (None, None, 0)
    if said != (row.book_state, row.book_fen, (row.bill_moved_fen or 0) - row.amount_fen):
        raise BooksMoved


def _refuse_own(staff: Staff, row: ReconciliationDifference) -> None:
    if staff.customer_id is not None and staff.customer_id == row.owner_id:
        raise SecondPersonNeeded


async def _locked(difference_id: UUID | None) -> ReconciliationDifference:
    rows = ReconciliationDifference.select_for_update()
    row = await rows.get_or_none(id=difference_id) if difference_id else None
    if row is None:
        raise DifferenceNotFound
    return row
