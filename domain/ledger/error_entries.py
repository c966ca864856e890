"""The error ledger: what went wrong with somebody's money, written with the change that it tells of."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from kernel.ids import new_id
from kernel.states import ErrorKind
from models.reviews import ErrorEntry

DETAIL_LENGTH_MAX = 256


async def note_error(
    *,
    kind: ErrorKind,
    subject: str,
    user_id: UUID,
    order_id: UUID | None,
    amount_fen: int,
    detail: str,
    now: datetime,
) -> None:
    """Write one entry; `subject` is the payment, refund or recharge that it is about, and is noted once per kind."""
    await ErrorEntry.create(
        id=new_id(),
        key=f"{kind}:{subject}",
        kind=kind,
        order_id=order_id,
        user_id=user_id,
        amount_fen=amount_fen,
        detail=detail[:DETAIL_LENGTH_MAX],
        occurred_at=now,
    )


async def errors_of(order_id: UUID) -> list[ErrorEntry]:
    """Return an order's entries, oldest first."""
    return await ErrorEntry.filter(order_id=order_id).order_by("occurred_at", "id")
