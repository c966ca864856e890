"""Paying an order: rows 2, 4, 5 and 7 of the table."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from tortoise.exceptions import IntegrityError

from domain.identity.viewer import Viewer
from domain.ledger import postings
from domain.ledger.operations import post
from domain.orders import idempotency, queries
from domain.orders.lifecycle import UNPAID_KINDS, RefundTrigger, Trigger
from domain.orders.transitions import advance, advance_refund, lock
from domain.payments import operations as payments
from domain.payments.ports import (
    PAID_TRADES,
    ChannelRefused,
    ChannelUnavailable,
    PaymentChannel,
    PaymentParameters,
    PrepayRequest,
    TradeFacts,
    TradeState,
)
from domain.payments.queries import by_out_trade_no, open_attempt_of
from domain.payments.rules import Expected, PaymentMismatch, check_payment
from domain.work.operations import Kind, schedule
from kernel.errors import YoukaError
from kernel.states import OrderState, PaymentState
from models.database import transactional
from models.identity import User
from models.orders import RechargeOrder
from models.payments import PaymentAttempt

PAY = "payRecharge"
DESCRIPTION = "油卡充值"


class OrderNotPayable(YoukaError):
    code = "ORDER_NOT_PAYABLE"
    messages = {"zh-CN": "订单当前状态不能支付", "en": "The order cannot be paid in its state"}


class PaymentDeadlinePassed(YoukaError):
    code = "PAYMENT_DEADLINE_PASSED"
    messages = {"zh-CN": "订单已超过支付时限", "en": "The time to pay this order is over"}


class PaymentUnavailable(YoukaError):
    code = "PAYMENT_UNAVAILABLE"
    messages = {
        "zh-CN": "支付渠道繁忙，请稍后用同一请求重试",
        "en": "The payment channel is busy, please repeat the same request",
    }


class PaymentRefused(YoukaError):
    code = "PAYMENT_REFUSED"
    messages = {"zh-CN": "支付渠道拒绝了该笔支付", "en": "The payment channel refused this payment"}


class UnknownPayment(Exception):
    """A signed callback names a payment that we never asked for."""


class UnexpectedPayment(Exception):
    """A true payment that no row of the table can take; the money is booked by a person."""


@dataclass(frozen=True, slots=True)
class StartedPayment:
    order: RechargeOrder
    parameters: PaymentParameters


async def start_payment(
    *,
    viewer: Viewer,
    order_id: UUID | None,
    idempotency_key: str,
    channel: PaymentChannel,
    query_after: timedelta,
    now: datetime,
) -> StartedPayment:
    """Open an attempt (row 2), or find the open one again, and return what `wx.requestPayment` needs.

    The attempt is committed before the channel hears of it, so a payment can never be without its row; an attempt
    that the channel did not answer stays open and is prepaid again under the same number.

    Raises IdempotencyKeyInvalid, IdempotencyConflict, OrderNotFound, OrderNotPayable, PaymentDeadlinePassed,
    TooManyPaymentAttempts, PaymentRefused or PaymentUnavailable.
    """
    idempotency.check_key(idempotency_key)
    await queries.require_owned(viewer=viewer, order_id=order_id)
    assert order_id is not None
    try:
        order, attempt = await _open_attempt(viewer, order_id, idempotency_key, channel, query_after, now)
    except IntegrityError:
        # The same key, or another one, opened the attempt in a concurrent request.
        order, attempt = await _open_attempt(viewer, order_id, idempotency_key, channel, query_after, now)
    prepay_id = attempt.prepay_id or await _prepay(order, attempt, channel, viewer, now)
    return StartedPayment(order, channel.payment_parameters(prepay_id=prepay_id, now=now))


@transactional
async def _open_attempt(
    viewer: Viewer, order_id: UUID, key: str, channel: PaymentChannel, query_after: timedelta, now: datetime
) -> tuple[RechargeOrder, PaymentAttempt]:
    order = await lock(order_id)
    input_hash = idempotency.hash_of(str(order_id))
    repeated = await idempotency.made_before(viewer=viewer, operation=PAY, key=key, input_hash=input_hash)
    attempt = await open_attempt_of(order.id)
    if repeated and (attempt is None or attempt.id != repeated):
        raise OrderNotPayable
    if order.state not in queries.UNPAID:
        raise OrderNotPayable
    if now >= order.pay_deadline_at:
        raise PaymentDeadlinePassed
    if attempt is None:
        attempt = await payments.open_attempt(order=order, channel=channel, now=now)
        await advance(order, Trigger.START_PAYMENT, actor=viewer.actor, now=now, reason=attempt.out_trade_no)
        await schedule(
            kind=Kind.QUERY_PAYMENT,
            key=attempt.out_trade_no,
            payload={"out_trade_no": attempt.out_trade_no},
            due_at=now + query_after,
            now=now,
        )
    if not repeated:
        await idempotency.remember(
            viewer=viewer, operation=PAY, key=key, input_hash=input_hash, result_id=attempt.id, now=now
        )
    return order, attempt


async def _prepay(
    order: RechargeOrder, attempt: PaymentAttempt, channel: PaymentChannel, viewer: Viewer, now: datetime
) -> str:
    payer = await User.get(id=viewer.user_id)
    request = PrepayRequest(
        out_trade_no=attempt.out_trade_no,
        amount_fen=attempt.amount_fen,
        description=DESCRIPTION,
        openid=payer.openid,
        expires_at=order.pay_deadline_at,
    )
    try:
        prepay_id = await channel.prepay(request)
    except ChannelUnavailable as error:
        raise PaymentUnavailable from error
    except ChannelRefused as error:
        await _give_up_attempt(attempt, channel, actor=viewer.actor, reason=error.code, now=now)
        raise PaymentRefused from error
    if not await payments.keep_prepay_id(attempt=attempt, prepay_id=prepay_id):
        # It was given up while the channel still made it; whoever got the parameters now would pay for nothing.
        raise OrderNotPayable
    return prepay_id


async def _give_up_attempt(
    attempt: PaymentAttempt, channel: PaymentChannel, *, actor: str, reason: str, now: datetime
) -> None:
    """Close an attempt that the channel refused to prepay, unless it turns out to be paid: a refusal may say that."""
    try:
        facts = await made_unpayable(attempt.out_trade_no, channel)
    except (ChannelUnavailable, ChannelRefused) as error:
        raise PaymentUnavailable from error
    if facts.state in PAID_TRADES:
        await confirm_payment(facts=facts, channel=channel, actor=actor, now=now)
        raise OrderNotPayable
    await close_attempt(out_trade_no=attempt.out_trade_no, actor=actor, reason=reason, now=now)


async def made_unpayable(out_trade_no: str, channel: PaymentChannel) -> TradeFacts:
    """Query, close, and query again, and return facts that can no longer change unless it is paid.

    Raises ChannelUnavailable while the channel has not closed it, or ChannelRefused.
    """
    facts = await channel.query(out_trade_no)
    if facts.state is not TradeState.UNPAID:
        return facts
    # Closing is refused where the payment came first; the query below says so.
    with contextlib.suppress(ChannelRefused):
        await channel.close(out_trade_no)
    facts = await channel.query(out_trade_no)
    if facts.state is TradeState.UNPAID:
        raise ChannelUnavailable("the channel has not closed the payment yet")
    return facts


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
async def confirm_payment(*, facts: TradeFacts, channel: PaymentChannel, actor: str, now: datetime) -> RechargeOrder:
    """Apply a payment that a verified callback or a query tells of; a copy of it changes nothing.

    PAYING becomes RECHARGING with L1 (row 4). An order that failed unpaid is never reopened: the money is booked and
    owed back at once (row 7). A payment that somebody refunds before we have heard of it recharges nothing. Raises
    UnknownPayment, PaymentMismatch or UnexpectedPayment, for a person to look at.
    """
    if facts.state not in PAID_TRADES:
        raise UnexpectedPayment(facts.state)
    attempt = await by_out_trade_no(facts.out_trade_no)
    if attempt is None:
        raise UnknownPayment(facts.out_trade_no)
    order = await lock(attempt.order_id)
    await attempt.refresh_from_db()
    check_payment(facts, Expected(attempt.amount_fen, channel.app_id, channel.mchid, attempt.sub_mchid))
    if attempt.state is PaymentState.PAID:
        if attempt.transaction_id != facts.transaction_id:
            raise PaymentMismatch("transaction_id")
        return order
    if facts.state is TradeState.REFUNDED:
        raise UnexpectedPayment(f"the payment of order {order.id} is refunded, and not by us")
    late = order.state is OrderState.FAILED and order.failure_kind in UNPAID_KINDS
    if not late and order.state is not OrderState.PAYING:
        raise UnexpectedPayment(f"order {order.id} is {order.state}")
    await payments.mark_paid(attempt=attempt, facts=facts, now=now)
    await post(
        postings.paid(
            order_id=order.id, attempt=attempt.number, clearing=clearing_of(attempt), amount_fen=attempt.amount_fen
        ),
        now=now,
    )
    if late:
        await advance(order, Trigger.LATE_PAYMENT, actor=actor, now=now, reason=attempt.out_trade_no)
        await owe_back(order, attempt, actor=actor, now=now)
    else:
        await advance(order, Trigger.CONFIRM_PAYMENT, actor=actor, now=now, reason=attempt.out_trade_no)
        await schedule(
            kind=Kind.SUBMIT_RECHARGE, key=str(order.id), payload={"order_id": str(order.id)}, due_at=now, now=now
        )
    return order


async def owe_back(order: RechargeOrder, attempt: PaymentAttempt, *, actor: str, now: datetime) -> None:
    """Book that a paid attempt of a locked, failed order is owed back (L3), and start its refund (row 16)."""
    await post(postings.failed(order_id=order.id, attempt=attempt.number, amount_fen=attempt.amount_fen), now=now)
    refund = await payments.owe_refund(order=order, attempt=attempt, now=now)
    await advance_refund(order, RefundTrigger.START, actor=actor, now=now, reason=refund.out_refund_no)


def clearing_of(attempt: PaymentAttempt) -> str:
    return postings.channel_clearing(attempt.channel, attempt.sub_mchid)
