"""What an issuer did after we had settled otherwise: rows 14 and 19 of the table, and the cases that people decide."""

from __future__ import annotations

from datetime import datetime

from domain.cards.ports import IssuerOrderState, RechargeFacts
from domain.events.alerts import raise_alert
from domain.events.streams import AlertKind
from domain.ledger import postings
from domain.ledger.operations import post
from domain.orders.lifecycle import Trigger
from domain.orders.owing import note_order_error, whose
from domain.orders.transitions import advance
from kernel.ids import new_id
from kernel.states import CaseKind, CaseOutcome, CaseState, ErrorKind
from models.orders import RechargeAttempt, RechargeOrder
from models.reviews import ManualCase

CASE_REASON_LENGTH_MAX = 256


async def recharged_after_failure(
    order: RechargeOrder, attempt: RechargeAttempt, facts: RechargeFacts, *, cost_fen: int, actor: str, now: datetime
) -> None:
    """Book a recharge that came after its refusal and the refund (row 14), and leave what it cost to two people."""
    await note_order_error(
        order,
        ErrorKind.RECHARGED_AFTER_FAILURE,
        subject=str(attempt.id),
        amount_fen=order.amount_fen,
        detail=f"refund {order.refund_state}",
        now=now,
    )
    await advance(order, Trigger.FIND_RECHARGED, actor=actor, now=now, reason=facts.issuer_order_id or "")
    await _book_unpaid(order, attempt, facts, cost_fen, "recharged after it was refused", now)


async def recharged_beside(
    order: RechargeOrder, attempt: RechargeAttempt, facts: RechargeFacts, *, cost_fen: int, actor: str, now: datetime
) -> None:
    """Book a recharge by an issuer that had not accepted it (row 19), and leave what it cost to two people.

    The order goes its own way with another issuer or has gone it, so nobody has paid for this one.
    """
    await note_order_error(
        order,
        ErrorKind.SURPLUS_RECHARGE,
        subject=str(attempt.id),
        amount_fen=order.amount_fen,
        detail=f"{attempt.issuer}, order {order.state}",
        now=now,
    )
    await advance(order, Trigger.SURPLUS_RECHARGE, actor=actor, now=now, reason=facts.issuer_order_id or "")
    await _book_unpaid(order, attempt, facts, cost_fen, "recharged after it was not accepted", now)


async def _book_unpaid(
    order: RechargeOrder, attempt: RechargeAttempt, facts: RechargeFacts, cost_fen: int, reason: str, now: datetime
) -> None:
    if cost_fen:
        await post(
            postings.recharged_after_failure(
                whose(order), attempt=attempt.number, issuer=attempt.issuer, cost_fen=cost_fen
            ),
            now=now,
        )
    await open_case(order, attempt, CaseKind.CLAW_BACK, cost_fen, facts, reason, now)


async def open_case(
    order: RechargeOrder,
    attempt: RechargeAttempt,
    kind: CaseKind,
    amount_fen: int,
    facts: RechargeFacts,
    reason: str,
    now: datetime,
) -> None:
    """Leave it to two people. An attempt has one open case of a kind, and each word of its issuer opens one at most.

    A reversal after a refusal is another word: people may have found the refusal wrong, or be about to.
    """
    if facts.state is IssuerOrderState.REVERSED:
        unaware = ManualCase.filter(
            attempt_id=attempt.id, kind=kind, state=CaseState.PROPOSED, outcome=CaseOutcome.DISMISS
        )
        reopened = await unaware.first()
        if reopened:
            await unaware.update(state=CaseState.OPEN, outcome=None, proposed_by=None, proposed_at=None)
            await raise_alert(kind=AlertKind.CASE, subject_id=reopened.id, now=now)
    case = ManualCase(
        id=new_id(),
        key=f"{kind}:{attempt.id}:{facts.state}",
        kind=kind,
        order_id=order.id,
        user_id=order.user_id,
        attempt_id=attempt.id,
        amount_fen=amount_fen,
        state=CaseState.OPEN,
        reason=reason[:CASE_REASON_LENGTH_MAX],
        created_at=now,
    )
    await ManualCase.bulk_create([case], ignore_conflicts=True)
    if await ManualCase.exists(id=case.id):
        await raise_alert(kind=AlertKind.CASE, subject_id=case.id, now=now)
