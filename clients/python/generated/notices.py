"""The query `Notices`.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from ..wire import Operation, enum_of
from .enums import GapReason


@dataclass(frozen=True, slots=True)
class NoticesEdgesNodeOrder:
    id: str
    """Opaque and stable; give it to `node(id)`."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
        )


@dataclass(frozen=True, slots=True)
class NoticesEdgesNodeAmount:
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
class NoticesEdgesNode:
    order: NoticesEdgesNodeOrder
    """The order that is fulfilled."""
    amount: NoticesEdgesNodeAmount
    """How much has arrived."""
    arrived_at: datetime
    """When the card issuer confirmed it."""
    text: str
    """For people, in the language of the connection."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            order=NoticesEdgesNodeOrder.of(data["order"]),
            amount=NoticesEdgesNodeAmount.of(data["amount"]),
            arrived_at=datetime.fromisoformat(data["arrivedAt"]),
            text=data["text"],
        )


@dataclass(frozen=True, slots=True)
class NoticesEdges:
    cursor: str
    """Give this as `after` when you subscribe again, and nothing is missed or repeated."""
    node: NoticesEdgesNode
    """What has arrived."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            cursor=data["cursor"],
            node=NoticesEdgesNode.of(data["node"]),
        )


@dataclass(frozen=True, slots=True)
class NoticesGap:
    cursor: str
    """Give this as `after` when you subscribe again, and nothing is missed or repeated."""
    reason: GapReason | str
    """Why."""
    complete: bool
    """Whether this is all; false where there was more than a snapshot holds."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            cursor=data["cursor"],
            reason=enum_of(GapReason, data["reason"]),
            complete=data["complete"],
        )


@dataclass(frozen=True, slots=True)
class NoticesPageInfo:
    has_next_page: bool
    """Whether there is more behind this page."""
    end_cursor: str | None
    """Give this as `after` to get the next page."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            has_next_page=data["hasNextPage"],
            end_cursor=data["endCursor"],
        )


@dataclass(frozen=True, slots=True)
class Notices:
    edges: list[NoticesEdges]
    """The arrivals of this page."""
    gap: NoticesGap | None
    """Tells that arrivals behind `after` are missing; then there are no edges."""
    page_info: NoticesPageInfo
    """Where this page ends; `endCursor` is there for an empty page, too, so that you can go on from it."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            edges=[NoticesEdges.of(each) for each in data["edges"]],
            gap=None if data["gap"] is None else NoticesGap.of(data["gap"]),
            page_info=NoticesPageInfo.of(data["pageInfo"]),
        )


TEXT = """\
query Notices($first: Int! = 20, $after: String) {
  notices(first: $first, after: $after) {
    edges { cursor node { order { id } amount { fen text } arrivedAt text } }
    gap { cursor reason complete }
    pageInfo { hasNextPage endCursor }
  }
}
"""
NOTICES: Operation[Notices] = Operation(
    name="Notices",
    kind="query",
    field="notices",
    sha256="9af1fb2865586b239fda4b85d1b14c414471766cd268c06bb1adf0d5f5fbce16",
    text=TEXT,
    idempotent=True,
    read=Notices.of,
)
