"""Mandates to pay without a password, as clients see them."""

from __future__ import annotations

from typing import Self
from uuid import UUID

import strawberry

from domain.mandates.operations import Begun, Revoked
from domain.payments.contracts import SigningParameters
from kernel.money import Money as Amount
from models.mandates import Mandate as Row
from schema.types import costs
from schema.types.cards import Card
from schema.types.context import Info
from schema.types.mandate_enums import MandateState
from schema.types.money import Money
from schema.types.orders import IDEMPOTENCY_KEY, Order
from schema.types.relay import Connection, Node, global_id
from schema.types.scalars import DateTime, Yuan
from schema.types.step_up import grant_field


@strawberry.type(description="免密支付授权: what the viewer allows the service to deduct without a password.")
class Mandate(Node):
    state: MandateState = strawberry.field(description="Whether it is in force.")
    transaction_max: Money = strawberry.field(description="The most that one order may cost.")
    daily_max: Money = strawberry.field(description="The most that the orders of one day, in China, may cost together.")
    expires_at: DateTime = strawberry.field(description="When it ends by itself.")
    created_at: DateTime = strawberry.field(description="When it was begun.")
    signed_at: DateTime | None = strawberry.field(description="When it came into force; null where it never did.")
    ended_at: DateTime | None = strawberry.field(description="When it was over; null where it is not.")
    key: strawberry.Private[UUID]

    @strawberry.field(directives=[costs.READ, costs.at_most(20)], description="The cards that it pays for.")
    async def cards(self, info: Info) -> list[Card]:
        return [Card.of(row) for row in await info.context.loaders.cards_of_mandates.load(self.key)]

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(
            id=global_id("Mandate", row.id),
            state=row.state,
            transaction_max=Money.showing(Amount(row.transaction_max_fen)),
            daily_max=Money.showing(Amount(row.daily_max_fen)),
            expires_at=DateTime(row.expires_at),
            created_at=DateTime(row.created_at),
            signed_at=DateTime(row.signed_at) if row.signed_at else None,
            ended_at=DateTime(row.ended_at) if row.ended_at else None,
            key=row.id,
        )


MandateConnection = Connection[Mandate]


@strawberry.input(description="What the viewer wants to allow.")
class CreateMandateInput:
    transaction_max: Yuan = strawberry.field(description="The most that one order may cost.")
    daily_max: Yuan = strawberry.field(description="The most that the orders of one day may cost together.")
    card_ids: list[strawberry.ID] = strawberry.field(description="The cards that it pays for, at least one.")
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    expires_at: DateTime | None = strawberry.field(
        description="When it ends by itself; after a year, where it is left out.", default=None
    )
    step_up_grant: str | None = grant_field()


@strawberry.input(description="Lower caps for a mandate.")
class LowerMandateCapsInput:
    mandate_id: strawberry.ID = strawberry.field(description="The mandate.")
    transaction_max: Yuan = strawberry.field(description="The most that one order may cost from now on.")
    daily_max: Yuan = strawberry.field(description="The most that the orders of one day may cost from now on.")


@strawberry.input(description="A mandate to revoke.")
class RevokeMandateInput:
    mandate_id: strawberry.ID = strawberry.field(description="The mandate.")


@strawberry.type(description="One entry of the data that goes along to another mini-program.")
class SigningEntry:
    name: str = strawberry.field(description="Its name.")
    value: str = strawberry.field(description="Its value.")


@strawberry.type(description="The arguments of `wx.navigateToMiniProgram`, where the user signs. Good for ten minutes.")
class MandateSigning:
    app_id: str = strawberry.field(description="`appId`")
    path: str = strawberry.field(description="`path`")
    extra_data: list[SigningEntry] = strawberry.field(directives=[costs.at_most(20)], description="`extraData`")

    @classmethod
    def of(cls, parameters: SigningParameters) -> Self:
        entries = [SigningEntry(name=name, value=value) for name, value in parameters.extra_data.items()]
        return cls(app_id=parameters.app_id, path=parameters.path, extra_data=entries)


@strawberry.type(description="The mandate was begun, or was begun before by the same key.")
class CreateMandateSuccess:
    mandate: Mandate = strawberry.field(description="The mandate; in force once it is signed.")
    signing: MandateSigning | None = strawberry.field(
        description="What the client hands to WeChat; null where there is nothing to sign any more."
    )

    @classmethod
    def of(cls, begun: Begun) -> Self:
        signing = MandateSigning.of(begun.signing) if begun.signing else None
        return cls(mandate=Mandate.of(begun.mandate), signing=signing)


@strawberry.type(description="The caps are lower, from the next deduction on.")
class LowerMandateCapsSuccess:
    mandate: Mandate = strawberry.field(description="The mandate.")

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(mandate=Mandate.of(row))


@strawberry.type(description="The mandate is revoked, or was over before. Nothing more is deducted under it.")
class RevokeMandateSuccess:
    mandate: Mandate = strawberry.field(description="The mandate.")
    under_way: list[Order] = strawberry.field(
        directives=[costs.at_most(50)],
        description="Orders whose deduction the channel had been asked for before, and which may still be paid.",
    )

    @classmethod
    def of(cls, revoked: Revoked) -> Self:
        return cls(mandate=Mandate.of(revoked.mandate), under_way=[Order.of(row) for row in revoked.under_way])
