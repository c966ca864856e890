"""Reading payment attempts and refunds, for the rooms that have locked or authorised their order."""

from __future__ import annotations

from uuid import UUID

from kernel.states import PaymentState
from models.payments import PaymentAttempt, Refund


async def by_out_trade_no(out_trade_no: str) -> PaymentAttempt | None:
    return await PaymentAttempt.get_or_none(out_trade_no=out_trade_no)


async def open_attempt_of(order_id: UUID) -> PaymentAttempt | None:
    return await PaymentAttempt.get_or_none(order_id=order_id, state=PaymentState.OPEN)


async def refund_by_number(out_refund_no: str) -> Refund | None:
    return await Refund.get_or_none(out_refund_no=out_refund_no)


async def taken_attempt_of(order_id: UUID) -> PaymentAttempt | None:
    """Return the payment that pays for the order: the one that is paid and not owed back."""
    owed_back = await Refund.filter(order_id=order_id).values_list("attempt_id", flat=True)
    return await PaymentAttempt.filter(order_id=order_id, state=PaymentState.PAID, id__not_in=list(owed_back)).first()


async def refund_by_id(refund_id: UUID) -> Refund:
    return await Refund.get(id=refund_id)
