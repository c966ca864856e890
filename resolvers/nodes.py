"""Any object by its id, under the same rules as the field that shows it first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

import strawberry

from domain.cards import queries as cards
from domain.identity import queries as identity
from domain.orders import queries as orders
from domain.payments import top_ups
from resolvers.offers import offer_by_key
from resolvers.prices import price_by_key, zone_by_key
from resolvers.stations import station_by_key
from resolvers.webhooks import webhook_by_key
from schema.types.cards import Card
from schema.types.context import Info
from schema.types.orders import Order
from schema.types.relay import Node, parse_global_id
from schema.types.viewer import Profile
from schema.types.wallet import TopUp


async def node(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The id of any object.")]
) -> Node | None:
    type_name, key = parse_global_id(id) or ("", None)
    find = FINDERS.get(type_name)
    return await find(info, key) if find and key else None


async def _order(info: Info, key: UUID) -> Node | None:
    row = await orders.visible(viewer=info.context.viewer, order_id=key) if info.context.viewer else None
    return Order.of(row) if row else None


async def _card(info: Info, key: UUID) -> Node | None:
    row = await cards.owned(viewer=info.context.viewer, card_id=key) if info.context.viewer else None
    return Card.of(row) if row else None


async def _profile(info: Info, key: UUID) -> Node | None:
    viewer = info.context.viewer
    row = await identity.profile(viewer=viewer) if viewer and viewer.user_id == key else None
    return Profile.of(row) if row else None


async def _top_up(info: Info, key: UUID) -> Node | None:
    row = await top_ups.owned(viewer=info.context.viewer, top_up_id=key) if info.context.viewer else None
    return TopUp.of(row) if row else None


FINDERS: dict[str, Callable[[Info, UUID], Awaitable[Node | None]]] = {
    "Card": _card,
    "Offer": offer_by_key,
    "Order": _order,
    "Price": price_by_key,
    "PriceZone": zone_by_key,
    "Profile": _profile,
    "Station": station_by_key,
    "TopUp": _top_up,
    "Webhook": webhook_by_key,
}
