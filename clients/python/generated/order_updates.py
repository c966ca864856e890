"""The subscription `OrderUpdates`.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

from ..errors import Unknown
from ..wire import Operation, enum_of
from .enums import FailureKind, GapReason, OrderState, RefundState


@dataclass(frozen=True, slots=True)
class OrderUpdatesOrderEventOrder:
    id: str
    """Opaque and stable; give it to `node(id)`."""
    state: OrderState | str
    """Where the order stands."""
    failure_kind: FailureKind | str | None
    """Why the order failed, where it did."""
    refund_state: RefundState | str
    """Where the money of a failed order is."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
            state=enum_of(OrderState, data["state"]),
            failure_kind=None if data["failureKind"] is None else enum_of(FailureKind, data["failureKind"]),
            refund_state=enum_of(RefundState, data["refundState"]),
        )


@dataclass(frozen=True, slots=True)
class OrderUpdatesOrderEvent:
    cursor: str
    """Give this as `after` when you subscribe again, and nothing is missed or repeated."""
    order: OrderUpdatesOrderEventOrder
    """The order now; changes that followed each other at once are joined."""
    typename: Literal["OrderEvent"] = "OrderEvent"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            cursor=data["cursor"],
            order=OrderUpdatesOrderEventOrder.of(data["order"]),
        )


@dataclass(frozen=True, slots=True)
class OrderUpdatesOrderGapOrder:
    id: str
    """Opaque and stable; give it to `node(id)`."""
    state: OrderState | str
    """Where the order stands."""
    failure_kind: FailureKind | str | None
    """Why the order failed, where it did."""
    refund_state: RefundState | str
    """Where the money of a failed order is."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
            state=enum_of(OrderState, data["state"]),
            failure_kind=None if data["failureKind"] is None else enum_of(FailureKind, data["failureKind"]),
            refund_state=enum_of(RefundState, data["refundState"]),
        )


@dataclass(frozen=True, slots=True)
class OrderUpdatesOrderGap:
    cursor: str
    """Give this as `after` when you subscribe again, and nothing is missed or repeated."""
    reason: GapReason | str
    """Why."""
    order: OrderUpdatesOrderGapOrder
    """The order now."""
    typename: Literal["OrderGap"] = "OrderGap"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            cursor=data["cursor"],
            reason=enum_of(GapReason, data["reason"]),
            order=OrderUpdatesOrderGapOrder.of(data["order"]),
        )


OrderUpdatesResult: TypeAlias = OrderUpdatesOrderEvent | OrderUpdatesOrderGap | Unknown


def _read_order_updates_result(data: dict[str, Any]) -> OrderUpdatesResult:
    match data["__typename"]:
        case "OrderEvent":
            return OrderUpdatesOrderEvent.of(data)
        case "OrderGap":
            return OrderUpdatesOrderGap.of(data)
        case _:
            return Unknown.of(data)


TEXT = """\
subscription OrderUpdates($order: ID!, $after: String) {
  orderUpdated(id: $order, after: $after) {
    __typename
    ... on StreamEvent { cursor }
    ... on OrderEvent { order { id state failureKind refundState } }
    ... on OrderGap { reason order { id state failureKind refundState } }
  }
}
"""
ORDER_UPDATES: Operation[OrderUpdatesResult] = Operation(
    name="OrderUpdates",
    kind="subscription",
    field="orderUpdated",
    sha256="1ef6f6c29a4d299d04e86660ec31a2852e07ac44ed8991bafd164cf03f6fb5d4",
    text=TEXT,
    idempotent=False,
    read=_read_order_updates_result,
)
