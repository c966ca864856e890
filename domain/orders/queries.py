"""Reading orders; those of a person name the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from tortoise.expressions import Q
from tortoise.functions import Sum
from tortoise.queryset import QuerySet

from domain.identity.staff import is_staff, require
from domain.identity.viewer import Viewer
from domain.risk.rules import Facts
from kernel.clock import start_of_business_day
from kernel.errors import YoukaError
from kernel.states import OrderState, ReviewState
from models.cards import FuelCard
from models.orders import OrderTransition, RechargeOrder

UNPAID = (OrderState.PENDING_PAYMENT, OrderState.PAYING)


class OrderNotFound(YoukaError):
    """Also where the order is somebody else's: the answer must not tell the two apart."""

    code = "ORDER_NOT_FOUND"
    messages = {"zh-CN": "订单不存在", "en": "There is no such order"}


async def owned(*, viewer: Viewer, order_id: UUID) -> RechargeOrder | None:
    return await RechargeOrder.get_or_none(id=order_id, user_id=viewer.user_id)


async def require_owned(*, viewer: Viewer, order_id: UUID | None) -> RechargeOrder:
    """Raises OrderNotFound; an id of None is one that names no order."""
    order = await owned(viewer=viewer, order_id=order_id) if order_id else None
    if order is None:
        raise OrderNotFound
    return order


async def of_viewer(*, viewer: Viewer, state: OrderState | None, first: int, after: UUID | None) -> list[RechargeOrder]:
    """Return up to `first` orders, newest first, behind the order `after`."""
    rows = RechargeOrder.filter(user_id=viewer.user_id)
    if state:
        rows = rows.filter(state=state)
    if after:
        rows = rows.filter(id__lt=after)
    return await rows.order_by("-id").limit(first)


async def by_ids(order_ids: Sequence[UUID]) -> list[RechargeOrder]:
    """Return the orders in the order of their ids, for rows that name them and were authorised themselves."""
    found = {order.id: order for order in await RechargeOrder.filter(id__in=set(order_ids))}
    return [found[order_id] for order_id in order_ids]


async def by_id(order_id: UUID) -> RechargeOrder:
    return await RechargeOrder.get(id=order_id)


async def story(order_id: UUID) -> list[OrderTransition]:
    """Return every step of the order, oldest first."""
    return await OrderTransition.filter(order_id=order_id).order_by("version")


async def stories(order_ids: Sequence[UUID]) -> list[list[OrderTransition]]:
    """Return the story of each order, in the order of their ids and in one statement."""
    found: dict[UUID, list[OrderTransition]] = {order_id: [] for order_id in order_ids}
    for step in await OrderTransition.filter(order_id__in=list(found)).order_by("order_id", "version"):
        found[step.order_id].append(step)
    return [found[order_id] for order_id in order_ids]


async def visible(*, viewer: Viewer, order_id: UUID) -> RechargeOrder | None:
    """Return an order of the viewer, or any order to staff. Raises StaffOnly for somebody who has left."""
    if not is_staff(viewer):
        return await owned(viewer=viewer, order_id=order_id)
    await require(viewer=viewer)
    return await RechargeOrder.get_or_none(id=order_id)


async def risk_facts(*, viewer: Viewer, card: FuelCard, window: timedelta, now: datetime) -> Facts:
    """Gather what the risk rules look at, for an order of the viewer onto the card."""
    mine = RechargeOrder.filter(user_id=viewer.user_id)
    live = Q(state__not=OrderState.FAILED)
    unreviewed = Q(created_at__gt=now - window) & Q(review_state=ReviewState.NONE) & live
    # The same card may be bound by several users; its digest finds it with all of them.
    card_ids = await FuelCard.filter(number_digest=card.number_digest).values_list("id", flat=True)
    return Facts(
        spent_today_fen=await _sum(mine.filter(Q(created_at__gte=start_of_business_day(now)) & live)),
        unpaid_orders=await mine.filter(state__in=UNPAID).count(),
        unreviewed_fen=max(
            await _sum(mine.filter(unreviewed)),
            await _sum(RechargeOrder.filter(Q(card_id__in=list(card_ids)) & unreviewed)),
        ),
    )


async def _sum(orders: QuerySet[RechargeOrder]) -> int:
    (found,) = await orders.annotate(total=Sum("amount_fen")).values("total")
    return found["total"] or 0
