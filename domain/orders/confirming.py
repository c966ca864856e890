"""What a channel's word does to an order: rows 4, 5, 7 and 17 of the table."""

from __future__ import annotations

from datetime import datetime

from domain.orders.lifecycle import UNPAID_KINDS, Trigger
from domain.orders.owing import book_payment, note_order_error, owe_back
from domain.orders.policy import Policy
from domain.orders.recharging import schedule_submission
from domain.orders.reviewing import open_review
from domain.orders.transitions import advance, lock
from domain.payments import operations as payments
from domain.payments import wallet
from domain.payments.ports import (
    PAID_TRADES,
    Channels,
    TradeFacts,
    TradeState,
)
from domain.payments.queries import by_out_trade_no
from domain.payments.rules import Expected, PaymentMismatch, check_payment
from kernel.states import ErrorKind, OrderState, PaymentState, ReviewState
from models.database import transactional
from models.orders import RechargeOrder
from models.payments import PaymentAttempt


class UnknownPayment(Exception):
    """A signed callback names a payment that we never asked for."""


class UnexpectedPayment(Exception):
    """A word on a payment that no row of the table can take, such as a refund that is not ours."""


@transactional
async def close_attempt(*, out_trade_no: str, actor: str, reason: str, now: datetime) -> None:
    """Give up an attempt that the channel says is closed and unpaid (row 5); the order may be paid again."""
    attempt = await by_out_trade_no(out_trade_no)
    if attempt is None:
        raise UnknownPayment(out_trade_no)
    order = await lock(attempt.order_id)
    await attempt.refresh_from_db()
    if order.state is OrderState.PAYING and attempt.state is PaymentState.OPEN:
        await payments.mark_closed(attempt=attempt, now=now)
        await advance(order, Trigger.CLOSE_ATTEMPT, actor=actor, now=now, reason=reason)


@transactional
async def confirm_payment(
    *, facts: TradeFacts, channels: Channels, actor: str, policy: Policy, now: datetime
) -> RechargeOrder:
    """Apply a payment that a verified callback or a query tells of; a copy of it changes nothing.

    PAYING becomes RECHARGING with L1 (row 4). A payment that the order does not wait for is booked and owed back at
    once: an order that failed unpaid is never reopened (row 7), and one that is paid otherwise stays so (row 17). A
    payment that somebody refunds before we have heard of it recharges nothing. Raises UnknownPayment, PaymentMismatch,
    UnexpectedPayment or UnknownChannel, for a person to look at.
    """
    if facts.state not in PAID_TRADES:
        raise UnexpectedPayment(facts.state)
    attempt = await by_out_trade_no(facts.out_trade_no)
    if attempt is None:
        raise UnknownPayment(facts.out_trade_no)
    order = await lock(attempt.order_id)
    await attempt.refresh_from_db()
    channel = channels.of(name=attempt.channel, sub_mchid=attempt.sub_mchid)
    check_payment(facts, Expected(attempt.amount_fen, channel.app_id, channel.mchid, attempt.sub_mchid))
    assert facts.transaction_id
    if attempt.state is PaymentState.PAID:
        if attempt.transaction_id != facts.transaction_id:
            raise PaymentMismatch("transaction_id")
        return order
    if facts.state is TradeState.REFUNDED:
        raise UnexpectedPayment(f"the payment of order {order.id} is refunded, and not by us")
    await _take(order, attempt, transaction_id=facts.transaction_id, actor=actor, policy=policy, now=now)
    return order


@transactional
async def capture(*, attempt: PaymentAttempt, actor: str, policy: Policy, now: datetime) -> RechargeOrder:
    """Take what the wallet holds for an attempt (row 4); an attempt that is settled stays as it is."""
    order = await lock(attempt.order_id)
    await attempt.refresh_from_db()
    if order.state is OrderState.PAYING and attempt.state is PaymentState.OPEN:
        transaction_id = f"{wallet.WALLET}:{attempt.out_trade_no}"
        await _take(order, attempt, transaction_id=transaction_id, actor=actor, policy=policy, now=now)
    return order


async def _take(
    order: RechargeOrder,
    attempt: PaymentAttempt,
    *,
    transaction_id: str,
    actor: str,
    policy: Policy,
    now: datetime,
) -> None:
    expected = order.state is OrderState.PAYING and attempt.state is PaymentState.OPEN
    await payments.mark_paid(attempt=attempt, transaction_id=transaction_id, now=now)
    await book_payment(order, attempt, now=now)
    if not expected:
        await _give_back(order, attempt, actor=actor, now=now)
        return
    await advance(order, Trigger.CONFIRM_PAYMENT, actor=actor, now=now, reason=attempt.out_trade_no)
    if order.review_state is ReviewState.PENDING:
        await open_review(order, deadline_at=now + policy.review_within, now=now)
    else:
        await schedule_submission(order, now=now)


async def _give_back(order: RechargeOrder, attempt: PaymentAttempt, *, actor: str, now: datetime) -> None:
    late = order.state is OrderState.FAILED and order.failure_kind in UNPAID_KINDS
    trigger = Trigger.LATE_PAYMENT if late else Trigger.SURPLUS_PAYMENT
    await note_order_error(
        order,
        ErrorKind.LATE_PAYMENT if late else ErrorKind.SURPLUS_PAYMENT,
        subject=attempt.out_trade_no,
        amount_fen=attempt.amount_fen,
        detail=f"paid while the order was {order.state}",
        now=now,
    )
    await advance(order, trigger, actor=actor, now=now, reason=attempt.out_trade_no)
    await owe_back(order, attempt, actor=actor, now=now)
