"""`orderUpdated`: one order of the viewer, or of their organisation, as it is and at every change."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, TypeAlias
from uuid import UUID

import strawberry

from domain.events.cursors import GapReason, Standing, Start
from domain.events.queries import standing_of
from domain.events.streams import order_stream
from domain.identity.viewer import Viewer
from domain.orders import queries
from models.orders import RechargeOrder
from schema.types.context import Info
from schema.types.order_events import OrderEvent, OrderGap, OrderStreamEvent
from schema.types.refusals import refusals
from schema.types.relay import key_of
from subscriptions.hub import steadily
from subscriptions.streams.following import NothingFound, Told, follow, while_allowed

Followed: TypeAlias = Told | OrderGap | NothingFound


async def order_updated(
    info: Info,
    id: Annotated[
        strawberry.ID,
        strawberry.argument(description="One of your orders, or of your organisation's."),
    ],
    after: Annotated[
        str | None,
        strawberry.argument(
            description="The cursor of the last event you have; without it you get the order as it is, first."
        ),
    ] = None,
) -> AsyncGenerator[OrderStreamEvent, None]:
    viewer = info.context.signed_in
    order_id = key_of(id, "Order")
    with refusals(info):
        if order_id is None:
            raise NothingFound
        # The position first and the order second: what changes in between is in the order, and is then left out below.
        standing = await standing_of(order_stream(order_id))
        order = await queries.followed(viewer=viewer, order_id=order_id)
        if order is None:
            raise NothingFound
        start = Start.at(standing, after)
    return _order_updates(info, viewer, order, start, shows_first=after is None)


async def _order_updates(
    info: Info, viewer: Viewer, order: RechargeOrder, start: Start, *, shows_first: bool
) -> AsyncGenerator[OrderStreamEvent, None]:
    shown_version = 0
    if shows_first:
        yield OrderEvent.of(start.standing, order=order)
        shown_version = order.version

    async def gap(standing: Standing, reason: GapReason) -> OrderGap | NothingFound:
        nonlocal shown_version
        current = await queries.followed(viewer=viewer, order_id=order.id)
        if current is None:
            return NothingFound()
        shown_version = current.version
        return OrderGap.of(standing, reason, order=current)

    events = follow(info, start, gap)
    if order.organisation_id is not None:
        events = _while_allowed(info, viewer, order.id, order.organisation_id, events)
    with refusals(info):
        async with aclosing(events) as told:
            async for one in told:
                if isinstance(one, NothingFound):
                    raise one
                if isinstance(one, OrderGap):
                    yield one
                    continue
                if one.event.payload["version"] <= shown_version:
                    continue
                current = await _order(viewer, order.id)
                shown_version = current.version
                yield OrderEvent.of(one.standing, order=current)


async def _while_allowed(
    info: Info, viewer: Viewer, order_id: UUID, organisation_id: UUID, events: AsyncGenerator[Followed, None]
) -> AsyncGenerator[Followed, None]:
    """Yield what follows an organisation's order, for as long as the viewer may follow it."""

    async def still() -> bool:
        return await queries.followed(viewer=viewer, order_id=order_id) is not None

    async with aclosing(events):
        with info.context.services.memberships.changes(organisation_id) as changed:
            # What has changed since the subscription was allowed is asked about first.
            changed.set()
            async with aclosing(while_allowed(events, changed, still)) as shown:
                async for one in shown:
                    yield one


async def _order(viewer: Viewer, order_id: UUID) -> RechargeOrder:
    """Raises NothingFound where the viewer may not see the order any more."""
    order = await steadily(lambda: queries.followed(viewer=viewer, order_id=order_id), doing="read an order")
    if order is None:
        raise NothingFound
    return order
