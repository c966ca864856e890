"""`priceChanges`: official prices that are others from now on, the same for everybody."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

import strawberry

from domain.events.cursors import GapReason, Standing, Start
from domain.events.queries import standing_of
from domain.events.streams import PRICES
from domain.pricing import queries as pricing
from domain.stations import queries as stations
from domain.stations.feed import Circle, Everywhere, Place
from domain.stations.geo import Location
from kernel.errors import YoukaError
from schema.types.context import Info
from schema.types.enums import Product
from schema.types.price_events import PriceChangeEvent, PriceGap, PriceStreamEvent
from schema.types.refusals import refusals
from schema.types.relay import key_of
from schema.types.stations import LocationInput
from schema.types.streams import After
from subscriptions.hub import steadily
from subscriptions.streams.following import NothingFound, follow

STATIONS_FOLLOWED_MAX = 100
RADIUS_DEFAULT_M = 5_000


class StationIdsInvalid(YoukaError):
    code = "STATION_IDS_INVALID"
    messages = {
        "zh-CN": "请给出 1 到 {maximum} 个加油站",
        "en": "Name from 1 to {maximum} stations, or leave stationIds out for all of them",
    }


class PlaceAmbiguous(YoukaError):
    code = "PLACE_AMBIGUOUS"
    messages = {
        "zh-CN": "stationIds、near、zone只能给出其中一个",
        "en": "Give one of stationIds, near and zone, or none of them",
    }


async def price_changes(
    info: Info,
    station_ids: Annotated[
        list[strawberry.ID] | None,
        strawberry.argument(
            description=f"Only prices at these stations, 1 to {STATIONS_FOLLOWED_MAX}. A station that comes into "
            "another zone is followed there."
        ),
    ] = None,
    near: Annotated[
        LocationInput | None, strawberry.argument(description="Only prices at stations around this place.")
    ] = None,
    radius: Annotated[
        int, strawberry.argument(description="How far from `near` these stations may be, in metres, up to 50 km.")
    ] = RADIUS_DEFAULT_M,
    zone: Annotated[strawberry.ID | None, strawberry.argument(description="Only prices of this price zone.")] = None,
    product: Annotated[
        Product | None, strawberry.argument(description="Only prices of this product; without it, of all.")
    ] = None,
    after: After = None,
) -> AsyncGenerator[PriceStreamEvent, None]:
    with refusals(info):
        if sum(given is not None for given in (station_ids, near, zone)) > 1:
            raise PlaceAmbiguous
        place: Place = Everywhere()
        if station_ids is not None:
            place = await _stations(station_ids)
        elif near is not None:
            place = _circle(near, radius, info.context.services.settings.search_radius_max_m)
        elif zone is not None:
            place = await _zone(zone)
        start = Start.at(await standing_of(PRICES), after)
    return _price_changes(info, place, product, start)


async def _price_changes(
    info: Info, place: Place, product: Product | None, start: Start
) -> AsyncGenerator[PriceStreamEvent, None]:
    feed, maximum = info.context.services.prices, info.context.services.settings.snapshot_prices_max

    async def gap(standing: Standing, reason: GapReason) -> PriceGap:
        prices = await feed.prices(place, product=product, limit=maximum + 1, now=info.context.now)
        return PriceGap.of(standing, reason, prices, maximum=maximum)

    async with aclosing(follow(info, start, gap)) as told:
        async for one in told:
            if isinstance(one, PriceGap):
                yield one
                continue
            event = one.event
            if product and event.payload["product"] != product.value:
                continue
            if not await steadily(lambda event=event: feed.reaches(event, place), doing="read zones"):  # type: ignore[misc]
                continue
            price = await steadily(lambda event=event: feed.price_of(event), doing="read a price")  # type: ignore[misc]
            if price:
                yield PriceChangeEvent.of(one.cursor, event, price=price)


async def _stations(ids: Sequence[str]) -> frozenset[UUID]:
    if not 1 <= len(ids) <= STATIONS_FOLLOWED_MAX:
        raise StationIdsInvalid(maximum=STATIONS_FOLLOWED_MAX)
    keys = {key_of(each, "Station") for each in ids}
    known = {key for key in keys if key}
    if len(known) != len(keys) or (await stations.zones_of(list(known))).keys() != known:
        raise NothingFound
    return frozenset(known)


def _circle(near: LocationInput, radius_m: int, radius_max_m: int) -> Circle:
    if not 1 <= radius_m <= radius_max_m:
        raise stations.RadiusInvalid(maximum=radius_max_m)
    return Circle(Location(near.latitude, near.longitude), radius_m)


async def _zone(identifier: str) -> UUID:
    key = key_of(identifier, "PriceZone")
    if key is None or await pricing.zones_by_ids([key]) == [None]:
        raise NothingFound
    return key
