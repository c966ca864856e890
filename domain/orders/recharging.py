"""Recharging the card: rows 10 to 13 of the table. Unknown means pending; only an explicit answer settles."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from domain.cards.operations import open_number
from domain.cards.ports import CardIssuer, IssuerOrderState, IssuerUnavailable, RechargeFacts, RechargeRequest
from domain.events.operations import append
from domain.events.streams import EventType, arrivals_stream
from domain.ledger import postings
from domain.ledger.operations import post
from domain.orders.lifecycle import Trigger
from domain.orders.paying import owe_back
from domain.orders.transitions import advance, lock
from domain.work.operations import Kind, schedule
from kernel.ids import new_id
from kernel.sealing import Sealer
from kernel.states import OrderState, PaymentState, RechargeState
from models.cards import FuelCard
from models.database import transactional
from models.orders import RechargeAttempt, RechargeOrder
from models.payments import PaymentAttempt

SETTLED = {
    IssuerOrderState.SUCCEEDED: RechargeState.SUCCEEDED,
    IssuerOrderState.REFUSED: RechargeState.REFUSED,
}


class UnknownRecharge(Exception):
    """A signed callback names a recharge that we never asked for."""


class RechargeContradiction(Exception):
    """The issuer says now what it denied before, or tells of another amount. A person must look at it."""


async def submit_recharge(
    *, order_id: UUID, issuer: CardIssuer, sealer: Sealer, actor: str, query_after: timedelta, now: datetime
) -> None:
    """Send a paid order to the issuer (row 10). The attempt is committed first and its id is the issuer's key.

    An unavailable issuer is not a failure: the attempt stays, and the query that was scheduled with it finds out.
    """
    attempt = await _begin(order_id, issuer.name, actor, query_after, now)
    if attempt is not None:
        await _send(attempt, issuer, sealer, actor, now)


@transactional
async def _begin(
    order_id: UUID, issuer: str, actor: str, query_after: timedelta, now: datetime
) -> RechargeAttempt | None:
    order = await lock(order_id)
    if order.state is not OrderState.RECHARGING:
        return None
    running = await RechargeAttempt.get_or_none(order_id=order.id, state=RechargeState.SUBMITTED)
    if running:
        return running
    number = await RechargeAttempt.filter(order_id=order.id).count() + 1
    attempt = await RechargeAttempt.create(
        id=new_id(),
        order_id=order.id,
        number=number,
        issuer=issuer,
        state=RechargeState.SUBMITTED,
        submitted_at=now,
    )
    await advance(order, Trigger.SUBMIT_RECHARGE, actor=actor, now=now, reason=str(attempt.id))
    await schedule(
        kind=Kind.QUERY_RECHARGE,
        key=str(attempt.id),
        payload={"attempt_id": str(attempt.id)},
        due_at=now + query_after,
        now=now,
    )
    return attempt


async def _send(attempt: RechargeAttempt, issuer: CardIssuer, sealer: Sealer, actor: str, now: datetime) -> None:
    order = await RechargeOrder.get(id=attempt.order_id)
    card = await FuelCard.get(id=order.card_id)
    request = RechargeRequest(
        attempt_id=attempt.id,
        brand=card.brand,
        card_number=open_number(card, sealer),
        amount_fen=order.amount_fen,
    )
    try:
        facts = await issuer.submit(request)
    except IssuerUnavailable:
        return
    await settle_recharge(facts=facts, actor=actor, now=now)


async def query_recharge(
    *, attempt_id: UUID, issuer: CardIssuer, sealer: Sealer, actor: str, compensate_after: timedelta, now: datetime
) -> bool:
    """Ask the issuer about an attempt and return whether it is settled.

    An attempt that the issuer never saw is sent again under the same id. From `compensate_after` behind the submission
    on each question is a compensation query, which the order's story shows (row 13).
    """
    attempt = await RechargeAttempt.get(id=attempt_id)
    if attempt.state is not RechargeState.SUBMITTED:
        return True
    if now - attempt.submitted_at >= compensate_after:
        await _note_compensation(attempt.order_id, actor, now)
    try:
        facts = await issuer.query(attempt.id)
    except IssuerUnavailable:
        return False
    if facts.state is IssuerOrderState.NOT_FOUND:
        await _send(attempt, issuer, sealer, actor, now)
    else:
        await settle_recharge(facts=facts, actor=actor, now=now)
    await attempt.refresh_from_db()
    return attempt.state is not RechargeState.SUBMITTED


@transactional
async def _note_compensation(order_id: UUID, actor: str, now: datetime) -> None:
    order = await lock(order_id)
    if order.state is OrderState.RECHARGING:
        await advance(order, Trigger.COMPENSATE, actor=actor, now=now)


@transactional
async def settle_recharge(*, facts: RechargeFacts, actor: str, now: datetime) -> None:
    """Apply what the issuer said explicitly; a copy of it changes nothing, and PROCESSING settles nothing.

    Success is row 11 with L2 and the arrival notice, a refusal row 12 with L3 and a refund. Raises UnknownRecharge or
    RechargeContradiction.
    """
    attempt = await RechargeAttempt.get_or_none(id=facts.attempt_id)
    if attempt is None:
        raise UnknownRecharge(facts.attempt_id)
    order = await lock(attempt.order_id)
    await attempt.refresh_from_db()
    if facts.amount_fen != order.amount_fen:
        raise RechargeContradiction(f"amount of attempt {attempt.id}")
    outcome = SETTLED.get(facts.state)
    if outcome is None:
        if attempt.issuer_order_id is None and facts.issuer_order_id:
            await RechargeAttempt.filter(id=attempt.id).update(issuer_order_id=facts.issuer_order_id)
        return
    if attempt.state is not RechargeState.SUBMITTED:
        if attempt.state is not outcome:
            raise RechargeContradiction(f"attempt {attempt.id} was {attempt.state} and is told to be {outcome}")
        return
    await RechargeAttempt.filter(id=attempt.id).update(
        state=outcome,
        issuer_order_id=facts.issuer_order_id or attempt.issuer_order_id,
        cost_fen=facts.cost_fen,
        settled_at=now,
    )
    if outcome is RechargeState.SUCCEEDED:
        await _arrived(order, attempt, facts, actor, now)
    else:
        await advance(order, Trigger.REFUSE_RECHARGE, actor=actor, now=now, reason=facts.reason)
        paid = await PaymentAttempt.get(order_id=order.id, state=PaymentState.PAID)
        await owe_back(order, paid, actor=actor, now=now)


async def _arrived(
    order: RechargeOrder, attempt: RechargeAttempt, facts: RechargeFacts, actor: str, now: datetime
) -> None:
    if facts.cost_fen is None or facts.cost_fen < 0:
        raise RechargeContradiction(f"attempt {attempt.id} succeeded without a cost")
    await advance(order, Trigger.CONFIRM_RECHARGE, actor=actor, now=now, reason=facts.issuer_order_id or "")
    await post(
        postings.succeeded(
            order_id=order.id, issuer=attempt.issuer, amount_fen=order.amount_fen, cost_fen=facts.cost_fen
        ),
        now=now,
    )
    await append(
        stream=arrivals_stream(order.user_id),
        type=EventType.RECHARGE_ARRIVED,
        payload={"order_id": str(order.id), "card_id": str(order.card_id), "amount_fen": order.amount_fen},
        now=now,
    )
