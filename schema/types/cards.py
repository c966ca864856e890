"""Fuel cards as clients see them."""

from __future__ import annotations

from typing import Self

import strawberry

from domain.cards.rules import masked
from models.cards import FuelCard
from schema.types.enums import CardBrand
from schema.types.relay import Connection, Node, global_id
from schema.types.scalars import DateTime


@strawberry.type(name="Card", description="A fuel card that the viewer has bound.")
class Card(Node):
    brand: CardBrand = strawberry.field(description="Who issued the card.")
    masked_number: str = strawberry.field(description="The last four digits behind a mask, such as `**** 1234`.")
    bound_at: DateTime = strawberry.field(description="When the viewer bound the card.")

    @classmethod
    def of(cls, row: FuelCard) -> Self:
        return cls(
            id=global_id("Card", row.id),
            brand=row.brand,
            masked_number=masked(row.number_tail),
            bound_at=DateTime(row.created_at),
        )


CardConnection = Connection[Card]


@strawberry.input(description="A card to bind.")
class BindCardInput:
    number: str = strawberry.field(
        description="Sinopec: 19 digits that begin with 100011. PetroChina: 16 digits that begin with 9. "
        "Spaces and hyphens are ignored."
    )
