"""Filling stations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, cast
from uuid import UUID

import strawberry

from domain.stations import queries
from domain.stations.facts import StationFacts
from domain.stations.geo import Location
from domain.stations.queries import NearbyStation
from domain.stations.tree import PlaceTree
from models.lean import in_one_statement
from schema.types.ahead import ahead_of
from schema.types.context import Context, Info
from schema.types.enums import Product, StationSort
from schema.types.prices import After, First
from schema.types.refusals import refusals
from schema.types.relay import key_of, page_size
from schema.types.stations import (
    PRICES,
    ZONE,
    ZONE_OF_PRICE,
    LocationInput,
    Placed,
    Station,
    StationConnection,
    StationPage,
    cheapest_after,
    cheapest_place,
    listed_after,
    listed_place,
    nearest_after,
)

RADIUS_DEFAULT_M = 5_000
# What the row of a station and its key take, measured.
ROW_BYTES = 1_200


async def station(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The station's id.")]
) -> Station | None:
    key = key_of(id, "Station")
    return await station_by_key(info, key) if key else None


async def station_by_key(info: Info, key: UUID) -> Station | None:
    (row,) = await rows_of(info, [key])
    return Station.of(row) if row else None


class KnownIndex:
    """The index of stations, which is brought up to date where something may have changed since it last was."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def current(self) -> PlaceTree:
        kept, stations = self._context.fragments, self._context.services.stations
        if kept is not None and kept.get(KnownIndex):
            return stations.tree
        tree = await stations.current()
        if kept is not None:
            kept.keep(KnownIndex, True, size_bytes=0)
        return tree


async def rows_of(info: Info, keys: Sequence[UUID]) -> Sequence[StationFacts | None]:
    """Return the rows of stations, None where there is none. Those that are kept are not read."""
    context = info.context
    kept = context.fragments
    if kept is None:
        return await _read_rows(info, keys)
    rows: list[StationFacts | None] = [kept.get((StationFacts, key)) for key in keys]
    missing = [key for key, row in zip(keys, rows, strict=True) if row is None]
    if not missing:
        return rows
    found = iter(await _read_rows(info, missing))
    for place, row in enumerate(rows):
        if row is None:
            rows[place] = read = next(found)
            if read is not None and kept.wants((StationFacts, read.id)):
                kept.keep((StationFacts, read.id), read, size_bytes=ROW_BYTES)
    return rows


async def _read_rows(info: Info, keys: Sequence[UUID]) -> Sequence[StationFacts | None]:
    """Read rows of stations, and what they lead to along with them where that is selected."""
    loaders, ahead = info.context.loaders, ahead_of(info)
    if ahead is None:
        return await loaders.stations.load_many(keys)
    shape = ahead.shape(Station) if info.context.fragments is None and in_one_statement() else None
    if shape is not None:
        # Whoever shows them reads nothing of them but what is in the shape, and their ids.
        return cast(
            "list[StationFacts | None]", await loaders.shaped_stations.load_many([(key, shape) for key in keys])
        )
    if not ahead.asked(PRICES):
        return await loaders.stations.load_many(keys)
    zones = [each for each in (ZONE, ZONE_OF_PRICE) if ahead.asked(each)]
    found = await (loaders.whole_stations if zones else loaders.priced_stations).load_many(keys)
    prices, named = ahead.known(PRICES), [ahead.known(each) for each in zones]
    for each in found:
        if each is not None and (zone_id := each.station.zone_id):
            prices[zone_id] = each.prices
            for known in named:
                known[zone_id] = each.zone
    return [each and each.station for each in found]


async def stations(
    info: Info,
    near: Annotated[
        LocationInput | None,
        strawberry.argument(description="Search around this place; without it every station is listed."),
    ] = None,
    radius: Annotated[
        int, strawberry.argument(description="How far from `near` to search, in metres, up to 50 km.")
    ] = RADIUS_DEFAULT_M,
    product: Annotated[
        Product | None, strawberry.argument(description="Only stations that have a price of it (or, to sort by).")
    ] = None,
    sort: Annotated[
        StationSort, strawberry.argument(description="PRICE needs `near` and `product`.")
    ] = StationSort.DISTANCE,
    first: First = 20,
    after: After = None,
) -> StationConnection:
    limit = page_size(first, maximum=info.context.services.settings.page_size_max) + 1
    with refusals(info):
        if near is None:
            rows: Sequence[Placed | NearbyStation] = await _listed(info, product, sort, after, limit)
        elif sort is StationSort.PRICE:
            rows = await _cheapest(info, near, radius, product, after, limit)
        else:
            rows = await _nearest(info, near, radius, product, after, limit)
    return StationConnection.of(StationPage.of(rows, first=first, after=after))


async def _listed(
    info: Info, product: Product | None, sort: StationSort, after: str | None, limit: int
) -> list[Placed]:
    rows = await queries.listed(
        product=product, sort=sort, after=listed_after(after), limit=limit, now=info.context.now
    )
    return [listed_place(row) for row in rows]


async def _nearest(
    info: Info, near: LocationInput, radius_m: int, product: Product | None, after: str | None, limit: int
) -> list[NearbyStation]:
    return await queries.nearest(
        index=KnownIndex(info.context),
        near=Location(near.latitude, near.longitude),
        radius_m=radius_m,
        radius_max_m=info.context.services.settings.search_radius_max_m,
        product=product,
        after=nearest_after(after),
        limit=limit,
        now=info.context.now,
        rows_of=partial(rows_of, info),
    )


async def _cheapest(
    info: Info, near: LocationInput, radius_m: int, product: Product | None, after: str | None, limit: int
) -> list[Placed]:
    rows = await queries.cheapest(
        index=KnownIndex(info.context),
        near=Location(near.latitude, near.longitude),
        radius_m=radius_m,
        radius_max_m=info.context.services.settings.search_radius_max_m,
        product=product,
        after=cheapest_after(after),
        limit=limit,
        now=info.context.now,
        rows_of=partial(rows_of, info),
    )
    return [cheapest_place(row) for row in rows]
