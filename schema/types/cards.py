"""Fuel cards as clients see them."""

from __future__ import annotations

from typing import Self

import strawberry

from domain.cards.checking import CheckedCard
from domain.cards.facts import CardFacts
from domain.cards.rules import masked
from models.cards import FuelCard
from models.organisations import Organisation as OrganisationRow
from schema.types import caching, columns, costs
from schema.types.enums import CardBrand, CardCondition
from schema.types.organisation_names import OrganisationName
from schema.types.relations import by_viewer, relation
from schema.types.relay import Connection, Node, global_id
from schema.types.rows import OfRow
from schema.types.scalars import DateTime


@strawberry.type(
    name="Card",
    directives=[caching.AS_ITS_PARENT],
    description="A fuel card: the viewer's own, or one of an organisation.",
)
class Card(OfRow[FuelCard | CardFacts], Node):
    brand: CardBrand = strawberry.field(description="Who issued the card.")
    masked_number: str = strawberry.field(description="The last four digits behind a mask, such as `**** 1234`.")
    bound_at: DateTime = strawberry.field(description="When it was bound.")
    checked_at: DateTime | None = strawberry.field(
        directives=[caching.NEVER],
        description="When an issuer was last asked about the card, by `checkCard`; null where it never was.",
    )
    unbound_at: DateTime | None = strawberry.field(
        directives=[caching.NEVER], description="When the viewer unbound it; null where it is bound."
    )

    readers = {
        "id": lambda row: global_id("Card", row.id),
        "masked_number": lambda row: masked(row.number_tail),
        "bound_at": lambda row: row.created_at,
    }
    columns = {
        **columns.global_id("Card"),
        **columns.member("brand", CardBrand),
        **columns.moment("bound_at", "created_at"),
        **columns.moment("checked_at", "checked_at", nullable=True),
        **columns.moment("unbound_at", "unbound_at", nullable=True),
        "masked_number": columns.Column("'**** ' || {0}.number_tail", quoted=True),
    }

    @relation(
        lambda loaders: loaders.organisations.names,
        by=by_viewer("organisation_id"),
        directives=[costs.READ],
        description="The organisation whose card it is; null for the viewer's own.",
    )
    @staticmethod
    def organisation(row: OrganisationRow | None) -> OrganisationName | None:
        return OrganisationName.of(row) if row else None


CardConnection = Connection[Card]


@strawberry.input(description="A card to bind.")
class BindCardInput:
    number: str = strawberry.field(
        description="Sinopec: 19 digits that begin with 100011. PetroChina: 16 digits that begin with 9. "
        "Spaces and hyphens are ignored."
    )


@strawberry.input(description="A card to ask its issuer about.")
class CheckCardInput:
    card_id: strawberry.ID = strawberry.field(description="A card of the viewer.")


@strawberry.type(description="What an issuer says of the card just now.")
class CheckCardSuccess:
    card: Card = strawberry.field(description="The card.")
    condition: CardCondition = strawberry.field(description="Whether it can be recharged.")
    owner_hint: str | None = strawberry.field(
        description="The last character of the owner's name behind a mask, to recognise a mistyped number; null where "
        "the issuer does not say."
    )

    @classmethod
    def of(cls, checked: CheckedCard) -> Self:
        return cls(card=Card.of(checked.card), condition=checked.condition, owner_hint=checked.owner_hint or None)
