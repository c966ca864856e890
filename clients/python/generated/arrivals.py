"""The subscription `Arrivals`.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self, TypeAlias

from ..errors import Unknown
from ..wire import Operation, enum_of
from .enums import GapReason, OrderState


@dataclass(frozen=True, slots=True)
class ArrivalsArrivalEventNoticeOrder:
    id: str
    """Opaque and stable; give it to `node(id)`."""
    state: OrderState | str
    """Where the order stands."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
            state=enum_of(OrderState, data["state"]),
        )


@dataclass(frozen=True, slots=True)
class ArrivalsArrivalEventNoticeAmount:
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
class ArrivalsArrivalEventNotice:
    order: ArrivalsArrivalEventNoticeOrder
    """The order that is fulfilled."""
    amount: ArrivalsArrivalEventNoticeAmount
    """How much has arrived."""
    arrived_at: datetime
    """When the card issuer confirmed it."""
    text: str
    """For people, in the language of the connection."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            order=ArrivalsArrivalEventNoticeOrder.of(data["order"]),
            amount=ArrivalsArrivalEventNoticeAmount.of(data["amount"]),
            arrived_at=datetime.fromisoformat(data["arrivedAt"]),
            text=data["text"],
        )


@dataclass(frozen=True, slots=True)
class ArrivalsArrivalEvent:
    cursor: str
    """Give this as `after` when you subscribe again, and nothing is missed or repeated."""
    notice: ArrivalsArrivalEventNotice
    """What has arrived."""
    typename: Literal["ArrivalEvent"] = "ArrivalEvent"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            cursor=data["cursor"],
            notice=ArrivalsArrivalEventNotice.of(data["notice"]),
        )


@dataclass(frozen=True, slots=True)
class ArrivalsArrivalGapArrivalsOrder:
    id: str
    """Opaque and stable; give it to `node(id)`."""
    state: OrderState | str
    """Where the order stands."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
            state=enum_of(OrderState, data["state"]),
        )


@dataclass(frozen=True, slots=True)
class ArrivalsArrivalGapArrivalsAmount:
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
class ArrivalsArrivalGapArrivals:
    order: ArrivalsArrivalGapArrivalsOrder
    """The order that is fulfilled."""
    amount: ArrivalsArrivalGapArrivalsAmount
    """How much has arrived."""
    arrived_at: datetime
    """When the card issuer confirmed it."""
    text: str
    """For people, in the language of the connection."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            order=ArrivalsArrivalGapArrivalsOrder.of(data["order"]),
            amount=ArrivalsArrivalGapArrivalsAmount.of(data["amount"]),
            arrived_at=datetime.fromisoformat(data["arrivedAt"]),
            text=data["text"],
        )


@dataclass(frozen=True, slots=True)
class ArrivalsArrivalGap:
    cursor: str
    """Give this as `after` when you subscribe again, and nothing is missed or repeated."""
    reason: GapReason | str
    """Why."""
    complete: bool
    """Whether this is all; false where there was more than a snapshot holds."""
    arrivals: list[ArrivalsArrivalGapArrivals]
    """The viewer's latest arrivals, newest first."""
    typename: Literal["ArrivalGap"] = "ArrivalGap"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            cursor=data["cursor"],
            reason=enum_of(GapReason, data["reason"]),
            complete=data["complete"],
            arrivals=[ArrivalsArrivalGapArrivals.of(each) for each in data["arrivals"]],
        )


ArrivalsResult: TypeAlias = ArrivalsArrivalEvent | ArrivalsArrivalGap | Unknown


def _read_arrivals_result(data: dict[str, Any]) -> ArrivalsResult:
    match data["__typename"]:
        case "ArrivalEvent":
            return ArrivalsArrivalEvent.of(data)
        case "ArrivalGap":
            return ArrivalsArrivalGap.of(data)
        case _:
            return Unknown.of(data)


TEXT = """\
subscription Arrivals($after: String) {
  arrivals(after: $after) {
    __typename
    ... on StreamEvent { cursor }
    ... on ArrivalEvent { notice { order { id state } amount { fen text } arrivedAt text } }
    ... on ArrivalGap { reason complete arrivals { order { id state } amount { fen text } arrivedAt text } }
  }
}
"""
ARRIVALS: Operation[ArrivalsResult] = Operation(
    name="Arrivals",
    kind="subscription",
    field="arrivals",
    sha256="297335fa365d6bc2b7c6a54ae344bfe90c9990d06b782e67ec87fb678d3f2e72",
    text=TEXT,
    idempotent=False,
    read=_read_arrivals_result,
)
