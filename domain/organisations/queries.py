"""Reading organisations; each query names the viewer and answers None to who may not see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar
from uuid import UUID

from tortoise.functions import Count, Sum
from tortoise.queryset import QuerySet

from domain.identity.staff import is_staff
from domain.identity.viewer import Viewer
from domain.organisations.membership import Membership, membership, memberships
from domain.organisations.rules import Room
from domain.organisations.spending import rooms_of
from kernel.clock import SHANGHAI, next_business_month, start_of_business_month
from kernel.organisation_states import MemberState, OrganisationPermission
from kernel.states import OrderState
from models.cards import FuelCard
from models.orders import RechargeOrder
from models.organisations import (
    Organisation,
    OrganisationInvitation,
    OrganisationLogEntry,
    OrganisationMember,
    OrganisationMemberCard,
)

# Orders are of these; other years only come from mistyped ones.
YEARS = range(2020, 2200)
Row = TypeVar("Row", OrganisationInvitation, OrganisationLogEntry, OrganisationMember)


@dataclass(frozen=True, slots=True)
class Reach:
    """What of organisations a viewer has by their memberships: ids of organisations, and of single cards."""

    recharges: frozenset[UUID]
    recharge_cards: frozenset[UUID]
    every_card: frozenset[UUID]
    own_orders: frozenset[UUID]
    all_orders: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class StatementLine:
    """What one member has recharged in a month; amounts are fen. `amount_fen` arrived, `price_fen` was paid for it."""

    member_id: UUID
    member_name: str
    orders: int
    amount_fen: int
    price_fen: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What has arrived by the orders that were made in a month of Asia/Shanghai, by member."""

    month: date
    lines: Sequence[StatementLine]


async def reach(*, viewer: Viewer) -> Reach:
    """Return what the viewer's memberships reach, for whoever filters cards and orders."""
    mine = await memberships(viewer=viewer)
    by_name = [each.member.id for each in mine if each.standing.recharges and not each.member.all_cards]
    cards = OrganisationMemberCard.filter(member_id__in=by_name).values_list("card_id", flat=True)
    return Reach(
        recharges=frozenset(each.organisation.id for each in mine if each.standing.recharges and each.member.all_cards),
        recharge_cards=frozenset(await cards) if by_name else frozenset(),  # type: ignore[arg-type]
        every_card=frozenset(each.organisation.id for each in mine if each.standing.sees_every_card),
        own_orders=_with(mine, OrganisationPermission.SEE_OWN_ORDERS),
        all_orders=_with(mine, OrganisationPermission.SEE_ALL_ORDERS),
    )


def _with(mine: Sequence[Membership], permission: OrganisationPermission) -> frozenset[UUID]:
    return frozenset(each.organisation.id for each in mine if each.may(permission))


async def recharges(*, viewer: Viewer, card: FuelCard) -> bool:
    """Return whether a card of an organisation is shared with the viewer, to recharge it."""
    found = await membership(viewer=viewer, organisation_id=card.organisation_id)
    if found is None or not found.standing.recharges:
        return False
    return found.member.all_cards or await OrganisationMemberCard.exists(member_id=found.member.id, card_id=card.id)


async def sees_card(*, viewer: Viewer, card: FuelCard) -> bool:
    """Return whether the viewer sees a card of an organisation, to recharge it or to look after it."""
    found = await membership(viewer=viewer, organisation_id=card.organisation_id)
    return found is not None and (found.standing.sees_every_card or await recharges(viewer=viewer, card=card))


async def sees_order(*, viewer: Viewer, order: RechargeOrder) -> bool:
    """Return whether the viewer sees an order of an organisation: by their role, or since it is their own."""
    found = await membership(viewer=viewer, organisation_id=order.organisation_id)
    if found is None:
        return False
    if found.may(OrganisationPermission.SEE_ALL_ORDERS):
        return True
    return order.user_id == viewer.user_id and found.may(OrganisationPermission.SEE_OWN_ORDERS)


async def names(*, viewer: Viewer, organisation_ids: Sequence[UUID]) -> list[Organisation | None]:
    """Return organisations that the viewer belongs to, in the order of the ids; to staff, any."""
    allowed = set(organisation_ids)
    if not is_staff(viewer):
        allowed &= {each.organisation.id for each in await memberships(viewer=viewer)}
    found = {row.id: row for row in await Organisation.filter(id__in=allowed)} if allowed else {}
    return [found.get(each) for each in organisation_ids]


async def member_names(*, viewer: Viewer, member_ids: Sequence[UUID]) -> list[str | None]:
    """Return how members are called, to whom sees their organisation's members, to themselves, and to staff."""
    rows = {row.id: row for row in await OrganisationMember.filter(id__in=set(member_ids))}
    mine = await memberships(viewer=viewer)
    seen = _with(mine, OrganisationPermission.SEE_MEMBERS)
    own = {each.member.id for each in mine}

    def shown(row: OrganisationMember | None) -> str | None:
        if row is None:
            return None
        return row.name if is_staff(viewer) or row.id in own or row.organisation_id in seen else None

    return [shown(rows.get(each)) for each in member_ids]


