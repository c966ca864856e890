"""Recharging the card: rows 10 to 14 of the table. Unknown means pending; only an explicit answer settles."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from domain.cards.operations import open_number
from domain.cards.ports import CardIssuer, IssuerOrderState, IssuerUnavailable, RechargeFacts, RechargeRequest
from domain.events.alerts import raise_alert
from domain.events.operations import append
from domain.events.streams import AlertKind, EventType, arrivals_stream
from domain.ledger import postings
from domain.ledger.operations import post
from domain.offers import operations as offers
from domain.orders.lifecycle import RELEASED, Trigger
from domain.orders.owing import note_order_error, owe_back, whose
from domain.orders.transitions import advance, lock
from domain.payments.queries import taken_attempt_of
from domain.work.operations import Kind, schedule
from kernel.ids import new_id
from kernel.sealing import Sealer
from kernel.states import CaseKind, CaseOutcome, CaseState, ErrorKind, OrderState, RechargeState
from models.cards import FuelCard
from models.database import transactional
from models.orders import RechargeAttempt, RechargeOrder
from models.reviews import ManualCase

SETTLED = {
    IssuerOrderState.SUCCEEDED: RechargeState.SUCCEEDED,
    IssuerOrderState.REFUSED: RechargeState.REFUSED,
    IssuerOrderState.REVERSED: RechargeState.REVERSED,
}
CASE_REASON_LENGTH_MAX = 256


class UnknownRecharge(Exception):
    """A signed callback names a recharge that we never asked for."""


class RechargeContradiction(Exception):
    """The issuer tells of another amount, or of a success without a cost. A person must look at it."""


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
    if order.state is not OrderState.RECHARGING or order.review_state not in RELEASED:
        return None
    running = await RechargeAttempt.get_or_none(order_id=order.id, state=RechargeState.SUBMITTED)
    if running:
        return running
    number = await RechargeAttempt.filter(order_id=order.id).count() + 1
    attempt = await RechargeAttempt.create(
        id=new_id(),
        order_id=order.id,
        user_id=order.user_id,
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

    Success is row 11 with L2 and the arrival notice, a refusal row 12 with L3 and a refund. A success that follows a
    refusal never reopens the order (row 14); a refusal that follows a success moves nothing until two people say so.
    A recharge that was taken back before we heard that it had succeeded is a refused one, and since nothing follows a
    reversal, a success that is told later is an old word and changes nothing.
    Raises UnknownRecharge or RechargeContradiction.
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
    elif attempt.state is RechargeState.SUBMITTED:
        settle = _arrived if outcome is RechargeState.SUCCEEDED else _refused
        await settle(order, attempt, facts, actor, now)
    elif attempt.state is RechargeState.REFUSED and outcome is RechargeState.SUCCEEDED:
        await _recharged_after_failure(order, attempt, facts, actor, now)
    elif attempt.state is RechargeState.REFUSED and outcome is RechargeState.REVERSED:
        await _note_outcome(attempt, facts, now)
    elif attempt.state is RechargeState.SUCCEEDED and outcome is RechargeState.REVERSED:
        # What came after a failure is taken back as well; then it is about its cost alone.
        disputed_fen = order.price_fen if order.state is OrderState.SUCCEEDED else attempt.cost_fen or 0
        await _open_case(order, CaseKind.REVERSAL, disputed_fen, facts, facts.reason, now)
    elif order.state is OrderState.SUCCEEDED and outcome is RechargeState.REFUSED:
        await _open_case(order, CaseKind.REVERSAL, order.price_fen, facts, facts.reason, now)


async def _note_outcome(attempt: RechargeAttempt, facts: RechargeFacts, now: datetime) -> None:
    await RechargeAttempt.filter(id=attempt.id).update(
        state=SETTLED[facts.state],
        issuer_order_id=facts.issuer_order_id or attempt.issuer_order_id,
        cost_fen=facts.cost_fen,
        settled_at=now,
    )


def _cost_of(attempt: RechargeAttempt, facts: RechargeFacts) -> int:
    if facts.cost_fen is None or facts.cost_fen < 0:
        raise RechargeContradiction(f"attempt {attempt.id} succeeded without a cost")
    return facts.cost_fen


async def _arrived(
    order: RechargeOrder, attempt: RechargeAttempt, facts: RechargeFacts, actor: str, now: datetime
) -> None:
    cost_fen = _cost_of(attempt, facts)
    await _note_outcome(attempt, facts, now)
    await offers.use(order_id=order.id, now=now)
    await advance(order, Trigger.CONFIRM_RECHARGE, actor=actor, now=now, reason=facts.issuer_order_id or "")
    await post(
        postings.succeeded(whose(order), issuer=attempt.issuer, price_fen=order.price_fen, cost_fen=cost_fen), now=now
    )
    await append(
        stream=arrivals_stream(order.user_id),
        type=EventType.RECHARGE_ARRIVED,
        payload={"order_id": str(order.id), "card_id": str(order.card_id), "amount_fen": order.amount_fen},
        now=now,
    )


async def _refused(
    order: RechargeOrder, attempt: RechargeAttempt, facts: RechargeFacts, actor: str, now: datetime
) -> None:
    paid = await taken_attempt_of(order.id)
    assert paid is not None
    await _note_outcome(attempt, facts, now)
    await offers.release(order_id=order.id, now=now)
    await advance(order, Trigger.REFUSE_RECHARGE, actor=actor, now=now, reason=facts.reason)
    await note_order_error(
        order,
        ErrorKind.RECHARGE_REFUSED,
        subject=str(attempt.id),
        amount_fen=order.price_fen,
        detail=facts.reason,
        now=now,
    )
    await owe_back(order, paid, actor=actor, now=now)


async def _recharged_after_failure(
    order: RechargeOrder, attempt: RechargeAttempt, facts: RechargeFacts, actor: str, now: datetime
) -> None:
    cost_fen = _cost_of(attempt, facts)
    await _note_outcome(attempt, facts, now)
    await note_order_error(
        order,
        ErrorKind.RECHARGED_AFTER_FAILURE,
        subject=str(attempt.id),
        amount_fen=order.amount_fen,
        detail=f"refund {order.refund_state}",
        now=now,
    )
    await advance(order, Trigger.FIND_RECHARGED, actor=actor, now=now, reason=facts.issuer_order_id or "")
    if cost_fen:
        await post(
            postings.recharged_after_failure(
                whose(order), attempt=attempt.number, issuer=attempt.issuer, cost_fen=cost_fen
            ),
            now=now,
        )
    await _open_case(order, CaseKind.CLAW_BACK, cost_fen, facts, "recharged after it was refused", now)


async def _open_case(
    order: RechargeOrder, kind: CaseKind, amount_fen: int, facts: RechargeFacts, reason: str, now: datetime
) -> None:
    """Leave it to two people. An order has one open case of a kind, and each word of the issuer opens one at most.

    A reversal after a refusal is another word: people may have found the refusal wrong, or be about to.
    """
    if facts.state is IssuerOrderState.REVERSED:
        unaware = ManualCase.filter(order_id=order.id, kind=kind, state=CaseState.PROPOSED, outcome=CaseOutcome.DISMISS)
        reopened = await unaware.first()
        if reopened:
            await unaware.update(state=CaseState.OPEN, outcome=None, proposed_by=None, proposed_at=None)
            await raise_alert(kind=AlertKind.CASE, subject_id=reopened.id, now=now)
    case = ManualCase(
        id=new_id(),
        key=f"{kind}:{facts.attempt_id}:{facts.state}",
        kind=kind,
        order_id=order.id,
        user_id=order.user_id,
        amount_fen=amount_fen,
        state=CaseState.OPEN,
        reason=reason[:CASE_REASON_LENGTH_MAX],
        created_at=now,
    )
    await ManualCase.bulk_create([case], ignore_conflicts=True)
    if await ManualCase.exists(id=case.id):
        await raise_alert(kind=AlertKind.CASE, subject_id=case.id, now=now)


async def schedule_submission(order: RechargeOrder, *, now: datetime) -> None:
    """Have the worker send a locked, paid order to the issuer."""
    await schedule(
        kind=Kind.SUBMIT_RECHARGE, key=str(order.id), payload={"order_id": str(order.id)}, due_at=now, now=now
    )
