"""Reading stations and searching what is near."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeAlias
from uuid import UUID

from domain.pricing.queries import current, priced_zones
from domain.stations.facts import FACTS, StationFacts, facts_of
from domain.stations.geo import Location
from domain.stations.tree import Found, PlaceTree, Spot
from kernel.errors import YoukaError
from kernel.states import Product
from models.lean import Statement, fetch
from models.stations import Station

BY_IDS = Statement(
    postgres=f"SELECT {FACTS} FROM station WHERE id = ANY($1::uuid[]) ORDER BY id",  # noqa: S608 - no input
    sqlite=f"SELECT {FACTS} FROM station WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id",  # noqa: S608
)


# How the rows of stations are read; who has a loader reads them together with what others ask for.
RowsOf: TypeAlias = "Callable[[list[UUID]], Awaitable[Sequence[StationFacts | None]]]"


class Index(Protocol):
    """Where the nearest stations are found."""

    async def current(self) -> PlaceTree: ...


class StationSort(StrEnum):
    DISTANCE = "DISTANCE"
    PRICE = "PRICE"


class RadiusInvalid(YoukaError):
    code = "RADIUS_INVALID"
    messages = {"zh-CN": "搜索半径须在1至{maximum}米之间", "en": "The radius is from 1 to {maximum} metres"}


class ProductRequired(YoukaError):
    code = "PRODUCT_REQUIRED"
    messages = {"zh-CN": "按价格排序须指定油品", "en": "Sorting by price needs a product"}


class LocationRequired(YoukaError):
    code = "LOCATION_REQUIRED"
    messages = {"zh-CN": "按价格排序须提供位置", "en": "Sorting by price needs a location"}


@dataclass(frozen=True, slots=True)
class PricedSpot:
    """Where a station stands in the list of the cheapest ones; those without the price (None) stand last."""

    milliyuan: int | None
    spot: Spot


class NearbyStation(NamedTuple):
    """A station with its distance. `milliyuan` is the price it was sorted by, None where it was not or has none."""

    station: StationFacts
    spot: Found
    milliyuan: int | None = None

    @property
    def key(self) -> tuple[int, UUID]:
        """The sort key by which its place in a list by distance is found again."""
        return self.spot.distance_mm, self.spot.station_id

    @property
    def distance_m(self) -> float:
        return self.spot.distance_m


async def by_id(station_id: UUID) -> Station | None:
    return await Station.get_or_none(id=station_id)


async def by_ids(station_ids: Sequence[UUID]) -> list[StationFacts | None]:
    """Return the stations in the order of their ids, None where there is none."""
    found = {station.id: station for station in map(facts_of, await fetch(BY_IDS, list(station_ids)))}
    return [found.get(station_id) for station_id in station_ids]


async def zones_of(station_ids: Sequence[UUID]) -> dict[UUID, UUID | None]:
    """Return the price zone of each station there is; None for one that lies in none."""
    rows = await Station.filter(id__in=set(station_ids)).values_list("id", "zone_id")
    return dict(rows)


async def any_station() -> bool:
    return await Station.all().exists()


async def count_of(*, source_keys: Collection[str]) -> int:
    """Return how many of the stations with these source keys there are."""
    return await Station.filter(source_key__in=list(source_keys)).count()


async def listed(
    *, product: Product | None, sort: StationSort, after: UUID | None, limit: int, now: datetime
) -> list[Station]:
    """Return up to `limit` stations behind the one named, by id, which follows the time of their import.

    With a product, only those whose zone has a price of it now. Raises LocationRequired where they should be sorted by
    price: the cheapest of a whole country helps nobody.
    """
    if sort is StationSort.PRICE:
        raise LocationRequired
    rows = Station.filter(id__gt=after) if after else Station.all()
    if product:
        rows = rows.filter(zone_id__in=list(await priced_zones(product=product, now=now)))
    return await rows.order_by("id").limit(limit)


async def nearest(
    *,
    index: Index,
    near: Location,
    radius_m: int,
    radius_max_m: int,
    product: Product | None,
    after: Spot | None,
    limit: int,
    now: datetime,
    rows_of: RowsOf | None = None,
) -> list[NearbyStation]:
    """Return up to `limit` stations behind `after`, nearest first; with a product, only those that have its price.

    Raises RadiusInvalid.
    """
    _check_radius(radius_m, radius_max_m)
    tree = await index.current()
    zones = None
    if product:
        zones = list(await _prices_within(tree, near, radius_m, product, now))
    found = tree.nearest(near, radius_m=radius_m, limit=limit, after=after, zones=zones)
    return await _with_rows(found, [None] * len(found), rows_of)


async def cheapest(
    *,
    index: Index,
    near: Location,
    radius_m: int,
    radius_max_m: int,
    product: Product | None,
    after: PricedSpot | None,
    limit: int,
    now: datetime,
    rows_of: RowsOf | None = None,
) -> list[NearbyStation]:
    """Return up to `limit` stations behind `after`, the cheapest first, then the nearest, then those without a price.

    Raises RadiusInvalid and ProductRequired.
    """
    _check_radius(radius_m, radius_max_m)
    if product is None:
        raise ProductRequired
    tree = await index.current()
    prices = await _prices_within(tree, near, radius_m, product, now)
    # Everybody in a zone has one price, so the list is the zones' lists, one price after another.
    zones: dict[int | None, list[UUID | None]] = defaultdict(list)
    for zone_id in tree.zones_within(near, radius_m):
        zones[prices.get(zone_id) if zone_id else None].append(zone_id)
    found: list[Found] = []
    prices_found: list[int | None] = []
    for milliyuan in sorted(zones, key=_last_without_price):
        behind = after.spot if after and after.milliyuan == milliyuan else None
        if after and not behind and _last_without_price(milliyuan) < _last_without_price(after.milliyuan):
            continue
        missing = limit - len(found)
        if missing <= 0:
            break
        spots = tree.nearest(near, radius_m=radius_m, limit=missing, after=behind, zones=zones[milliyuan])
        found += spots
        prices_found += [milliyuan] * len(spots)
    return await _with_rows(found, prices_found, rows_of)


def _check_radius(radius_m: int, radius_max_m: int) -> None:
    if not 1 <= radius_m <= radius_max_m:
        raise RadiusInvalid(maximum=radius_max_m)


def _last_without_price(milliyuan: int | None) -> tuple[bool, int]:
    return milliyuan is None, milliyuan or 0


async def _prices_within(
    tree: PlaceTree, near: Location, radius_m: int, product: Product, now: datetime
) -> dict[UUID, int]:
    """Return what the product costs in each zone within the radius that has a price of it."""
    zone_ids = {zone_id for zone_id in tree.zones_within(near, radius_m) if zone_id}
    prices = await current(zone_ids=zone_ids, now=now, product=product)
    return {zone_id: of_zone[0].milliyuan for zone_id, of_zone in prices.items()}


async def _with_rows(
    found: Sequence[Found], prices: Sequence[int | None], rows_of: RowsOf | None
) -> list[NearbyStation]:
    rows = await (rows_of or by_ids)([spot.station_id for spot in found]) if found else []
    made = tuple.__new__
    # A station deleted in this very moment is left out; the next page does not miss it.
    return [made(NearbyStation, placed) for placed in zip(rows, found, prices, strict=True) if placed[0] is not None]
