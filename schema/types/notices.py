"""What subscriptions deliver: each with the cursor from which to resume."""

from __future__ import annotations

from typing import Self

import strawberry

from domain.events.ports import StoredEvent
from domain.pricing.queries import ZonePrice
from kernel.errors import Locale
from kernel.money import Money as Amount
from models.orders import RechargeOrder
from schema.types.money import Money, UnitPrice
from schema.types.orders import Order
from schema.types.prices import Price
from schema.types.relay import encode_cursor
from schema.types.scalars import DateTime

CURSOR = "Give this as `after` when you subscribe again, and nothing is missed or repeated."
ARRIVED: dict[Locale, str] = {
    "zh-CN": "{amount} 已充值到您的油卡",
    "en": "{amount} has arrived on your fuel card",
}


def cursor_of(stream: str, position: int) -> str:
    return encode_cursor(stream, position)


@strawberry.type(description="The money has arrived on the card.")
class ArrivalNotice:
    order: Order = strawberry.field(description="The order that is fulfilled.")
    amount: Money = strawberry.field(description="How much has arrived.")
    arrived_at: DateTime = strawberry.field(description="When the card issuer confirmed it.")
    text: str = strawberry.field(description="For people, in the language of the connection.")

    @classmethod
    def of(cls, event: StoredEvent, *, order: RechargeOrder, locale: Locale) -> Self:
        amount = Amount(int(event.payload["amount_fen"]))
        return cls(
            order=Order.of(order),
            amount=Money.of(amount),
            arrived_at=DateTime(event.occurred_at),
            text=ARRIVED[locale].format(amount=amount.text),
        )


@strawberry.type(description="One arrival, at its place in the viewer's stream of arrivals.")
class ArrivalEvent:
    cursor: str = strawberry.field(description=CURSOR)
    notice: ArrivalNotice = strawberry.field(description="What has arrived.")

    @classmethod
    def of(cls, event: StoredEvent, *, order: RechargeOrder, locale: Locale) -> Self:
        return cls(
            cursor=cursor_of(event.stream, event.position),
            notice=ArrivalNotice.of(event, order=order, locale=locale),
        )


@strawberry.type(description="An order as it stands after a change.")
class OrderEvent:
    cursor: str = strawberry.field(description=CURSOR)
    order: Order = strawberry.field(description="The order now; changes that followed each other at once are joined.")

    @classmethod
    def of(cls, stream: str, *, order: RechargeOrder) -> Self:
        """Each step of an order writes one event, so its version is the position of the newest that is in it."""
        return cls(cursor=cursor_of(stream, order.version), order=Order.of(order))


@strawberry.type(description="An official price that is another from now on.")
class PriceChangeEvent:
    cursor: str = strawberry.field(description=CURSOR)
    price: Price = strawberry.field(description="The new price, in force from now on.")
    previous: UnitPrice | None = strawberry.field(description="The price before it; null for the first one of a zone.")

    @classmethod
    def of(cls, event: StoredEvent, *, price: ZonePrice) -> Self:
        previous = event.payload["previous_milliyuan"]
        return cls(
            cursor=cursor_of(event.stream, event.position),
            price=Price.of(price),
            previous=None if previous is None else UnitPrice.of(int(previous)),
        )