async def members(
    *, viewer: Viewer, organisation_id: UUID, first: int, after: UUID | None
) -> list[OrganisationMember] | None:
    """Return up to `first` members who have not gone, newest first, behind the one `after`."""
    if not await _may(viewer, organisation_id, OrganisationPermission.SEE_MEMBERS):
        return None
    rows = OrganisationMember.filter(organisation_id=organisation_id, state=MemberState.ACTIVE)
    return await _page(rows, first, after)


async def invitations(
    *, viewer: Viewer, organisation_id: UUID, first: int, after: UUID | None
) -> list[OrganisationInvitation] | None:
    """Return up to `first` invitations of any state, newest first, behind the one `after`."""
    if not await _may(viewer, organisation_id, OrganisationPermission.MANAGE_MEMBERS):
        return None
    return await _page(OrganisationInvitation.filter(organisation_id=organisation_id), first, after)


async def log(
    *, viewer: Viewer, organisation_id: UUID, first: int, after: UUID | None
) -> list[OrganisationLogEntry] | None:
    """Return up to `first` changes, newest first, behind the one `after`."""
    if not await _may(viewer, organisation_id, OrganisationPermission.SEE_LOG):
        return None
    return await _page(OrganisationLogEntry.filter(organisation_id=organisation_id), first, after)


async def one_member(*, viewer: Viewer, member_id: UUID) -> OrganisationMember | None:
    """Return a member, also one who has gone, to themselves and to who sees members."""
    row = await OrganisationMember.get_or_none(id=member_id)
    found = await membership(viewer=viewer, organisation_id=row.organisation_id) if row else None
    if row is None or found is None:
        return None
    return row if found.member.id == row.id or found.may(OrganisationPermission.SEE_MEMBERS) else None


async def one_invitation(*, viewer: Viewer, invitation_id: UUID) -> OrganisationInvitation | None:
    """Return an invitation of any state, to who manages members."""
    row = await OrganisationInvitation.get_or_none(id=invitation_id)
    return row if row and await _may(viewer, row.organisation_id, OrganisationPermission.MANAGE_MEMBERS) else None


async def one_change(*, viewer: Viewer, change_id: UUID) -> OrganisationLogEntry | None:
    """Return a change, to who sees the log."""
    row = await OrganisationLogEntry.get_or_none(id=change_id)
    return row if row and await _may(viewer, row.organisation_id, OrganisationPermission.SEE_LOG) else None


async def statement(*, viewer: Viewer, organisation_id: UUID, day: date) -> Statement | None:
    """Return the statement of the month in which the day is; None for a month in which nobody recharges, too."""
    may_see = await _may(viewer, organisation_id, OrganisationPermission.SEE_STATEMENT)
    if not may_see or day.year not in YEARS:
        return None
    since = start_of_business_month(datetime(day.year, day.month, 1, tzinfo=SHANGHAI))
    made = RechargeOrder.filter(
        organisation_id=organisation_id,
        state=OrderState.SUCCEEDED,
        created_at__gte=since,
        created_at__lt=next_business_month(since),
    )
    sums = made.annotate(orders=Count("id"), amount=Sum("amount_fen"), price=Sum("price_fen")).group_by("member_id")
    found = await sums.values("member_id", "orders", "amount", "price")
    called = {row.id: row.name for row in await OrganisationMember.filter(id__in=[each["member_id"] for each in found])}
    lines = [
        StatementLine(
            each["member_id"], called[each["member_id"]], each["orders"], int(each["amount"]), int(each["price"])
        )
        for each in found
    ]
    return Statement(day.replace(day=1), sorted(lines, key=lambda line: (-line.amount_fen, line.member_id)))


async def room(*, viewer: Viewer, member_id: UUID, now: datetime) -> list[Room] | None:
    """Return what the limits of a member leave them, to themselves and to who sees members."""
    member = await OrganisationMember.get(id=member_id)
    found = await membership(viewer=viewer, organisation_id=member.organisation_id)
    if found is None or (found.member.id != member.id and not found.may(OrganisationPermission.SEE_MEMBERS)):
        return None
    return await rooms_of(member=member, now=now)


async def shared_cards(*, viewer: Viewer, member_id: UUID) -> list[FuelCard]:
    """Return the cards that are shared with a member by name, to themselves and to who sees every card."""
    member = await OrganisationMember.get(id=member_id)
    found = await membership(viewer=viewer, organisation_id=member.organisation_id)
    if found is None or (found.member.id != member.id and not found.standing.sees_every_card):
        return []
    rows = OrganisationMemberCard.filter(member_id=member.id).select_related("card").order_by("card_id")
    return [row.card for row in await rows]


async def _may(viewer: Viewer, organisation_id: UUID, permission: OrganisationPermission) -> bool:
    found = await membership(viewer=viewer, organisation_id=organisation_id)
    return found is not None and found.may(permission)


async def _page(rows: QuerySet[Row], first: int, after: UUID | None) -> list[Row]:
    if after:
        rows = rows.filter(id__lt=after)
    return await rows.order_by("-id").limit(first)
