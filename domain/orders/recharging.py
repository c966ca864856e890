"""Recharging the card: rows 10 to 14, 18 and 19. Unknown means pending; only an explicit answer settles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from tortoise.expressions import F

from domain.cards import routing
from domain.cards.operations import open_number
from domain.cards.ports import (
    CardIssuer,
    IssuerOrderState,
    Issuers,
    IssuerUnavailable,
    RechargeFacts,
    RechargeRequest,
)
from domain.cards.standings import note_unavailable, standings
from domain.events.operations import append
from domain.events.streams import EventType, arrivals_stream
from domain.ledger import postings
from domain.ledger.operations import post
from domain.offers import operations as offers
from domain.orders.disputes import open_case, recharged_after_failure, recharged_beside
from domain.orders.lifecycle import RELEASED, Trigger
from domain.orders.owing import note_order_error, owe_back, whose
from domain.orders.transitions import advance, lock
from domain.payments.queries import taken_attempt_of
from domain.work.operations import Kind, schedule
from domain.work.queries import has_begun
from kernel.ids import new_id
from kernel.sealing import Sealer
from kernel.states import CaseKind, ErrorKind, OrderState, RechargeState
from models.cards import FuelCard
from models.database import transactional
from models.orders import RechargeAttempt, RechargeOrder

SETTLED = {
    IssuerOrderState.SUCCEEDED: RechargeState.SUCCEEDED,
    IssuerOrderState.REFUSED: RechargeState.REFUSED,
    IssuerOrderState.REVERSED: RechargeState.REVERSED,
    IssuerOrderState.NOT_ACCEPTED: RechargeState.NOT_ACCEPTED,
}
# Longer than a request can be under way, so behind this time a "not accepted" is about every one that was sent.
DOUBT = timedelta(minutes=15)


class UnknownRecharge(Exception):
    """A signed callback names a recharge that we never asked for."""


class RechargeContradiction(Exception):
    """The issuer tells of another amount, or of a success without a cost. A person must look at it."""


class NoIssuer(Exception):
    """No issuer of this deployment serves the brand of the card. A person must look at it."""


async def submit_recharge(
    *,
    order_id: UUID,
    issuers: Issuers,
    rules: routing.Rules,
    sealer: Sealer,
    actor: str,
    query_after: timedelta,
    now: datetime,
) -> None:
    """Send a paid order to an issuer (row 10). The attempt is committed first and its id is the issuer's key.

    An unavailable issuer is not a failure: the attempt stays, and the query that was scheduled with it finds out. Where
    every issuer has said that it does not accept, the order fails (row 12). Raises NoIssuer or UnknownIssuer.
    """
    attempt = await _begin(order_id, issuers, rules, actor, query_after, now)
    if attempt is not None:
        await _send(attempt, issuers.of(attempt.issuer), sealer, actor, now)


@transactional
async def _begin(
    order_id: UUID, issuers: Issuers, rules: routing.Rules, actor: str, query_after: timedelta, now: datetime
) -> RechargeAttempt | None:
    order = await lock(order_id)
    if order.state is not OrderState.RECHARGING or order.review_state not in RELEASED:
        return None
    attempts = await RechargeAttempt.filter(order_id=order.id).order_by("number")
    running = next((each for each in attempts if each.state is RechargeState.SUBMITTED), None)
    if running:
        await _count_sending(running)
        return running
    issuer = await _choose(order, attempts, issuers, rules, now)
    if issuer is None:
        await _fail(order, attempts[-1], "no issuer accepts it", actor, now)
        return None
    attempt = await RechargeAttempt.create(
        id=new_id(),
        order_id=order.id,
        user_id=order.user_id,
        number=len(attempts) + 1,
        issuer=issuer.name,
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


async def _choose(
    order: RechargeOrder, attempts: list[RechargeAttempt], issuers: Issuers, rules: routing.Rules, now: datetime
) -> CardIssuer | None:
    """Return who is sent the order next, or None where each has been and did not accept. Raises NoIssuer."""
    card = await FuelCard.get(id=order.card_id)
    issuer = routing.choose(
        issuers.all,
        brand=card.brand,
        amount_fen=order.amount_fen,
        tried={attempt.issuer for attempt in attempts},
        standings=await standings() if len(issuers.all) > 1 else {},
        rules=rules,
        now=now,
    )
    if issuer is None and not attempts:
        raise NoIssuer(card.brand)
    return issuer


async def _count_sending(attempt: RechargeAttempt) -> bool:
    """Note that an attempt is sent once more, and return whether it may be: what is settled is never sent again."""
    running = RechargeAttempt.filter(id=attempt.id, state=RechargeState.SUBMITTED)
    return bool(await running.update(sends=F("sends") + 1))


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
    except IssuerUnavailable as error:
        await note_unavailable(name=issuer.name, reason=str(error), now=now)
        return
    if facts.state is IssuerOrderState.NOT_ACCEPTED:
        await note_unavailable(name=issuer.name, reason=facts.reason, now=now)
    await settle_recharge(facts=facts, actor=actor, now=now)


async def query_recharge(
    *, attempt_id: UUID, issuers: Issuers, sealer: Sealer, actor: str, compensate_after: timedelta, now: datetime
) -> bool:
    """Ask its issuer about an attempt and return whether it is settled.

    An attempt that the issuer never saw is sent again under the same id. From `compensate_after` behind the order's
    first submission on each question is a compensation query, which the order's story shows (row 13). Raises
    UnknownIssuer.
    """
    attempt = await RechargeAttempt.get(id=attempt_id)
    if attempt.state is not RechargeState.SUBMITTED:
        return True
    issuer = issuers.of(attempt.issuer)
    first = await RechargeAttempt.get(order_id=attempt.order_id, number=1)
    if now - first.submitted_at >= compensate_after:
        await _note_compensation(attempt.order_id, actor, now)
    try:
        facts = await issuer.query(attempt.id)
    except IssuerUnavailable:
        return False
    if facts.state is not IssuerOrderState.NOT_FOUND:
        await settle_recharge(facts=facts, actor=actor, now=now)
    elif await _count_sending(attempt):
        await _send(attempt, issuer, sealer, actor, now)
    await attempt.refresh_from_db()
    return attempt.state is not RechargeState.SUBMITTED


async def follow_recharge(*, attempt_id: UUID, issuers: Issuers, actor: str, now: datetime) -> bool:
    """Ask the issuer about an attempt whatever we think of it, and return whether there is no more to ask.

    For what an unsigned callback has hinted at, and for what an issuer has not accepted: it is never sent again, and
    where the issuer has it under way after all, it is asked until that has ended. Raises UnknownIssuer.
    """
    attempt = await RechargeAttempt.get(id=attempt_id)
    try:
        facts = await issuers.of(attempt.issuer).query(attempt.id)
    except IssuerUnavailable:
        return False
    if facts.state is IssuerOrderState.NOT_FOUND:
        return True
    await settle_recharge(facts=facts, actor=actor, now=now)
    return facts.state is not IssuerOrderState.PROCESSING or attempt.state is RechargeState.SUBMITTED


async def hint(*, attempt_id: UUID, issuer: str, interval: timedelta, now: datetime) -> bool:
    """Have an attempt asked after because somebody who cannot prove who they are said so; return whether there is one.

    Whoever sends hints can have each attempt that they can name asked after once in an interval, and no more. The last
    of several in one interval is heard when it is over.
    """
    if not await RechargeAttempt.exists(id=attempt_id, issuer=issuer):
        return False
    current, due_at = int(now.timestamp() // interval.total_seconds()), now
    if await has_begun(kind=Kind.FOLLOW_RECHARGE, key=f"{attempt_id}:{current}"):
        current += 1
        due_at = datetime.fromtimestamp(current * interval.total_seconds(), UTC)
    await _follow(attempt_id, f"{current}", due_at=due_at, now=now)
    return True


@transactional
async def _follow(attempt_id: UUID, cause: str, *, due_at: datetime, now: datetime) -> None:
    payload = {"attempt_id": str(attempt_id)}
    await schedule(kind=Kind.FOLLOW_RECHARGE, key=f"{attempt_id}:{cause}", payload=payload, due_at=due_at, now=now)


@transactional
async def _note_compensation(order_id: UUID, actor: str, now: datetime) -> None:
    order = await lock(order_id)
    if order.state is OrderState.RECHARGING:
        await advance(order, Trigger.COMPENSATE, actor=actor, now=now)


@transactional
async def settle_recharge(*, facts: RechargeFacts, actor: str, now: datetime) -> None:
    """Apply what the issuer said explicitly; a copy of it changes nothing, and PROCESSING settles nothing.

    Success is row 11 with L2 and the arrival notice, a refusal row 12 with L3 and a refund, and a definite word that it
    was not accepted row 18, behind which another issuer is looked for. A success that follows a refusal never reopens
    the order (row 14), nor does one that follows a "not accepted" (row 19); a refusal that follows a success moves
    nothing until two people say so. A recharge that was taken back before we heard that it had succeeded is a refused
    one, and since nothing follows a reversal, a success that is told later is an old word and changes nothing.
    Raises UnknownRecharge or RechargeContradiction.
    """
    attempt = await RechargeAttempt.get_or_none(id=facts.attempt_id)
    if attempt is None:
        raise UnknownRecharge(facts.attempt_id)
    order = await lock(attempt.order_id)
    await attempt.refresh_from_db()
    if facts.amount_fen != order.amount_fen:
        raise RechargeContradiction(f"amount of attempt {attempt.id}")
    if facts.state not in SETTLED:
        await _note_under_way(attempt, facts, now)
    elif attempt.state is RechargeState.SUBMITTED:
        await _settle_first(order, attempt, facts, actor, now)
    else:
        await _settle_again(order, attempt, facts, actor, now)


async def _note_under_way(attempt: RechargeAttempt, facts: RechargeFacts, now: datetime) -> None:
    if attempt.issuer_order_id is None and facts.issuer_order_id:
        await RechargeAttempt.filter(id=attempt.id).update(issuer_order_id=facts.issuer_order_id)
    if attempt.state is RechargeState.NOT_ACCEPTED:
        # Nobody asks after it any more, and a callback may be lost.
        await _follow(attempt.id, "under_way", due_at=now, now=now)


async def _settle_first(
    order: RechargeOrder, attempt: RechargeAttempt, facts: RechargeFacts, actor: str, now: datetime
) -> None:
    if facts.state is IssuerOrderState.SUCCEEDED:
        await _arrived(order, attempt, facts, actor, now)
    elif facts.state is IssuerOrderState.NOT_ACCEPTED:
        await _not_accepted(order, attempt, facts, actor, now)
    else:
        await _refused(order, attempt, facts, actor, now)


async def _settle_again(
    order: RechargeOrder, attempt: RechargeAttempt, facts: RechargeFacts, actor: str, now: datetime
) -> None:
    """Apply a word about an attempt of which we have believed another one before."""
    match attempt.state, facts.state:
        case RechargeState.REFUSED, IssuerOrderState.SUCCEEDED:
            cost_fen = _cost_of(attempt, facts)
            await _note_outcome(attempt, facts, RechargeState.SUCCEEDED, now)
            await recharged_after_failure(order, attempt, facts, cost_fen=cost_fen, actor=actor, now=now)
        case RechargeState.NOT_ACCEPTED, IssuerOrderState.SUCCEEDED:
            cost_fen = _cost_of(attempt, facts)
            await _note_outcome(attempt, facts, RechargeState.SURPLUS, now)
            await recharged_beside(order, attempt, facts, cost_fen=cost_fen, actor=actor, now=now)
        case ((RechargeState.REFUSED | RechargeState.NOT_ACCEPTED), IssuerOrderState.REVERSED):
            await _note_outcome(attempt, facts, RechargeState.REVERSED, now)
        case ((RechargeState.SUCCEEDED | RechargeState.SURPLUS), IssuerOrderState.REVERSED):
            # What came beside the order or after its failure is taken back as well; then it is about its cost alone.
            pays_for_it = attempt.state is RechargeState.SUCCEEDED and order.state is OrderState.SUCCEEDED
            disputed_fen = order.price_fen if pays_for_it else attempt.cost_fen or 0
            await open_case(order, attempt, CaseKind.REVERSAL, disputed_fen, facts, facts.reason, now)
        case RechargeState.SUCCEEDED, (IssuerOrderState.REFUSED | IssuerOrderState.NOT_ACCEPTED):
            if order.state is OrderState.SUCCEEDED:
                await open_case(order, attempt, CaseKind.REVERSAL, order.price_fen, facts, facts.reason, now)


async def _note_outcome(attempt: RechargeAttempt, facts: RechargeFacts, state: RechargeState, now: datetime) -> None:
    await RechargeAttempt.filter(id=attempt.id).update(
        state=state,
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
    await _note_outcome(attempt, facts, RechargeState.SUCCEEDED, now)
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
    await _note_outcome(attempt, facts, SETTLED[facts.state], now)
    await _fail(order, attempt, facts.reason, actor, now)


async def _fail(order: RechargeOrder, attempt: RechargeAttempt, reason: str, actor: str, now: datetime) -> None:
    """Let a locked order fail with its last attempt (row 12), and owe the customer the money back."""
    paid = await taken_attempt_of(order.id)
    assert paid is not None
    await offers.release(order_id=order.id, now=now)
    await advance(order, Trigger.REFUSE_RECHARGE, actor=actor, now=now, reason=reason)
    await note_order_error(
        order,
        ErrorKind.RECHARGE_REFUSED,
        subject=str(attempt.id),
        amount_fen=order.price_fen,
        detail=reason,
        now=now,
    )
    await owe_back(order, paid, actor=actor, now=now)


async def _not_accepted(
    order: RechargeOrder, attempt: RechargeAttempt, facts: RechargeFacts, actor: str, now: datetime
) -> None:
    """Give the attempt up and look for another issuer (row 18).

    Where it was sent more than once, an earlier request may still be on its way, so the word does not count until no
    request can be: what is unknown at one issuer is never sent to another.
    """
    if attempt.sends > 1 and now - attempt.submitted_at < DOUBT:
        return
    await _note_outcome(attempt, facts, RechargeState.NOT_ACCEPTED, now)
    await advance(order, Trigger.REROUTE, actor=actor, now=now, reason=f"{attempt.issuer}: {facts.reason}")
    await _schedule_submission(order, f"{order.id}:{attempt.number + 1}", now)
    await _follow(attempt.id, "not_accepted", due_at=now + DOUBT, now=now)


async def schedule_submission(order: RechargeOrder, *, now: datetime) -> None:
    """Have the worker send a locked, paid order to an issuer."""
    await _schedule_submission(order, str(order.id), now)


async def _schedule_submission(order: RechargeOrder, key: str, now: datetime) -> None:
    await schedule(kind=Kind.SUBMIT_RECHARGE, key=key, payload={"order_id": str(order.id)}, due_at=now, now=now)
