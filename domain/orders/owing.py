"""What is owed to a customer, and where the money of a payment came from and goes back to."""

from __future__ import annotations

from datetime import datetime

from domain.ledger import postings
from domain.ledger.error_entries import note_error
from domain.ledger.operations import post
from domain.ledger.postings import Whose
from domain.orders.lifecycle import RefundTrigger
from domain.orders.transitions import advance_refund
from domain.payments import operations as payments
from domain.payments.wallet import is_wallet
from kernel.states import ErrorKind
from models.orders import RechargeOrder
from models.payments import PaymentAttempt


def whose(order: RechargeOrder) -> Whose:
    return Whose(order.id, order.user_id)


def paid_from(attempt: PaymentAttempt) -> str:
    """Return the account that a payment comes out of: the channel's clearing, or what the wallet holds for it."""
    if is_wallet(attempt):
        return postings.customer_held(attempt.user_id)
    return postings.channel_clearing(attempt.channel, attempt.sub_mchid)


def refunded_to(attempt: PaymentAttempt) -> str:
    """Return the account that a refund goes to: the route by which the payment came."""
    return postings.customer_prepaid(attempt.user_id) if is_wallet(attempt) else paid_from(attempt)


async def book_payment(order: RechargeOrder, attempt: PaymentAttempt, *, now: datetime) -> None:
    """Book that an attempt of a locked order is paid (L1)."""
    await post(
        postings.paid(whose(order), attempt=attempt.number, source=paid_from(attempt), amount_fen=attempt.amount_fen),
        now=now,
    )


async def owe_back(order: RechargeOrder, attempt: PaymentAttempt, *, actor: str, now: datetime) -> None:
    """Book that a paid attempt of a locked order is owed back (L3), and start its refund (row 16)."""
    await post(postings.failed(whose(order), attempt=attempt.number, amount_fen=attempt.amount_fen), now=now)
    refund = await payments.owe_refund(order=order, attempt=attempt, now=now)
    await advance_refund(order, refund, RefundTrigger.START, actor=actor, now=now)


async def note_order_error(
    order: RechargeOrder, kind: ErrorKind, *, subject: str, amount_fen: int, detail: str, now: datetime
) -> None:
    """Write a row of the error ledger about a locked order."""
    await note_error(
        kind=kind,
        subject=subject,
        user_id=order.user_id,
        order_id=order.id,
        amount_fen=amount_fen,
        detail=detail,
        now=now,
    )
