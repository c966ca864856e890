"""Paying money back by the route it came: row 16 of the table."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.ledger import postings
from domain.ledger.operations import post
from domain.orders.lifecycle import RefundTrigger
from domain.orders.owing import note_order_error, refunded_to, whose
from domain.orders.transitions import advance_refund, lock
from domain.payments.ports import (
    ChannelRefundState,
    Channels,
    ChannelUnavailable,
    RefundFacts,
    RefundRequest,
)
from domain.payments.queries import refund_by_number
from domain.payments.wallet import is_wallet
from kernel.states import ErrorKind, RefundState
from models.database import transactional
from models.orders import RechargeOrder
from models.payments import PaymentAttempt, Refund

REASON = "充值未成功，原路退款"


class UnknownRefund(Exception):
    """A signed callback names a refund that we never asked for."""


class RefundMismatch(Exception):
    """The facts are signed but not ours: another amount or another payment. A person must look at it."""


class RefundAbnormal(Exception):
    """The channel could not give the money back, and asking again cannot help. A person must pay it."""


async def push_refund(*, refund_id: UUID, channels: Channels, actor: str, now: datetime) -> bool:
    """Ask for the refund, or how it stands, and return whether it needs no further asking.

    The channel is queried first and asked again only under the same number, so a retry can never pay twice. What was
    abnormal is only queried: people may have let it be paid elsewhere. Raises RefundAbnormal, RefundMismatch,
    UnknownChannel or ChannelRefused.
    """
    refund = await Refund.get(id=refund_id)
    if refund.state not in {RefundState.PROCESSING, RefundState.ABNORMAL}:
        return True
    attempt = await PaymentAttempt.get(id=refund.attempt_id)
    if is_wallet(attempt):
        await _refund_to_wallet(refund, attempt, actor, now)
        return True
    channel = channels.of(name=attempt.channel, sub_mchid=attempt.sub_mchid)
    try:
        facts = await channel.query_refund(refund.out_refund_no, out_trade_no=attempt.out_trade_no)
        if facts.state is ChannelRefundState.NOT_FOUND and refund.state is RefundState.PROCESSING:
            facts = await channel.refund(
                RefundRequest(
                    out_trade_no=attempt.out_trade_no,
                    out_refund_no=refund.out_refund_no,
                    amount_fen=refund.amount_fen,
                    total_fen=attempt.amount_fen,
                    reason=REASON,
                )
            )
    except ChannelUnavailable:
        return False
    if facts.state is not ChannelRefundState.NOT_FOUND:
        await settle_refund(facts=facts, actor=actor, now=now)
    if facts.state in {ChannelRefundState.ABNORMAL, ChannelRefundState.NOT_FOUND}:
        raise RefundAbnormal(refund.out_refund_no)
    return facts.state is ChannelRefundState.SUCCESS


@transactional
async def settle_refund(*, facts: RefundFacts, actor: str, now: datetime) -> None:
    """Apply what the channel said of a refund; a copy of it changes nothing. SUCCESS posts L4.

    Raises UnknownRefund or RefundMismatch.
    """
    refund = await refund_by_number(facts.out_refund_no)
    if refund is None:
        raise UnknownRefund(facts.out_refund_no)
    order = await lock(refund.order_id)
    await refund.refresh_from_db()
    attempt = await PaymentAttempt.get(id=refund.attempt_id)
    if facts.amount_fen != refund.amount_fen or facts.out_trade_no != attempt.out_trade_no:
        raise RefundMismatch(refund.out_refund_no)
    if facts.state is ChannelRefundState.SUCCESS and refund.state is not RefundState.SUCCESS:
        await _confirm(order, refund, attempt, facts.refund_id, actor, now)
    elif facts.state is ChannelRefundState.ABNORMAL and refund.state is RefundState.PROCESSING:
        await advance_refund(
            order, refund, RefundTrigger.FIND_ABNORMAL, actor=actor, now=now, channel_refund_id=facts.refund_id
        )
        await note_order_error(
            order,
            ErrorKind.REFUND_ABNORMAL,
            subject=refund.out_refund_no,
            amount_fen=refund.amount_fen,
            detail="the channel could not give the money back",
            now=now,
        )


@transactional
async def _refund_to_wallet(refund: Refund, attempt: PaymentAttempt, actor: str, now: datetime) -> None:
    """Put the money back into the wallet that it came from; nobody else has to be asked."""
    order = await lock(refund.order_id)
    await refund.refresh_from_db()
    if refund.state is RefundState.PROCESSING:
        await _confirm(order, refund, attempt, None, actor, now)


async def _confirm(
    order: RechargeOrder,
    refund: Refund,
    attempt: PaymentAttempt,
    channel_refund_id: str | None,
    actor: str,
    now: datetime,
) -> None:
    await advance_refund(
        order,
        refund,
        RefundTrigger.CONFIRM,
        actor=actor,
        now=now,
        channel_refund_id=channel_refund_id,
        settled_at=now,
    )
    await post(
        postings.refunded(
            whose(order), attempt=attempt.number, source=refunded_to(attempt), amount_fen=refund.amount_fen
        ),
        now=now,
    )
