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
