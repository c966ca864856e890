"""Reading orders; those of a person name the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from domain.identity.staff import is_staff, require
from domain.identity.viewer import Viewer
from domain.orders import facts
from domain.orders.facts import OrderFacts, OrderPage
from domain.organisations import queries as organisations
from domain.organisations.membership import membership
from kernel.errors import YoukaError
from kernel.organisation_states import OrganisationPermission
from kernel.states import OrderState
from models.orders import OrderTransition, RechargeOrder

UNPAID = (OrderState.PENDING_PAYMENT, OrderState.PAYING)


class OrderNotFound(YoukaError):
    """Also where the order is somebody else's: the answer must not tell the two apart."""

    code = "ORDER_NOT_FOUND"
    messages = {"zh-CN": "订单不存在", "en": "There is no such order"}


async def owned(*, viewer: Viewer, order_id: UUID) -> RechargeOrder | None:
    """Return an order that the viewer has made; one of an organisation only while they belong to it."""
    order = await RechargeOrder.get_or_none(id=order_id, user_id=viewer.user_id)
    return order if order and await _is_shown(viewer, order) else None


async def followed(*, viewer: Viewer, order_id: UUID) -> RechargeOrder | None:
    """Return an order that the viewer has made, or sees by their role in its organisation."""
    order = await RechargeOrder.get_or_none(id=order_id)
    return order if order and await _is_shown(viewer, order) else None


async def _is_shown(viewer: Viewer, order: RechargeOrder) -> bool:
    if order.organisation_id is None:
        return order.user_id == viewer.user_id
    return await organisations.sees_order(viewer=viewer, order=order)


async def own(*, viewer: Viewer) -> QuerySet[RechargeOrder]:
    """Return the query of the orders that the viewer has made and still sees."""
    reach = await organisations.reach(viewer=viewer)
    shown = Q(organisation_id__isnull=True) | Q(organisation_id__in=reach.own_orders)
    return RechargeOrder.filter(shown, user_id=viewer.user_id)


async def require_owned(*, viewer: Viewer, order_id: UUID | None) -> RechargeOrder:
    """Raises OrderNotFound; an id of None is one that names no order."""
    order = await owned(viewer=viewer, order_id=order_id) if order_id else None
    if order is None:
        raise OrderNotFound
    return order


async def of_viewer(*, viewer: Viewer, state: OrderState | None, first: int, after: UUID | None) -> list[OrderFacts]:
    """Return up to `first` orders that the viewer has made and still sees, newest first, behind the order `after`."""
    return await facts.page_of(viewer.user_id, OrderPage(first, after, state))


async def of_viewers(*, viewers: Sequence[Viewer], pages: Sequence[OrderPage]) -> list[list[OrderFacts]]:
    """Return for each viewer the page of their orders that is at the same place, as `of_viewer` would."""
    return await facts.pages_of([(viewer.user_id, page) for viewer, page in zip(viewers, pages, strict=True)])


async def of_organisation(
    *, viewer: Viewer, organisation_id: UUID, state: OrderState | None, first: int, after: UUID | None
) -> list[RechargeOrder] | None:
    """Return up to `first` orders of an organisation, newest first: all by the viewer's role, or their own.

    None to who does not belong to it.
    """
    found = await membership(viewer=viewer, organisation_id=organisation_id)
    if found is None:
        return None
    rows = RechargeOrder.filter(organisation_id=organisation_id)
    if not found.may(OrganisationPermission.SEE_ALL_ORDERS):
        rows = rows.filter(user_id=viewer.user_id)
    return await _page(rows, state, first, after)


async def _page(
    rows: QuerySet[RechargeOrder], state: OrderState | None, first: int, after: UUID | None
) -> list[RechargeOrder]:
    if state:
        rows = rows.filter(state=state)
    if after:
        rows = rows.filter(id__lt=after)
    return await rows.order_by("-id").limit(first)


async def by_ids(order_ids: Sequence[UUID]) -> list[OrderFacts | LookupError]:
    """Return the orders in the order of their ids, for rows that name them and were authorised themselves.

    Who asks for one that there is not is alone in its error, whoever asked together with them.
    """
    found = await facts.by_ids(list(set(order_ids)))
    return [found.get(order_id) or LookupError(f"there is no order {order_id}") for order_id in order_ids]


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


async def visible(*, viewer: Viewer, order_id: UUID) -> OrderFacts | None:
    """Return an order that the viewer may follow, or any order to staff. Raises StaffOnly for somebody who has left."""
    if not is_staff(viewer):
        return await facts.seen_by(viewer.user_id, order_id)
    await require(viewer=viewer)
    return (await facts.by_ids([order_id])).get(order_id)
