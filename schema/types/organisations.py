"""Enterprise customers as their members see them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Self
from uuid import UUID

import strawberry

from domain.organisations import rules
from domain.organisations.membership import Membership, limits_of
from domain.organisations.queries import Statement as StatementFound
from domain.organisations.queries import StatementLine as LineFound
from domain.organisations.rules import MemberLimits as Limits
from domain.organisations.rules import Room
from kernel.clock import business_day
from kernel.money import Money as Amount
from models.organisations import OrganisationInvitation, OrganisationLogEntry
from models.organisations import OrganisationMember as MemberRow
from schema.types import costs
from schema.types.cards import Card, CardConnection
from schema.types.context import Info
from schema.types.enums import OrderState
from schema.types.money import Money
from schema.types.order_pages import OrderConnection
from schema.types.organisation_enums import (
    InvitationState,
    LimitPeriod,
    MemberState,
    OrganisationPermission,
    OrganisationRole,
    OrganisationState,
)
from schema.types.organisation_log import OrganisationLogConnection, OrganisationLogItem
from schema.types.prices import First
from schema.types.relay import Connection, Node, Page, global_id
from schema.types.requirements import CARDS, RECHARGE
from schema.types.scalars import DateTime

# What is asked for at once; who has more of them by the settings is charged as if they had so many.
SHARED, LINES = 100, 500
After = Annotated[str | None, strawberry.argument(description="The `endCursor` of the page before.")]


def _money(fen: int | None) -> Money | None:
    return Money.showing(Amount(fen)) if fen is not None else None


@strawberry.type(description="What a member may recharge; null is no limit. Days and months are those of China.")
class MemberLimits:
    per_recharge: Money | None = strawberry.field(description="At once.")
    per_day: Money | None = strawberry.field(description="In a day.")
    per_month: Money | None = strawberry.field(description="In a month.")

    @classmethod
    def of(cls, limits: Limits) -> Self:
        return cls(
            per_recharge=_money(limits.recharge_fen),
            per_day=_money(limits.daily_fen),
            per_month=_money(limits.monthly_fen),
        )


@strawberry.type(description="What one limit leaves a member now.")
class MemberRoom:
    period: LimitPeriod = strawberry.field(description="Which limit.")
    limit: Money = strawberry.field(description="The limit.")
    left: Money = strawberry.field(description="What of it can still be recharged.")
    renews_at: DateTime | None = strawberry.field(
        description="When there is all of it again; null for the limit of each recharge."
    )

    @classmethod
    def of(cls, room: Room) -> Self:
        renews_at = DateTime(room.renews_at) if room.renews_at else None
        return cls(
            period=room.period, limit=Money.showing(room.limit), left=Money.showing(room.left), renews_at=renews_at
        )


@strawberry.type(description="Somebody who belongs to an organisation, or did.")
class OrganisationMember(Node):
    name: str = strawberry.field(description="What they are called there.")
    role: OrganisationRole = strawberry.field(description="What they are there.")
    state: MemberState = strawberry.field(description="Whether they belong to it.")
    all_cards: bool = strawberry.field(description="Whether every card is shared with them.")
    limits: MemberLimits = strawberry.field(description="What they may recharge.")
    joined_at: DateTime = strawberry.field(description="Since when they belong to it.")
    ended_at: DateTime | None = strawberry.field(description="Since when they do not; null where they do.")
    row: strawberry.Private[MemberRow]

    @strawberry.field(
        directives=[costs.READS, costs.at_most(len(LimitPeriod))],
        description="What each of their limits leaves. Null to who sees no members.",
    )
    async def room(self, info: Info) -> list[MemberRoom] | None:
        found = await info.context.loaders.organisations.rooms.load((info.context.signed_in, self.row.id))
        return [MemberRoom.of(each) for each in found] if found is not None else None

    @strawberry.field(
        directives=[CARDS, costs.READS, costs.at_most(SHARED)],
        description="The cards that are shared with them by name.",
    )
    async def cards(self, info: Info) -> list[Card]:
        found = await info.context.loaders.organisations.shared_cards.load((info.context.signed_in, self.row.id))
        return [Card.of(row) for row in found]

    @classmethod
    def of(cls, row: MemberRow) -> Self:
        return cls(
            id=global_id("OrganisationMember", row.id),
            name=row.name,
            role=row.role,
            state=row.state,
            all_cards=row.all_cards,
            limits=MemberLimits.of(limits_of(row)),
            joined_at=DateTime(row.joined_at),
            ended_at=DateTime(row.ended_at) if row.ended_at else None,
            row=row,
        )


OrganisationMemberConnection = Connection[OrganisationMember]


@strawberry.type(description="What somebody may become who brings its code.")
class Invitation(Node):
    name: str = strawberry.field(description="What they will be called.")
    role: OrganisationRole = strawberry.field(description="What they will be.")
    all_cards: bool = strawberry.field(description="Whether every card will be shared with them.")
    limits: MemberLimits = strawberry.field(description="What they will be able to recharge.")
    masked_phone: str | None = strawberry.field(description="The phone that it is bound to, masked; null for none.")
    state: InvitationState = strawberry.field(description="Whether it waits.")
    created_at: DateTime = strawberry.field(description="When it was written.")
    expires_at: DateTime = strawberry.field(description="Until when it can be accepted.")

    @classmethod
    def of(cls, row: OrganisationInvitation) -> Self:
        return cls(
            id=global_id("Invitation", row.id),
            name=row.name,
            role=row.role,
            all_cards=row.all_cards,
            limits=MemberLimits.of(Limits(row.recharge_max_fen, row.daily_max_fen, row.monthly_max_fen)),
            masked_phone=row.phone_masked,
            state=row.state,
            created_at=DateTime(row.created_at),
            expires_at=DateTime(row.expires_at),
        )


InvitationConnection = Connection[Invitation]


@strawberry.type(description="What one member has recharged in a month.")
class StatementLine:
    member_id: strawberry.ID = strawberry.field(description="The member, who may have gone.")
    member_name: str = strawberry.field(description="What they are or were called.")
    orders: int = strawberry.field(description="How many orders.")
    amount: Money = strawberry.field(description="What has arrived on cards.")
    price: Money = strawberry.field(description="What was paid for it, by the member.")

    @classmethod
    def of(cls, line: LineFound) -> Self:
        return cls(
            member_id=global_id("OrganisationMember", line.member_id),
            member_name=line.member_name,
            orders=line.orders,
            amount=Money.showing(Amount(line.amount_fen)),
            price=Money.showing(Amount(line.price_fen)),
        )


@strawberry.type(description="对账单: what has arrived by the orders that were made in a month, in China.")
class OrganisationStatement:
    month: date = strawberry.field(description="The first day of the month.")
    amount: Money = strawberry.field(description="What has arrived on cards.")
    price: Money = strawberry.field(description="What was paid for it.")
    lines: list[StatementLine] = strawberry.field(
        directives=[costs.at_most(LINES)], description="By member, the most first."
    )

    @classmethod
    def of(cls, found: StatementFound) -> Self:
        return cls(
            month=found.month,
            amount=Money.showing(Amount(sum(line.amount_fen for line in found.lines))),
            price=Money.showing(Amount(sum(line.price_fen for line in found.lines))),
            lines=[StatementLine.of(line) for line in found.lines],
        )


@strawberry.type(description="企业客户: an enterprise whose members recharge its cards.")
class Organisation(Node):
    name: str = strawberry.field(description="Its name.")
    credit_code: str = strawberry.field(description="统一社会信用代码: its unified social credit code.")
    state: OrganisationState = strawberry.field(description="Where it stands.")
    created_at: DateTime = strawberry.field(description="Since when it is here.")
    viewer_member: OrganisationMember = strawberry.field(description="The viewer as a member.")
    viewer_permissions: list[OrganisationPermission] = strawberry.field(
        directives=[costs.at_most(len(OrganisationPermission))], description="What the viewer's role allows."
    )
    key: strawberry.Private[UUID]

    @strawberry.field(
        directives=[costs.READS, costs.PAGE],
        description="Who belongs to it, newest first. Null to who sees no members.",
    )
    async def members(self, info: Info, first: First = 20, after: After = None) -> OrganisationMemberConnection | None:
        page = _page(info, first, after)
        rows = await info.context.loaders.organisations.members.load((info.context.signed_in, self.key, page))
        return page.connection(rows, OrganisationMember.of) if rows is not None else None

    @strawberry.field(
        directives=[costs.READS, costs.PAGE],
        description="Invitations of any state, newest first. Null to who does not manage members.",
    )
    async def invitations(self, info: Info, first: First = 20, after: After = None) -> InvitationConnection | None:
        page = _page(info, first, after)
        rows = await info.context.loaders.organisations.invitations.load((info.context.signed_in, self.key, page))
        return page.connection(rows, Invitation.of) if rows is not None else None

    @strawberry.field(
        directives=[CARDS, costs.READS, costs.PAGE],
        description="Its cards, newest first: all to who looks after them or sees all orders, else those that the "
        "viewer may recharge.",
    )
    async def cards(self, info: Info, first: First = 20, after: After = None) -> CardConnection | None:
        page = _page(info, first, after)
        rows = await info.context.loaders.organisations.cards.load((info.context.signed_in, self.key, page))
        return page.connection(rows, Card.of) if rows is not None else None

    @strawberry.field(
        directives=[RECHARGE, costs.READS, costs.PAGE],
        description="Its orders, newest first: all by the viewer's role, else the viewer's own.",
    )
    async def orders(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        state: Annotated[OrderState | None, strawberry.argument(description="Only orders in this state.")] = None,
    ) -> OrderConnection | None:
        page = _page(info, first, after)
        key = (info.context.signed_in, self.key, page, state)
        rows = await info.context.loaders.organisations.orders.load(key)
        return OrderConnection.shown(rows, first=first, after=after) if rows is not None else None

    @strawberry.field(
        directives=[RECHARGE, costs.READS], description="What its members have recharged in a month. Null to others."
    )
    async def statement(
        self,
        info: Info,
        month: Annotated[
            date | None, strawberry.argument(description="A day of the month in China; without it, this month.")
        ] = None,
    ) -> OrganisationStatement | None:
        day = month or business_day(info.context.now)
        found = await info.context.loaders.organisations.statements.load((info.context.signed_in, self.key, day))
        return OrganisationStatement.of(found) if found else None

    @strawberry.field(
        directives=[costs.READS, costs.PAGE],
        description="Every change of it, newest first. Null to who does not see the log.",
    )
    async def log(self, info: Info, first: First = 20, after: After = None) -> OrganisationLogConnection | None:
        page = _page(info, first, after)
        rows: list[OrganisationLogEntry] | None = await info.context.loaders.organisations.log.load(
            (info.context.signed_in, self.key, page)
        )
        return page.connection(rows, OrganisationLogItem.of) if rows is not None else None

    @classmethod
    def of(cls, found: Membership) -> Self:
        row = found.organisation
        allowed = [each for each in OrganisationPermission if each in rules.PERMISSIONS[found.member.role]]
        return cls(
            id=global_id("Organisation", row.id),
            name=row.name,
            credit_code=row.credit_code,
            state=row.state,
            created_at=DateTime(row.created_at),
            viewer_member=OrganisationMember.of(found.member),
            viewer_permissions=allowed if found.member.state is MemberState.ACTIVE else [],
            key=row.id,
        )


def _page(info: Info, first: int, after: str | None) -> Page:
    return Page.of(first, after, maximum=info.context.services.settings.page_size_max)
