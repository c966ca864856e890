"""What `priceChanges` delivers. Everybody gets the same, so nothing here may ask who the viewer is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

import strawberry

from domain.events.cursors import GapReason, Standing
from domain.events.ports import StoredEvent
from domain.pricing.queries import ZonePrice
from schema.types import costs
from schema.types.money import UnitPrice
from schema.types.prices import Price
from schema.types.streams import COMPLETE, StreamEvent, StreamGap


@strawberry.type(description="An official price that is another from now on.")
class PriceChangeEvent(StreamEvent):
    price: Price = strawberry.field(description="The new price, in force from now on.")
    previous: UnitPrice | None = strawberry.field(description="The price before it; null for the first one of a zone.")
    conflation_key: strawberry.Private[str | None] = None

    @classmethod
    def of(cls, cursor: str, event: StoredEvent, *, price: ZonePrice) -> Self:
        previous = event.payload["previous_milliyuan"]
        return cls(
            cursor=cursor,
            price=Price.of(price),
            previous=None if previous is None else UnitPrice.of(int(previous)),
            conflation_key=f"{price.zone_id}:{price.product.value}",
        )


@strawberry.type(description="Changes are missing here; these are the prices in force.")
class PriceGap(StreamGap):
    prices: list[Price] = strawberry.field(
        directives=[costs.at_most(500)], description="The current prices of what you follow."
    )
    complete: bool = strawberry.field(description=COMPLETE)
    conflation_key: strawberry.Private[str | None] = None

    @classmethod
    def of(cls, standing: Standing, reason: GapReason, prices: Sequence[ZonePrice], *, maximum: int) -> Self:
        """One price more than the maximum tells that the snapshot is not complete."""
        return cls(
            cursor=standing.cursor(),
            reason=reason,
            prices=[Price.of(price) for price in prices[:maximum]],
            complete=len(prices) <= maximum,
        )


PriceStreamEvent = Annotated[
    PriceChangeEvent | PriceGap,
    strawberry.union("PriceStreamEvent", description="What `priceChanges` delivers."),
]
