"""The signed-in user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self
from uuid import UUID

import strawberry

from domain.account.rules import OwnLimits
from domain.identity.queries import UserFacts
from domain.identity.viewer import Viewer as User
from domain.orders.facts import OrderFacts
from kernel.money import Money as Amount
from models.cards import FuelCard
from models.messages import UserPhone
from schema.types import caching, costs
from schema.types.access import Session, SessionConnection
from schema.types.account import SpendingLimits
from schema.types.cards import Card, CardConnection
from schema.types.context import Context, Info
from schema.types.enums import OrderState
from schema.types.mandates import Mandate, MandateConnection
from schema.types.messages import BoundPhone, MessageConsent
from schema.types.money import Money
from schema.types.order_pages import OrderConnection
from schema.types.organisations import Organisation
from schema.types.relations import parts_of, relation
from schema.types.relay import Node, Page, global_id
from schema.types.requirements import CARDS, DEVICES, PROFILE, RECHARGE
from schema.types.scalars import DateTime, moment
from schema.types.sign_ins import SignIn, SignInConnection
from schema.types.wallet import TopUp, TopUpConnection

# A user belongs to few; `organisations_per_user_max` says to how many.
ORGANISATIONS = 5
First = Annotated[int, strawberry.argument(description="How many rows, from 1 to 100.")]
After = Annotated[str | None, strawberry.argument(description="The `endCursor` of the page before.")]


def page_of_viewer(_source: object, context: Context, *, first: int, after: str | None = None) -> tuple[User, Page]:
    """Return whose page is asked for, and which. Raises PageSizeInvalid and CursorMalformed, as the one below does."""
    page = Page.of(first, after, maximum=context.services.settings.page_size_max)
    return context.signed_in, page


def orders_of_viewer(
    source: object, context: Context, *, first: int, after: str | None = None, state: OrderState | None = None
) -> tuple[User, Page, OrderState | None]:
    return *page_of_viewer(source, context, first=first, after=after), state


@strawberry.type(directives=[caching.AS_ITS_PARENT], description="Who the viewer is.")
class Profile(Node):
    display_name: str = strawberry.field(description="How the viewer is addressed.")
    registered_at: DateTime = strawberry.field(description="When the viewer first signed in.")

    @classmethod
    def of(cls, row: UserFacts) -> Self:
        return cls(id=global_id("Profile", row.id), display_name=row.display_name, registered_at=moment(row.created_at))


@strawberry.type(directives=[caching.AS_ITS_PARENT], description="Money that the service holds for the viewer.")
class Wallet:
    balance: Money = strawberry.field(description="What can be spent.")
    held: Money = strawberry.field(description="What is set aside for orders that are being paid.")

    @strawberry.field(directives=[costs.READS, costs.PAGE], description="What was paid into the wallet, newest first.")
    async def top_ups(self, info: Info, first: First = 20, after: After = None) -> TopUpConnection:
        page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
        rows = await info.context.loaders.top_ups_of_viewer.load((info.context.signed_in, page))
        return page.connection(rows, TopUp.of)


@strawberry.type(directives=[caching.AS_ITS_PARENT], description="The signed-in user and what belongs to them.")
class Viewer:
    profile: Profile = strawberry.field(directives=[PROFILE], description="Who the viewer is.")
    user_id: strawberry.Private[UUID]

    @relation(
        lambda loaders: loaders.wallets,
        by="user_id",
        directives=[RECHARGE, costs.READ],
        description="Money that the service holds for the viewer.",
    )
    @staticmethod
    def wallet(sums: tuple[Amount, Amount]) -> Wallet:
        balance, held = sums
        return Wallet(balance=Money.showing(balance), held=Money.showing(held))

    @relation(
        lambda loaders: loaders.cards_of_viewer,
        by=page_of_viewer,
        keyed_by_arguments=True,
        directives=[CARDS, costs.READS, costs.PAGE],
        description="The cards that the viewer may recharge, their own and shared ones, newest first.",
    )
    @staticmethod
    def cards(rows: Sequence[FuelCard], first: First = 20, after: After = None) -> CardConnection:
        return CardConnection.shown(rows, Card.of, first=first, after=after)

    @relation(
        lambda loaders: loaders.orders_of_viewer,
        by=orders_of_viewer,
        keyed_by_arguments=True,
        directives=[RECHARGE, costs.READS, costs.PAGE],
        description="The orders that the viewer has made, newest first.",
    )
    @staticmethod
    def orders(
        rows: Sequence[OrderFacts],
        first: First = 20,
        after: After = None,
        state: Annotated[OrderState | None, strawberry.argument(description="Only orders in this state.")] = None,
    ) -> OrderConnection:
        return OrderConnection.shown(rows, first=first, after=after)

    @strawberry.field(
        directives=[RECHARGE, costs.READS, costs.PAGE],
        description="What the viewer allows to deduct without a password, newest first.",
    )
    async def mandates(self, info: Info, first: First = 20, after: After = None) -> MandateConnection:
        page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
        rows = await info.context.loaders.mandates_of_viewer.load((info.context.signed_in, page))
        return page.connection(rows, Mandate.of)

    @strawberry.field(
        directives=[PROFILE, costs.READ, costs.at_most(ORGANISATIONS)],
        description="What the viewer belongs to, in the order of joining.",
    )
    async def organisations(self, info: Info) -> list[Organisation]:
        found = await info.context.loaders.organisations.of_viewer.load(info.context.signed_in)
        return [Organisation.of(each) for each in found]

    @strawberry.field(
        directives=[DEVICES, costs.READS, costs.PAGE],
        description="The devices on which the viewer is signed in, newest first.",
    )
    async def sessions(self, info: Info, first: First = 20, after: After = None) -> SessionConnection:
        page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
        rows = await info.context.loaders.sessions_of_viewer.load((info.context.signed_in, page))
        return page.connection(rows, lambda row: Session.of(row, info))

    @strawberry.field(
        directives=[DEVICES, costs.READS, costs.PAGE],
        description="Every sign-in as the viewer, whether it was let in or not, and every sign-out, newest first.",
    )
    async def sign_ins(self, info: Info, first: First = 20, after: After = None) -> SignInConnection:
        page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
        rows = await info.context.loaders.sign_ins_of_viewer.load((info.context.signed_in, page))
        return page.connection(rows, SignIn.of)

    @relation(
        lambda loaders: loaders.have_payment_password,
        by="user_id",
        directives=[RECHARGE, costs.READ, caching.NEVER],
        description="Whether paying from the wallet takes a payment password.",
    )
    @staticmethod
    def has_payment_password(is_set: bool) -> bool:
        return is_set

    @relation(
        lambda loaders: loaders.spending_limits,
        by="user_id",
        directives=[RECHARGE, costs.READ],
        description="The limits that the viewer has set themselves.",
    )
    @staticmethod
    def spending_limits(limits: OwnLimits) -> SpendingLimits:
        return SpendingLimits.of(limits)

    @relation(
        lambda loaders: loaders.phones,
        by="user_id",
        directives=[PROFILE, costs.READ],
        description="The viewer's phone number; null where none is bound.",
    )
    @staticmethod
    def phone(row: UserPhone | None) -> BoundPhone | None:
        return BoundPhone.of(row) if row else None

    @strawberry.field(
        directives=[PROFILE, costs.READ, costs.at_most(20)],
        description="The templates of messages, and how many of each the viewer still accepts.",
    )
    async def message_consents(self, info: Info) -> list[MessageConsent]:
        sender = info.context.services.third_parties.platforms.messages
        standings = await info.context.loaders.message_standings.load(self.user_id)
        return MessageConsent.listed(standings, sender.templates) if sender else []

    @classmethod
    def of(cls, row: UserFacts) -> Self:
        return cls(profile=Profile.of(row), user_id=row.id)


# What can be loaded along with the viewer.
WALLET, ORDERS = parts_of(Viewer, "wallet"), parts_of(Viewer, "orders")
