"""The signed-in user."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

import strawberry

from models.identity import User
from schema.types.cards import Card, CardConnection
from schema.types.context import Info
from schema.types.enums import OrderState
from schema.types.messages import BoundPhone, MessageConsent
from schema.types.money import Money
from schema.types.orders import Order, OrderConnection
from schema.types.relay import Node, Page, global_id
from schema.types.scalars import DateTime
from schema.types.wallet import TopUp, TopUpConnection

First = Annotated[int, strawberry.argument(description="How many rows, from 1 to 100.")]
After = Annotated[str | None, strawberry.argument(description="The `endCursor` of the page before.")]


@strawberry.type(description="Who the viewer is.")
class Profile(Node):
    display_name: str = strawberry.field(description="How the viewer is addressed.")
    registered_at: DateTime = strawberry.field(description="When the viewer first signed in.")

    @classmethod
    def of(cls, row: User) -> Self:
        return cls(
            id=global_id("Profile", row.id), display_name=row.display_name, registered_at=DateTime(row.created_at)
        )


@strawberry.type(description="Money that the service holds for the viewer.")
class Wallet:
    balance: Money = strawberry.field(description="What can be spent.")
    held: Money = strawberry.field(description="What is set aside for orders that are being paid.")

    @strawberry.field(description="What was paid into the wallet, newest first.")
    async def top_ups(self, info: Info, first: First = 20, after: After = None) -> TopUpConnection:
        page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
        rows = await info.context.loaders.top_ups_of_viewer.load((info.context.signed_in, page))
        return page.connection(rows, TopUp.of)


@strawberry.type(description="The signed-in user and what belongs to them.")
class Viewer:
    profile: Profile = strawberry.field(description="Who the viewer is.")
    user_id: strawberry.Private[UUID]

    @strawberry.field(description="Money that the service holds for the viewer.")
    async def wallet(self, info: Info) -> Wallet:
        balance, held = await info.context.loaders.wallets.load(self.user_id)
        return Wallet(balance=Money.of(balance), held=Money.of(held))

    @strawberry.field(description="The viewer's cards, newest first.")
    async def cards(self, info: Info, first: First = 20, after: After = None) -> CardConnection:
        page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
        rows = await info.context.loaders.cards_of_viewer.load((info.context.signed_in, page))
        return page.connection(rows, Card.of)

    @strawberry.field(description="The viewer's orders, newest first.")
    async def orders(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        state: Annotated[OrderState | None, strawberry.argument(description="Only orders in this state.")] = None,
    ) -> OrderConnection:
        page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
        rows = await info.context.loaders.orders_of_viewer.load((info.context.signed_in, page, state))
        return page.connection(rows, Order.of)

    @strawberry.field(description="The viewer's phone number; null where none is bound.")
    async def phone(self, info: Info) -> BoundPhone | None:
        row = await info.context.loaders.phones.load(self.user_id)
        return BoundPhone.of(row) if row else None

    @strawberry.field(description="The templates of messages, and how many of each the viewer still accepts.")
    async def message_consents(self, info: Info) -> list[MessageConsent]:
        sender = info.context.services.third_parties.platforms.messages
        standings = await info.context.loaders.message_standings.load(self.user_id)
        return MessageConsent.listed(standings, sender.templates) if sender else []

    @classmethod
    def of(cls, row: User) -> Self:
        return cls(profile=Profile.of(row), user_id=row.id)
