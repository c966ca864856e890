"""What two people decide about money that has moved: reversals (row 15), and recharges that came after a refund."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.access.second_factor import Signature, spend
from domain.actions.recording import acting
from domain.events.alerts import raise_alert
from domain.events.streams import AlertKind
from domain.identity.staff import Staff
from domain.ledger import postings
from domain.ledger.operations import post
from domain.ledger.postings import LOSS, customer_prepaid, suspense
from domain.orders.lifecycle import Trigger
from domain.orders.owing import note_order_error, owe_back, whose
from domain.orders.queries import OrderNotFound
from domain.orders.reviewing import ReasonMissing
from domain.orders.transitions import advance, lock
from domain.payments.queries import taken_attempt_of
from domain.payments.wallet import require_balance
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.states import CaseKind, CaseOutcome, CaseState, ErrorKind, OrderState, RechargeState
from models.database import transactional
from models.orders import RechargeAttempt, RechargeOrder
from models.reviews import ManualCase

OUTCOMES = {
    CaseKind.REVERSAL: frozenset({CaseOutcome.REVERSE, CaseOutcome.DISMISS}),
    CaseKind.CLAW_BACK: frozenset({CaseOutcome.FROM_WALLET, CaseOutcome.WRITE_OFF}),
}

# What a card has, whether or not its order pays for it.
RECHARGED = frozenset({RechargeState.SUCCEEDED, RechargeState.SURPLUS})


class CaseNotFound(YoukaError):
    code = "CASE_NOT_FOUND"
    messages = {"zh-CN": "案件不存在", "en": "There is no such case"}


class CaseClosed(YoukaError):
    """The case is not where the wish supposes it to be, or its order has moved since."""

    code = "CASE_CLOSED"
    messages = {"zh-CN": "案件状态已变化，请刷新后再试", "en": "The case has moved on, please look at it again"}


class OutcomeNotPossible(YoukaError):
    code = "OUTCOME_NOT_POSSIBLE"
    messages = {"zh-CN": "该案件不能这样处理", "en": "A case of this kind cannot end so"}


class SecondPersonNeeded(YoukaError):
    """Who proposed does not approve, and nobody decides about an order of their own."""

    code = "SECOND_PERSON_NEEDED"
    messages = {"zh-CN": "须由另一位同事复核，且不能处理自己的订单", "en": "This takes a second person"}


class OrderNotReversible(YoukaError):
    code = "ORDER_NOT_REVERSIBLE"
    messages = {"zh-CN": "只有充值成功的订单可以冲正", "en": "Only an order that has succeeded can be reversed"}


@transactional
async def open_reversal(*, staff: Staff, order_id: UUID | None, reason: str, now: datetime) -> ManualCase:
    """Propose that a recharge is reversed, in the case that the issuer's word has opened or in a new one.

    Raises OrderNotFound, OrderNotReversible, SecondPersonNeeded or ReasonMissing.
    """
    order = await _locked(order_id)
    if order.state is not OrderState.SUCCEEDED:
        raise OrderNotReversible
    attempt = await RechargeAttempt.get(order_id=order.id, state=RechargeState.SUCCEEDED)
    unresolved = ManualCase.filter(attempt_id=attempt.id, kind=CaseKind.REVERSAL, state__not=CaseState.RESOLVED)
    case = await unresolved.first()
    is_new = case is None
    if case is None:
        case_id = new_id()
        case = await ManualCase.create(
            id=case_id,
            key=f"{CaseKind.REVERSAL}:{case_id}",
            kind=CaseKind.REVERSAL,
            order_id=order.id,
            user_id=order.user_id,
            attempt_id=attempt.id,
            amount_fen=order.price_fen,
            state=CaseState.OPEN,
            reason="",
            created_at=now,
        )
    async with acting(staff, "proposeReversal", case, kind="Case", reason=reason, now=now):
        await _propose(case, staff, CaseOutcome.REVERSE, reason, now)
        if is_new:
            await raise_alert(kind=AlertKind.CASE, subject_id=case.id, now=now)
    return case


@transactional
async def propose(
    *, staff: Staff, case_id: UUID | None, outcome: CaseOutcome, reason: str, now: datetime
) -> ManualCase:
    """Say how a case should end; a later proposal replaces an earlier one that nobody has approved.

    Raises CaseNotFound, CaseClosed, OutcomeNotPossible, SecondPersonNeeded or ReasonMissing.
    """
    case = await _case(case_id)
    await lock(case.order_id)
    await case.refresh_from_db()
    async with acting(staff, "proposeOutcome", case, kind="Case", reason=reason, now=now):
        await _propose(case, staff, outcome, reason, now)
    return case


async def _propose(case: ManualCase, staff: Staff, outcome: CaseOutcome, reason: str, now: datetime) -> None:
    if not reason.strip():
        raise ReasonMissing
    if outcome not in OUTCOMES[case.kind]:
        raise OutcomeNotPossible
    if case.state is CaseState.RESOLVED:
        raise CaseClosed
    if staff.customer_id == case.user_id:
        raise SecondPersonNeeded
    changes = {
        "state": CaseState.PROPOSED,
        "version": case.version + 1,
        "outcome": outcome,
        "reason": reason[:256],
        "proposed_by": staff.id,
        "proposed_at": now,
    }
    await ManualCase.filter(id=case.id).update(**changes)
    case.update_from_dict(changes)


@transactional
async def approve(
    *, signature: Signature, case_id: UUID | None, version: int | None, outcome: CaseOutcome, now: datetime
) -> ManualCase:
    """Let happen what somebody else has proposed. `outcome` and `version` are what the approver has read, so that a
    proposal that was replaced meanwhile is not approved unseen. Approving again returns the case.

    Raises CaseNotFound, CaseClosed, SecondPersonNeeded, SecondFactorRefused or WalletInsufficient; then nothing has
    changed.
    """
    staff, case = signature.staff, await _case(case_id)
    order = await lock(case.order_id)
    await case.refresh_from_db()
    if case.state is CaseState.RESOLVED and (case.approved_by, case.outcome) == (staff.id, outcome):
        return case
    if case.state is not CaseState.PROPOSED or (case.version, case.outcome) != (version, outcome):
        raise CaseClosed
    if staff.id == case.proposed_by or staff.customer_id == case.user_id:
        raise SecondPersonNeeded
    await spend(signature)
    async with acting(staff, "approveCase", case, kind="Case", reason=case.reason, now=now):
        await _resolve(order, case, staff, outcome, now)
    return case


async def _resolve(order: RechargeOrder, case: ManualCase, staff: Staff, outcome: CaseOutcome, now: datetime) -> None:
    changes = {"state": CaseState.RESOLVED, "approved_by": staff.id, "approved_at": now}
    await ManualCase.filter(id=case.id).update(**changes)
    case.update_from_dict(changes)
    attempt = await RechargeAttempt.get(id=case.attempt_id)
    succeeded = order.state is OrderState.SUCCEEDED and attempt.state is RechargeState.SUCCEEDED
    if outcome is CaseOutcome.REVERSE and succeeded:
        await _reverse(order, attempt, case, staff, now)
    elif outcome is CaseOutcome.REVERSE:
        await _take_back(order, attempt, case, staff, now)
    elif case.amount_fen and outcome is not CaseOutcome.DISMISS:
        await _clear(order, attempt, case, outcome, now)


async def _reverse(
    order: RechargeOrder, attempt: RechargeAttempt, case: ManualCase, staff: Staff, now: datetime
) -> None:
    paid = await taken_attempt_of(order.id)
    assert paid is not None
    assert attempt.cost_fen is not None
    await advance(order, Trigger.REVERSE_RECHARGE, actor=staff.actor, now=now, reason=case.reason)
    await _note_reversal(order, attempt, case, now)
    await post(
        postings.reversed_recharge(
            whose(order), issuer=attempt.issuer, price_fen=order.price_fen, cost_fen=attempt.cost_fen
        ),
        now=now,
    )
    await owe_back(order, paid, actor=staff.actor, now=now)


async def _take_back(
    order: RechargeOrder, attempt: RechargeAttempt, case: ManualCase, staff: Staff, now: datetime
) -> None:
    """Undo a recharge that the order does not pay for: whoever was to pay for it, or has paid, owes nothing for it."""
    claw_back = await ManualCase.get_or_none(attempt_id=attempt.id, kind=CaseKind.CLAW_BACK)
    if attempt.state not in RECHARGED or claw_back is None:
        raise CaseClosed
    payer = suspense(attempt.issuer)
    if claw_back.state is CaseState.RESOLVED:
        payer = LOSS if claw_back.outcome is CaseOutcome.WRITE_OFF else customer_prepaid(order.user_id)
    else:
        await ManualCase.filter(id=claw_back.id).update(
            state=CaseState.RESOLVED,
            outcome=CaseOutcome.DISMISS,
            reason=case.reason,
            proposed_by=case.proposed_by,
            proposed_at=case.proposed_at,
            approved_by=staff.id,
            approved_at=now,
        )
    await _note_reversal(order, attempt, case, now)
    if case.amount_fen:
        await post(
            postings.claw_back_undone(
                whose(order), case_id=case.id, issuer=attempt.issuer, payer=payer, amount_fen=case.amount_fen
            ),
            now=now,
        )


async def _note_reversal(order: RechargeOrder, attempt: RechargeAttempt, case: ManualCase, now: datetime) -> None:
    await RechargeAttempt.filter(id=attempt.id).update(state=RechargeState.REVERSED)
    await note_order_error(
        order,
        ErrorKind.RECHARGE_REVERSED,
        subject=str(attempt.id),
        amount_fen=case.amount_fen,
        detail=case.reason,
        now=now,
    )


async def _clear(
    order: RechargeOrder, attempt: RechargeAttempt, case: ManualCase, outcome: CaseOutcome, now: datetime
) -> None:
    if outcome is CaseOutcome.FROM_WALLET:
        await require_balance(user_id=order.user_id, amount_fen=case.amount_fen)
    build = postings.recovered if outcome is CaseOutcome.FROM_WALLET else postings.written_off
    await post(build(whose(order), case_id=case.id, issuer=attempt.issuer, amount_fen=case.amount_fen), now=now)


async def _locked(order_id: UUID | None) -> RechargeOrder:
    if order_id is None or not await RechargeOrder.exists(id=order_id):
        raise OrderNotFound
    return await lock(order_id)


async def _case(case_id: UUID | None) -> ManualCase:
    case = await ManualCase.get_or_none(id=case_id) if case_id else None
    if case is None:
        raise CaseNotFound
    return case


async def any_case(*, staff: Staff, case_id: UUID) -> ManualCase | None:
    """Return the case, also one that is resolved."""
    del staff  # Asking for a member of staff is the check; every one of them sees every case.
    return await ManualCase.get_or_none(id=case_id)


async def waiting(*, staff: Staff, first: int, after: UUID | None) -> list[ManualCase]:
    """Return up to `first` cases that are not resolved, oldest first, behind the case `after`."""
    del staff  # Asking for a member of staff is the check; every one of them sees every case.
    rows = ManualCase.filter(state__not=CaseState.RESOLVED)
    if after:
        rows = rows.filter(id__gt=after)
    return await rows.order_by("id").limit(first)
