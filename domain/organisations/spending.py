"""What a member has recharged for the organisation, and whether a recharge fits into their limits."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tortoise.functions import Sum
from tortoise.queryset import QuerySet

from domain.organisations.membership import limits_of
from domain.organisations.rules import Room, Spent, check_recharge, rooms
from kernel.clock import start_of_business_day, start_of_business_month
from kernel.money import Money
from kernel.states import OrderState
from models.orders import RechargeOrder
from models.organisations import OrganisationMember


async def spent(*, organisation_id: UUID, user_id: UUID, now: datetime) -> Spent:
    """Return what the user has recharged today and this month, in Asia/Shanghai, in whichever membership.

    What is under way counts and what has failed does not, so a failure gives its room back.
    """
    mine = RechargeOrder.filter(organisation_id=organisation_id, user_id=user_id, state__not=OrderState.FAILED)
    day, month = start_of_business_day(now), start_of_business_month(now)
    return Spent(await _sum_since(mine, day), await _sum_since(mine, month))


async def check(*, member: OrganisationMember, amount: Money, now: datetime) -> None:
    """Raises MemberLimitExceeded. It holds for as long as the member's row is locked."""
    limits = limits_of(member)
    used = await spent(organisation_id=member.organisation_id, user_id=member.user_id, now=now)
    check_recharge(amount, limits, used, now)


async def rooms_of(*, member: OrganisationMember, now: datetime) -> list[Room]:
    """Return what each limit of the member leaves now."""
    used = await spent(organisation_id=member.organisation_id, user_id=member.user_id, now=now)
    return rooms(limits_of(member), used, now)


async def _sum_since(orders: QuerySet[RechargeOrder], since: datetime) -> int:
    (found,) = await orders.filter(created_at__gte=since).annotate(total=Sum("amount_fen")).values("total")
    return found["total"] or 0
