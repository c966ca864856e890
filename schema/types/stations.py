"""Filling stations as clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, Self
from uuid import UUID

import strawberry

from domain.pricing.queries import END_OF_TIME, HistoryPage, NamedZone, PriceFacts, ZonePrice
from domain.stations.driving import estimate
from domain.stations.facts import StationFacts
from domain.stations.gcj02 import from_wgs84
from domain.stations.geo import Location as GeoLocation
from domain.stations.queries import NearbyStation, PricedSpot
from domain.stations.tree import Spot
from domain.voice import spoken
from models.stations import Station as StationRow
from schema.types import caching, columns, costs
from schema.types.context import Info
from schema.types.enums import Product, StationBrand
from schema.types.money import UnitPrice
from schema.types.places import DrivingDistance, MapLocationInput
from schema.types.prices import After, First, Price, PriceConnection, PriceZone, history_after, history_page
from schema.types.relations import parts_of, relation
from schema.types.relay import (
    Node,
    PageInfo,
    decode_cursor,
    encode_cursor,
    global_id,
    page_info,
    page_size,
    read_id,
)
from schema.types.rows import Entity, Joined, Made, OfRow
from schema.types.spoken import MaxChars, Speaking, locale_of

DISTANCE_MAX_MM = 1 << 40


@strawberry.input(description="A place on the globe (WGS 84).")
class LocationInput:
    latitude: float = strawberry.field(description="Degrees north of the equator, from -90 to 90.")
    longitude: float = strawberry.field(description="Degrees east of Greenwich, from -180 to 180.")


@strawberry.type(
    directives=[costs.FREE, caching.AS_ITS_PARENT],
    description="A place on the globe, as the source of the data gives it.",
)
class Location(OfRow[StationRow | StationFacts]):
    latitude: float = strawberry.field(description="Degrees north of the equator, from -90 to 90.")
    longitude: float = strawberry.field(description="Degrees east of Greenwich, from -180 to 180.")

    columns = columns.numbers("latitude", "longitude")


@strawberry.type(directives=[caching.AS_ITS_PARENT], description="A filling station.")
class Station(OfRow[StationRow | StationFacts], Node):
    name: str = strawberry.field(description="Such as `中国石化(康健加油站)`.")
    brand: StationBrand = strawberry.field(description="Whose sign stands there.")
    address: str = strawberry.field(description="Street and number; empty where the source has none.")
    province: str = strawberry.field(description="Province or municipality, such as `上海市`.")
    city: str = strawberry.field(description="City or prefecture, such as `上海市`.")
    district: str = strawberry.field(description="District or county, such as `徐汇区`.")
    location: Location = strawberry.field(description="Where it stands.")

    readers = {"id": lambda row: global_id("Station", row.id), "location": Made(Location)}
    entity = Entity(key="id", below=frozenset({Location, PriceZone, Price, UnitPrice}))
    row_name = "s"
    columns = {
        **columns.global_id("Station"),
        **columns.member("brand", StationBrand),
        **columns.texts("name", "address", "province", "city", "district"),
        "zone": Joined(PriceZone, "z", optional=True),
        "prices": Joined(Price, "p", many="prices", given={"product": None}),
    }

    @relation(
        lambda loaders: loaders.zones,
        by="zone_id",
        public=True,
        directives=[costs.READ],
        description="The price zone it lies in; null where its place is in none that is known.",
    )
    @staticmethod
    def zone(row: NamedZone | None) -> PriceZone | None:
        return PriceZone.of(row) if row else None

    @relation(
        lambda loaders: loaders.current_prices,
        by="zone_id",
        absent=(),
        public=True,
        directives=[costs.READ, costs.at_most(10)],
        description="The official prices in force here now, by product.",
    )
    @staticmethod
    def prices(
        rows: Sequence[ZonePrice | PriceFacts],
        product: Annotated[Product | None, strawberry.argument(description="Only this product.")] = None,
    ) -> list[Price]:
        return [Price.of(row) for row in rows if product in (None, row.product)]

    @strawberry.field(
        directives=[costs.READS, costs.PAGE], description="The prices of a product here up to now, newest first."
    )
    async def price_history(
        self,
        info: Info,
        product: Annotated[Product, strawberry.argument(description="Whose prices.")],
        first: First = 20,
        after: After = None,
    ) -> PriceConnection:
        limit = page_size(first, maximum=info.context.services.settings.page_size_max) + 1
        before = history_after(after) or END_OF_TIME
        zone_id = self.row.zone_id
        page = HistoryPage(zone_id, product, before, limit) if zone_id else None
        rows = await info.context.loaders.price_history.load(page) if page else []
        return history_page(rows, page=page, after=after)

    @strawberry.field(
        directives=[costs.cost(5)],
        description="How far it is to drive here; estimated where the map service does not say.",
    )
    async def driving_distance(
        self,
        info: Info,
        from_: Annotated[
            MapLocationInput, strawberry.argument(name="from", description="Where the way begins, in GCJ-02.")
        ],
    ) -> DrivingDistance:
        driving = info.context.services.driving
        here = from_wgs84(GeoLocation(self.location.latitude, self.location.longitude))
        origin = GeoLocation(from_.latitude, from_.longitude)
        drive = await info.context.loaders.drives.load((driving, origin, here)) if driving else estimate(origin, here)
        return DrivingDistance.of(drive)

    @strawberry.field(description="Its name and address, its name, or its sign, whatever fits whole; else null.")
    def spoken(self, info: Info, locale: Speaking = None, max_chars: MaxChars = 60) -> str | None:
        return spoken.station(self.name, self.brand, self.address, locale_of(info, locale), max_chars)


# What can be loaded along with stations.
ZONE, PRICES, ZONE_OF_PRICE = parts_of(Station, "zone"), parts_of(Station, "prices"), parts_of(Price, "zone")


class Placed(NamedTuple):
    """A station of a list: the sort key by which its place is found again, and how far it is, where that was asked."""

    key: tuple[Any, ...]
    station: StationRow | StationFacts
    distance_m: float | None = None


def _metres(row: Placed | NearbyStation) -> int | None:
    return None if row.distance_m is None else round(row.distance_m)


@strawberry.type(directives=[caching.AS_ITS_PARENT], description="One station of a page.")
class StationEdge(OfRow[Placed | NearbyStation]):
    cursor: str = strawberry.field(description="The place of this station in the list.")
    node: Station = strawberry.field(description="The station itself.")
    distance: int | None = strawberry.field(description="Metres from `near`, as the crow flies; null without `near`.")

    readers = {
        "cursor": lambda row: encode_cursor(*row.key),
        "node": Made(Station, "station"),
        "distance": _metres,
    }


class StationPage(NamedTuple):
    """A page of a list, what tells whether there is a next one, and what came before it."""

    rows: list[Placed | NearbyStation]
    has_next_page: bool
    after: str | None

    @classmethod
    def of(cls, rows: Sequence[Placed | NearbyStation], *, first: int, after: str | None) -> Self:
        """One row more than the page tells that there is a next one."""
        return cls(list(rows[:first]), len(rows) > first, after)


def _page_info(page: StationPage) -> PageInfo:
    ends = [StationEdge.of(row) for row in (*page.rows[:1], *page.rows[-1:])]
    return page_info(ends, has_next_page=page.has_next_page, after=page.after)


@strawberry.type(directives=[caching.AS_ITS_PARENT], description="A page of stations, in the order that was asked for.")
class StationConnection(OfRow["StationPage"]):
    edges: list[StationEdge] = strawberry.field(description="The stations of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page ends.")

    readers = {"edges": Made(StationEdge, "rows", many=True), "page_info": _page_info}


def listed_place(row: StationRow) -> Placed:
    return Placed((row.id,), row)


def cheapest_place(row: NearbyStation) -> Placed:
    spot = row.spot
    return Placed((row.milliyuan, spot.distance_mm, spot.station_id), row.station, spot.distance_m)


def listed_after(cursor: str | None) -> UUID | None:
    """Raises CursorMalformed, as the two below do."""
    return decode_cursor(cursor, read_id)[0] if cursor is not None else None


def nearest_after(cursor: str | None) -> Spot | None:
    return Spot(*decode_cursor(cursor, _distance_mm, read_id)) if cursor is not None else None


def cheapest_after(cursor: str | None) -> PricedSpot | None:
    if cursor is None:
        return None
    milliyuan, distance_mm, station_id = decode_cursor(cursor, _milliyuan, _distance_mm, read_id)
    return PricedSpot(milliyuan, Spot(distance_mm, station_id))


def _distance_mm(part: Any) -> int:
    if type(part) is not int or not 0 <= part <= DISTANCE_MAX_MM:
        raise ValueError("not a distance")
    return part


def _milliyuan(part: Any) -> int | None:
    if part is not None and (type(part) is not int or part <= 0):
        raise ValueError("not a price")
    return part
