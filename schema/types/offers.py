"""Offers as clients see them."""

from __future__ import annotations

from typing import Self

import strawberry

from kernel.money import Money as Amount
from models.offers import Offer as Row
from schema.types.enums import CardBrand
from schema.types.money import Money
from schema.types.relay import Connection, Node, global_id
from schema.types.scalars import DateTime


@strawberry.type(description="A recharge at a price of its own, of which there are only so many.")
class Offer(Node):
    title: str = strawberry.field(description="For people.")
    brand: CardBrand | None = strawberry.field(description="Only for cards of this brand; null for all.")
    amount: Money = strawberry.field(description="What arrives on the card.")
    price: Money = strawberry.field(description="What is paid for it.")
    stock_left: int = strawberry.field(description="How many are left.")
    per_user_max: int = strawberry.field(description="How many one user can take.")
    starts_at: DateTime = strawberry.field(description="From when it can be taken.")
    ends_at: DateTime = strawberry.field(description="Until when it can be taken.")

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=global_id("Offer", row.id),
            title=row.title,
            brand=row.brand,
            amount=Money.showing(Amount(row.amount_fen)),
            price=Money.showing(Amount(row.price_fen)),
            stock_left=row.stock_left,
            per_user_max=row.per_user_max,
            starts_at=DateTime(row.starts_at),
            ends_at=DateTime(row.ends_at),
        )


OfferConnection = Connection[Offer]
