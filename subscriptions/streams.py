"""The fields of Subscription: who may follow what, from where, and what each event becomes.

Each function refuses before it returns its generator, so that a client is told by an `error` instead of by an empty
stream.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any
from uuid import UUID

import strawberry
from graphql import GraphQLError

from domain.events.queries import head
from domain.events.streams import PRICES, arrivals_stream, order_stream
from domain.identity.viewer import Viewer
from domain.orders import queries as orders
from domain.pricing import queries as prices
from domain.stations import queries as stations
from kernel.errors import YoukaError
from kernel.logs import get_logger
from models.orders import RechargeOrder
from schema.types.context import Info
from schema.types.enums import Product
from schema.types.notices import ArrivalEvent, OrderEvent, PriceChangeEvent
from schema.types.relay import CursorMalformed, decode_cursor, key_of
from subscriptions.hub import steadily

log = get_logger(__name__)

STATIONS_FOLLOWED_MAX = 100

After = Annotated[
    str | None,
    strawberry.argument(description="The cursor of the last event you have; without it you start with the next one."),
]


class NothingFound(YoukaError):
    """Also where it is somebody else's: the answer must not tell the two apart."""

    code = "NOT_FOUND"
    messages = {"zh-CN": "没有找到", "en": "There is no such thing"}


class StationIdsInvalid(YoukaError):
    code = "STATION_IDS_INVALID"
    messages = {
        "zh-CN": "请给出 1 到 {maximum} 个加油站",
        "en": "Name from 1 to {maximum} stations, or leave stationIds out for all of them",
    }


class CursorInvalid(YoukaError):
    code = "CURSOR_INVALID"
    messages = {"zh-CN": "游标不属于这个订阅", "en": "The cursor is not one of this subscription"}


async def arrivals(info: Info, after: After = None) -> AsyncGenerator[ArrivalEvent, None]:
    viewer = info.context.signed_in
    stream = arrivals_stream(viewer.user_id)
    return _arrivals(info, viewer, stream, await _start(info, stream, after))


async def order_updated(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="One of your orders.")],
    after: Annotated[
        str | None,
        strawberry.argument(
            description="The cursor of the last event you have; without it you get the order as it is, first."
        ),
    ] = None,
) -> AsyncGenerator[OrderEvent, None]:
    viewer = info.context.signed_in
    order_id = key_of(id, "Order")
    if order_id is None:
        raise _refusal(info, NothingFound())
    # The position first and the order second: what changes in between is in the order, and is then left out below.
    stream = order_stream(order_id)
    newest = await head(stream)
    order = await orders.owned(viewer=viewer, order_id=order_id)
    if order is None:
        raise _refusal(info, NothingFound())
    position = newest if after is None else _position(info, stream, after, newest)
    return _order_updates(info, viewer, order, position, shows_first=after is None)


async def price_changes(
    info: Info,
    station_ids: Annotated[
        list[strawberry.ID] | None,
        strawberry.argument(
            description=f"Only prices at these stations, 1 to {STATIONS_FOLLOWED_MAX}; without it, everywhere."
        ),
    ] = None,
    product: Annotated[
        Product | None, strawberry.argument(description="Only prices of this product; without it, of all.")
    ] = None,
    after: After = None,
) -> AsyncGenerator[PriceChangeEvent, None]:
    followed = None if station_ids is None else await _stations(info, station_ids)
    return _price_changes(info, followed, product, await _start(info, PRICES, after))


async def _arrivals(info: Info, viewer: Viewer, stream: str, after: int) -> AsyncGenerator[ArrivalEvent, None]:
    async with aclosing(info.context.services.events.follow(stream, after=after)) as events:
        async for event in events:
            order = await _order(viewer, UUID(event.payload["order_id"]))
            if order:
                yield ArrivalEvent.of(event, order=order, locale=info.context.locale)


async def _order_updates(
    info: Info, viewer: Viewer, order: RechargeOrder, after: int, *, shows_first: bool
) -> AsyncGenerator[OrderEvent, None]:
    stream = order_stream(order.id)
    shown_version = 0
    if shows_first:
        yield OrderEvent.of(stream, order=order)
        shown_version = order.version
    async with aclosing(info.context.services.events.follow(stream, after=after)) as events:
        async for event in events:
            if event.payload["version"] <= shown_version:
                continue
            current = await _order(viewer, order.id)
            if current:
                shown_version = current.version
                yield OrderEvent.of(stream, order=current)


async def _price_changes(
    info: Info, station_ids: Sequence[UUID] | None, product: Product | None, after: int
) -> AsyncGenerator[PriceChangeEvent, None]:
    async with aclosing(info.context.services.events.follow(PRICES, after=after)) as events:
        async for event in events:
            if product and event.payload["product"] != product.value:
                continue
            if station_ids is not None and not await _lies_at(station_ids, event.payload):
                continue
            price_id = UUID(event.payload["price_id"])
            (price,) = await steadily(lambda price_id=price_id: prices.prices_by_ids([price_id]), doing="read a price")  # type: ignore[misc]
            if price:
                yield PriceChangeEvent.of(event, price=price)


async def _order(viewer: Viewer, order_id: UUID) -> RechargeOrder | None:
    order = await steadily(lambda: orders.owned(viewer=viewer, order_id=order_id), doing="read an order")
    if order is None:
        log.error("stream.order_missing", order_id=str(order_id))
    return order


async def _lies_at(station_ids: Sequence[UUID], payload: dict[str, Any]) -> bool:
    """Whether one of the stations lies in the price's zone, now: stations are moved between zones."""
    zones = await steadily(lambda: stations.zones_of(station_ids), doing="read zones")
    return UUID(payload["zone_id"]) in zones.values()


async def _stations(info: Info, ids: Sequence[str]) -> list[UUID]:
    if not 1 <= len(ids) <= STATIONS_FOLLOWED_MAX:
        raise _refusal(info, StationIdsInvalid(maximum=STATIONS_FOLLOWED_MAX))
    keys = {key_of(each, "Station") for each in ids}
    known = {key for key in keys if key}
    if len(known) != len(keys) or (await stations.zones_of(list(known))).keys() != known:
        raise _refusal(info, NothingFound())
    return sorted(known)


async def _start(info: Info, stream: str, after: str | None) -> int:
    newest = await head(stream)
    return newest if after is None else _position(info, stream, after, newest)


def _position(info: Info, stream: str, after: str, newest: int) -> int:
    """Read a cursor. Nonsense, a cursor of another stream and one that is yet to come are CURSOR_INVALID."""
    try:
        name, position = decode_cursor(after, str, _whole)
    except CursorMalformed:
        raise _refusal(info, CursorInvalid()) from None
    if name != stream or not 0 <= position <= newest:
        raise _refusal(info, CursorInvalid())
    return int(position)


def _whole(part: Any) -> int:
    if isinstance(part, bool) or not isinstance(part, int):
        raise ValueError("not a position")
    return part


def _refusal(info: Info, error: YoukaError) -> GraphQLError:
    return GraphQLError(error.message(info.context.locale), extensions={"code": error.code, **error.values})
