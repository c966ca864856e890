"""The review of large orders: rows 8 and 9 of the table. Whoever decides is not who made the order."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.actions.recording import acting
from domain.events.alerts import raise_alert
from domain.events.streams import AlertKind
from domain.identity.staff import Staff
from domain.offers import operations as offers
from domain.orders.lifecycle import Trigger
from domain.orders.owing import owe_back
from domain.orders.queries import OrderNotFound
from domain.orders.recharging import schedule_submission
from domain.orders.transitions import advance, lock
from domain.payments.queries import taken_attempt_of
from domain.work.operations import Kind, schedule
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.states import OrderState, ReviewState
from models.database import transactional
from models.orders import RechargeOrder
from models.reviews import Review

SYSTEM = "system"


class ReviewNotPending(YoukaError):
    code = "REVIEW_NOT_PENDING"
    messages = {"zh-CN": "该订单没有待审核的申请", "en": "The order does not wait for a review"}


class ReviewOwnOrder(YoukaError):
    code = "REVIEW_OWN_ORDER"
    messages = {"zh-CN": "不能审核自己的订单", "en": "You cannot review an order of your own"}


class ReasonMissing(YoukaError):
    code = "REASON_MISSING"
    messages = {"zh-CN": "请填写原因", "en": "Say why"}


async def open_review(order: RechargeOrder, *, deadline_at: datetime, now: datetime) -> None:
    """Begin the review of a locked order that has just been paid; at its deadline it is rejected."""
    assert order.review_reason is not None
    review_id = new_id()
    await Review.create(
        id=review_id,
        order_id=order.id,
        user_id=order.user_id,
        reason=order.review_reason,
        state=ReviewState.PENDING,
        deadline_at=deadline_at,
        created_at=now,
    )
    await schedule(
        kind=Kind.EXPIRE_REVIEW,
        key=str(order.id),
        payload={"order_id": str(order.id)},
        due_at=deadline_at,
        now=now,
    )
    await raise_alert(kind=AlertKind.REVIEW, subject_id=review_id, now=now)


@transactional
async def decide(*, staff: Staff, order_id: UUID | None, approve: bool, reason: str, now: datetime) -> RechargeOrder:
    """Approve (row 8) or reject (row 9) a paid order; deciding the same again returns it.

    Raises OrderNotFound, ReviewNotPending, ReviewOwnOrder or ReasonMissing.
    """
    if not reason.strip():
        raise ReasonMissing
    review = await Review.get_or_none(order_id=order_id) if order_id else None
    if review is None:
        if order_id and await RechargeOrder.exists(id=order_id):
            raise ReviewNotPending
        raise OrderNotFound
    order = await lock(review.order_id)
    await review.refresh_from_db()
    if staff.customer_id == order.user_id:
        raise ReviewOwnOrder
    wanted = ReviewState.APPROVED if approve else ReviewState.REJECTED
    if review.state is not ReviewState.PENDING:
        if (review.state, review.decided_by) == (wanted, staff.id):
            return order
        raise ReviewNotPending
    async with acting(staff, "reviewOrder", order, kind="Order", reason=reason, now=now):
        await _decide(order, review, wanted, staff.actor, staff.id, reason, now)
    return order


@transactional
async def expire_review(*, order_id: UUID, now: datetime) -> None:
    """Reject an order that nobody has looked at in time (row 9)."""
    order = await lock(order_id)
    review = await Review.get(order_id=order_id)
    if review.state is ReviewState.PENDING and now >= review.deadline_at:
        await _decide(order, review, ReviewState.REJECTED, SYSTEM, None, "the review's deadline has passed", now)


async def _decide(
    order: RechargeOrder,
    review: Review,
    state: ReviewState,
    actor: str,
    staff_id: UUID | None,
    reason: str,
    now: datetime,
) -> None:
    assert order.state is OrderState.RECHARGING
    await Review.filter(id=review.id).update(state=state, decided_by=staff_id, decided_at=now)
    if state is ReviewState.APPROVED:
        await advance(order, Trigger.APPROVE_REVIEW, actor=actor, now=now, reason=reason)
        await schedule_submission(order, now=now)
        return
    attempt = await taken_attempt_of(order.id)
    assert attempt is not None
    await offers.release(order_id=order.id, now=now)
    await advance(order, Trigger.REJECT_REVIEW, actor=actor, now=now, reason=reason)
    await owe_back(order, attempt, actor=actor, now=now)


async def any_review(*, staff: Staff, review_id: UUID) -> Review | None:
    """Return the review, also one that is decided."""
    del staff  # Asking for a member of staff is the check; every one of them sees every review.
    return await Review.get_or_none(id=review_id)


async def waiting(*, staff: Staff, first: int, after: UUID | None) -> list[Review]:
    """Return up to `first` reviews that nobody has decided, oldest first, behind the review `after`."""
    del staff  # Asking for a member of staff is the check; every one of them sees every review.
    rows = Review.filter(state=ReviewState.PENDING)
    if after:
        rows = rows.filter(id__gt=after)
    return await rows.order_by("id").limit(first)
