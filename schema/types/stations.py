"""Filling stations as clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self
from uuid import UUID

import strawberry

from domain.pricing.queries import END_OF_TIME, HistoryPage
from domain.stations.driving import estimate
from domain.stations.gcj02 import from_wgs84
from domain.stations.geo import MM_PER_M
from domain.stations.geo import Location as GeoLocation
from domain.stations.queries import NearbyStation, PricedSpot
from domain.stations.tree import Spot
from models.stations import Station as StationRow
from schema.types.context import Info
from schema.types.enums import Product, StationBrand
from schema.types.places import DrivingDistance, MapLocationInput
from schema.types.prices import After, First, Price, PriceConnection, PriceZone, history_after, history_page
from schema.types.relay import Node, PageInfo, decode_cursor, encode_cursor, global_id, page_info, page_size, read_id

DISTANCE_MAX_MM = 1 << 40


@strawberry.input(description="A place on the globe (WGS 84).")
class LocationInput:
    latitude: float = strawberry.field(description="Degrees north of the equator, from -90 to 90.")
    longitude: float = strawberry.field(description="Degrees east of Greenwich, from -180 to 180.")


@strawberry.type(description="A place on the globe, as the source of the data gives it.")
class Location:
    latitude: float = strawberry.field(description="Degrees north of the equator, from -90 to 90.")
    longitude: float = strawberry.field(description="Degrees east of Greenwich, from -180 to 180.")


@strawberry.type(description="A filling station.")
class Station(Node):
    name: str = strawberry.field(description="Such as `中国石化(康健加油站)`.")
    brand: StationBrand = strawberry.field(description="Whose sign stands there.")
    address: str = strawberry.field(description="Street and number; empty where the source has none.")
    province: str = strawberry.field(description="Province or municipality, such as `上海市`.")
    city: str = strawberry.field(description="City or prefecture, such as `上海市`.")
    district: str = strawberry.field(description="District or county, such as `徐汇区`.")
    location: Location = strawberry.field(description="Where it stands.")
    zone_id: strawberry.Private[UUID | None]

    @strawberry.field(description="The price zone it lies in; null where its place is in none that is known.")
    async def zone(self, info: Info) -> PriceZone | None:
        row = await info.context.loaders.zones.load(self.zone_id) if self.zone_id else None
        return PriceZone.of(row) if row else None

    @strawberry.field(description="The official prices in force here now, by product.")
    async def prices(
        self,
        info: Info,
        product: Annotated[Product | None, strawberry.argument(description="Only this product.")] = None,
    ) -> list[Price]:
        rows = await info.context.loaders.current_prices.load(self.zone_id) if self.zone_id else []
        return [Price.of(row) for row in rows if product in (None, row.product)]

    @strawberry.field(description="The prices of a product here up to now, newest first.")
    async def price_history(
        self,
        info: Info,
        product: Annotated[Product, strawberry.argument(description="Whose prices.")],
        first: First = 20,
        after: After = None,
    ) -> PriceConnection:
        limit = page_size(first, maximum=info.context.services.settings.page_size_max) + 1
        before = history_after(after) or END_OF_TIME
        page = HistoryPage(self.zone_id, product, before, limit) if self.zone_id else None
        rows = await info.context.loaders.price_history.load(page) if page else []
        return history_page(rows, page=page, after=after)

    @strawberry.field(description="How far it is to drive here; estimated where the map service does not say.")
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

    @classmethod
    def of(cls, row: StationRow) -> Self:
        return cls(
            id=global_id("Station", row.id),
            name=row.name,
            brand=row.brand,
            address=row.address,
            province=row.province,
            city=row.city,
            district=row.district,
            location=Location(latitude=row.latitude, longitude=row.longitude),
            zone_id=row.zone_id,
        )


@strawberry.type(description="One station of a page.")
class StationEdge:
    cursor: str = strawberry.field(description="The place of this station in the list.")
    node: Station = strawberry.field(description="The station itself.")
    distance: int | None = strawberry.field(description="Metres from `near`, as the crow flies; null without `near`.")


@strawberry.type(description="A page of stations, in the order that was asked for.")
class StationConnection:
    edges: list[StationEdge] = strawberry.field(description="The stations of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page ends.")

    @classmethod
    def of(cls, edges: Sequence[StationEdge], *, first: int, after: str | None) -> Self:
        """One edge more than the page tells that there is a next one."""
        shown = list(edges[:first])
        return cls(edges=shown, page_info=page_info(shown, has_next_page=len(edges) > first, after=after))


def listed_edge(row: StationRow) -> StationEdge:
    return StationEdge(cursor=encode_cursor(row.id), node=Station.of(row), distance=None)


def nearest_edge(row: NearbyStation) -> StationEdge:
    return _edge(row, encode_cursor(row.spot.distance_mm, row.spot.station_id))


def cheapest_edge(row: NearbyStation) -> StationEdge:
    return _edge(row, encode_cursor(row.milliyuan, row.spot.distance_mm, row.spot.station_id))


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


def _edge(row: NearbyStation, cursor: str) -> StationEdge:
    # Half a metre more or less is far below what coordinates of stations are worth.
    return StationEdge(cursor=cursor, node=Station.of(row.station), distance=round(row.spot.distance_mm / MM_PER_M))


def _distance_mm(part: Any) -> int:
    if type(part) is not int or not 0 <= part <= DISTANCE_MAX_MM:
        raise ValueError("not a distance")
    return part


def _milliyuan(part: Any) -> int | None:
    if part is not None and (type(part) is not int or part <= 0):
        raise ValueError("not a price")
    return part
