"""Arrival notices: as events of a subscription, as a connection, and the position that is kept for a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

import strawberry

from domain.events.cursors import GapReason, Standing
from domain.orders.arrivals import Arrival, ArrivalsPage
from kernel.errors import Locale
from kernel.money import Money as Amount
from schema.types import costs
from schema.types.money import Money
from schema.types.orders import Order
from schema.types.relay import PageInfo
from schema.types.scalars import DateTime
from schema.types.streams import COMPLETE, CURSOR, StreamEvent, StreamGap

ARRIVED: dict[Locale, str] = {
    "zh-CN": "{amount} 已充值到您的油卡",
    "en": "{amount} has arrived on your fuel card",
}
DEVICE = "Your own name for the device: 1 to 64 visible ASCII characters, the same each time."


@strawberry.type(description="The money has arrived on the card.")
class ArrivalNotice:
    order: Order = strawberry.field(description="The order that is fulfilled.")
    amount: Money = strawberry.field(description="How much has arrived.")
    arrived_at: DateTime = strawberry.field(description="When the card issuer confirmed it.")
    text: str = strawberry.field(description="For people, in the language of the connection.")

    @classmethod
    def of(cls, arrival: Arrival, *, locale: Locale) -> Self:
        amount = Amount(arrival.amount_fen)
        return cls(
            order=Order.of(arrival.order),
            amount=Money.showing(amount),
            arrived_at=DateTime(arrival.arrived_at),
            text=ARRIVED[locale].format(amount=amount.text),
        )


@strawberry.type(description="One arrival, at its place in the viewer's stream of arrivals.")
class ArrivalEvent(StreamEvent):
    notice: ArrivalNotice = strawberry.field(description="What has arrived.")
    conflation_key: strawberry.Private[str | None] = None

    @classmethod
    def of(cls, cursor: str, arrival: Arrival, *, locale: Locale) -> Self:
        return cls(cursor=cursor, notice=ArrivalNotice.of(arrival, locale=locale))


@strawberry.type(description="Arrivals are missing here; these are the latest.")
class ArrivalGap(StreamGap):
    arrivals: list[ArrivalNotice] = strawberry.field(
        directives=[costs.at_most(50)], description="The viewer's latest arrivals, newest first."
    )
    complete: bool = strawberry.field(description=COMPLETE)
    conflation_key: strawberry.Private[str | None] = None

    @classmethod
    def of(
        cls, standing: Standing, reason: GapReason, arrivals: Sequence[Arrival], *, maximum: int, locale: Locale
    ) -> Self:
        """One arrival more than the maximum tells that the snapshot is not complete."""
        return cls(
            cursor=standing.cursor(),
            reason=reason,
            arrivals=[ArrivalNotice.of(arrival, locale=locale) for arrival in arrivals[:maximum]],
            complete=len(arrivals) <= maximum,
        )


ArrivalStreamEvent = Annotated[
    ArrivalEvent | ArrivalGap,
    strawberry.union("ArrivalStreamEvent", description="What `arrivals` delivers."),
]


@strawberry.type(description="One arrival of a page.")
class NoticeEdge:
    cursor: str = strawberry.field(description=CURSOR)
    node: ArrivalNotice = strawberry.field(description="What has arrived.")


@strawberry.type(description="A page of arrivals, oldest first, with the cursors of the subscription.")
class NoticeConnection:
    edges: list[NoticeEdge] = strawberry.field(description="The arrivals of this page.")
    gap: ArrivalGap | None = strawberry.field(
        description="Tells that arrivals behind `after` are missing; then there are no edges."
    )
    page_info: PageInfo = strawberry.field(
        description="Where this page ends; `endCursor` is there for an empty page, too, so that you can go on from it."
    )

    @classmethod
    def of(cls, page: ArrivalsPage, gap: ArrivalGap | None, *, after: str | None, locale: Locale) -> Self:
        edges = [
            NoticeEdge(cursor=cursor, node=ArrivalNotice.of(arrival, locale=locale))
            for cursor, arrival in page.arrivals
        ]
        info = PageInfo(
            has_next_page=page.has_next,
            has_previous_page=after is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=page.end_cursor,
        )
        return cls(edges=edges, gap=gap, page_info=info)


@strawberry.input(description="How far a device has read the viewer's arrivals.")
class AckNoticeInput:
    device: str = strawberry.field(description=DEVICE)
    cursor: str = strawberry.field(description="The cursor of the last arrival that the device has shown.")


@strawberry.type(description="The position is kept for the device.")
class AckNoticeSuccess:
    cursor: str = strawberry.field(
        description="The farthest that the device has acknowledged; a position never goes back."
    )
