"""The query `Order`.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from ..wire import Operation, enum_of
from .enums import FailureKind, OrderState, RefundState, ReviewState


@dataclass(frozen=True, slots=True)
class OrderAmount:
    fen: int
    """Integer fen; compute with this."""
    text: str
    """For people, such as `¥500.00`."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            fen=data["fen"],
            text=data["text"],
        )


@dataclass(frozen=True, slots=True)
class OrderCard:
    id: str
    """Opaque and stable; give it to `node(id)`."""
    masked_number: str
    """The last four digits behind a mask, such as `**** 1234`."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
            masked_number=data["maskedNumber"],
        )


@dataclass(frozen=True, slots=True)
class Order:
    id: str
    """Opaque and stable; give it to `node(id)`."""
    state: OrderState | str
    """Where the order stands."""
    amount: OrderAmount
    """What arrives on the card."""
    failure_kind: FailureKind | str | None
    """Why the order failed, where it did."""
    refund_state: RefundState | str
    """Where the money of a failed order is."""
    review_state: ReviewState | str
    """Whether a person must look at the order."""
    card: OrderCard
    """The card that is recharged."""
    created_at: datetime
    """When the order was created."""
    updated_at: datetime
    """When the order last changed."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
            state=enum_of(OrderState, data["state"]),
            amount=OrderAmount.of(data["amount"]),
            failure_kind=None if data["failureKind"] is None else enum_of(FailureKind, data["failureKind"]),
            refund_state=enum_of(RefundState, data["refundState"]),
            review_state=enum_of(ReviewState, data["reviewState"]),
            card=OrderCard.of(data["card"]),
            created_at=datetime.fromisoformat(data["createdAt"]),
            updated_at=datetime.fromisoformat(data["updatedAt"]),
        )


TEXT = """\
query Order($order: ID!) {
  order(id: $order) {
    id
    state
    amount { fen text }
    failureKind
    refundState
    reviewState
    card { id maskedNumber }
    createdAt
    updatedAt
  }
}
"""
ORDER: Operation[Order | None] = Operation(
    name="Order",
    kind="query",
    field="order",
    sha256="21cdb219bba5bbb10ffba961b9bde56c47bba89eda665b658eda0bfbfe3b1c1f",
    text=TEXT,
    idempotent=True,
    read=lambda data: None if data is None else Order.of(data),
)
