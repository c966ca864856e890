"""What `orderUpdated` delivers."""

from __future__ import annotations

from typing import Annotated, Self

import strawberry

from domain.events.cursors import GapReason, Standing
from models.orders import RechargeOrder
from schema.types.orders import Order
from schema.types.streams import StreamEvent, StreamGap


@strawberry.type(description="An order as it stands after a change.")
class OrderEvent(StreamEvent):
    order: Order = strawberry.field(description="The order now; changes that followed each other at once are joined.")
    conflation_key: strawberry.Private[str | None] = None

    @classmethod
    def of(cls, standing: Standing, *, order: RechargeOrder) -> Self:
        """Each step of an order writes one event, so its version is the position of the newest that is in it."""
        return cls(cursor=standing.cursor(order.version), order=Order.of(order))


@strawberry.type(description="Changes of the order are missing here; this is the order as it is.")
class OrderGap(StreamGap):
    order: Order = strawberry.field(description="The order now.")
    conflation_key: strawberry.Private[str | None] = None

    @classmethod
    def of(cls, standing: Standing, reason: GapReason, *, order: RechargeOrder) -> Self:
        return cls(cursor=standing.cursor(order.version), reason=reason, order=Order.of(order))


OrderStreamEvent = Annotated[
    OrderEvent | OrderGap,
    strawberry.union("OrderStreamEvent", description="What `orderUpdated` delivers."),
]
