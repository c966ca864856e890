"""The query `Webhooks`.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from ..wire import Operation, enum_of
from .enums import SuspensionReason, WebhookDeliveryError, WebhookState


@dataclass(frozen=True, slots=True)
class WebhooksEdgesNodeDeliveriesEdgesNode:
    id: str
    """Opaque and stable; give it to `node(id)`."""
    attempt: int
    """The how-manieth attempt of this event it was."""
    succeeded: bool
    """Whether the receiver has taken it."""
    status: int | None
    """The HTTP status of the answer; null where there was none."""
    error: WebhookDeliveryError | str | None
    """Why it was no success."""
    occurred_at: datetime
    """When it ended."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
            attempt=data["attempt"],
            succeeded=data["succeeded"],
            status=data["status"],
            error=None if data["error"] is None else enum_of(WebhookDeliveryError, data["error"]),
            occurred_at=datetime.fromisoformat(data["occurredAt"]),
        )


@dataclass(frozen=True, slots=True)
class WebhooksEdgesNodeDeliveriesEdges:
    node: WebhooksEdgesNodeDeliveriesEdgesNode
    """The row itself."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            node=WebhooksEdgesNodeDeliveriesEdgesNode.of(data["node"]),
        )


@dataclass(frozen=True, slots=True)
class WebhooksEdgesNodeDeliveries:
    edges: list[WebhooksEdgesNodeDeliveriesEdges]
    """The rows of this page."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            edges=[WebhooksEdgesNodeDeliveriesEdges.of(each) for each in data["edges"]],
        )


@dataclass(frozen=True, slots=True)
class WebhooksEdgesNode:
    id: str
    """Opaque and stable; give it to `node(id)`."""
    url: str
    """Where the events are sent."""
    state: WebhookState | str
    """Whether events are delivered."""
    suspension_reason: SuspensionReason | str | None
    """Why deliveries have stopped, if so."""
    cursor: str | None
    """That of the last event that the receiver has taken."""
    deliveries: WebhooksEdgesNodeDeliveries
    """The log of its deliveries, newest first. Old rows are deleted."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
            url=data["url"],
            state=enum_of(WebhookState, data["state"]),
            suspension_reason=None
            if data["suspensionReason"] is None
            else enum_of(SuspensionReason, data["suspensionReason"]),
            cursor=data["cursor"],
            deliveries=WebhooksEdgesNodeDeliveries.of(data["deliveries"]),
        )


@dataclass(frozen=True, slots=True)
class WebhooksEdges:
    node: WebhooksEdgesNode
    """The row itself."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            node=WebhooksEdgesNode.of(data["node"]),
        )


@dataclass(frozen=True, slots=True)
class WebhooksPageInfo:
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
class Webhooks:
    edges: list[WebhooksEdges]
    """The rows of this page."""
    page_info: WebhooksPageInfo
    """Where this page ends."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            edges=[WebhooksEdges.of(each) for each in data["edges"]],
            page_info=WebhooksPageInfo.of(data["pageInfo"]),
        )


TEXT = """\
query Webhooks($first: Int! = 20, $after: String, $deliveries: Int! = 5) {
  webhooks(first: $first, after: $after) {
    edges {
      node {
        id
        url
        state
        suspensionReason
        cursor
        deliveries(first: $deliveries) { edges { node { id attempt succeeded status error occurredAt } } }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""
WEBHOOKS: Operation[Webhooks] = Operation(
    name="Webhooks",
    kind="query",
    field="webhooks",
    sha256="a9c43bee536c5e0d0e06ced887b18c01359ba3c1a8f67c62a619c5f1ff26ced6",
    text=TEXT,
    idempotent=True,
    read=Webhooks.of,
)
