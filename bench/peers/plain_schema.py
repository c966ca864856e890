"""Plain strawberry's types and queries: what a competent newcomer writes with the library's documentation at hand.

The same subset of the schema with the same answers, with data loaders for relations and no caches.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, NewType
from uuid import UUID

import strawberry

from bench.peers import records
from bench.peers.records import Context, moment_text, unit_yuan
from kernel.money import Money as Amount
from kernel.states import CardBrand, FailureKind, OrderState, Product, RefundState, StationBrand
from models.orders import RechargeOrder
from models.pricing import Price as PriceRow
from models.stations import Station as StationRow

for enum in (CardBrand, FailureKind, OrderState, Product, RefundState, StationBrand):
    strawberry.enum(enum)


DateTime = NewType("DateTime", datetime)
Yuan = NewType("Yuan", Decimal)
SCALARS: dict[object, Any] = {
    DateTime: strawberry.scalar(name="DateTime", serialize=moment_text, parse_value=datetime.fromisoformat),
    Yuan: strawberry.scalar(name="Yuan", serialize=str, parse_value=Decimal),
}

Info = strawberry.Info[Context, None]


def global_id(name: str, key: UUID) -> strawberry.ID:
    return strawberry.ID(records.global_id(name, key))


@strawberry.type
class Money:
    fen: int
    yuan: str
    text: str


def money(fen: int) -> Money:
    amount = Amount(fen)
    return Money(fen=fen, yuan=amount.yuan, text=amount.text)


@strawberry.type
class UnitPrice:
    milliyuan: int
    yuan: str
    text: str


@strawberry.type
class Price:
    id: strawberry.ID
    product: Product
    unit_price: UnitPrice
    effective_from: DateTime
    source: str
    source_url: str


def price(row: PriceRow) -> Price:
    yuan = unit_yuan(row.milliyuan_per_litre)
    return Price(
        id=global_id("Price", row.id),
        product=row.product,
        unit_price=UnitPrice(milliyuan=row.milliyuan_per_litre, yuan=yuan, text=f"¥{yuan}/L"),
        effective_from=DateTime(row.effective_from),
        source=row.source,
        source_url=row.source_url,
    )


@strawberry.type
class PriceZone:
    id: strawberry.ID
    province_code: str
    province_name: str
    code: str
    name: str


@strawberry.input
class LocationInput:
    latitude: float
    longitude: float


@strawberry.type
class Location:
    latitude: float
    longitude: float


@strawberry.type
class Station:
    row: strawberry.Private[StationRow]
    id: strawberry.ID
    name: str
    brand: StationBrand
    address: str
    province: str
    city: str
    district: str
    location: Location

    @strawberry.field
    async def zone(self, info: Info) -> PriceZone | None:
        if self.row.zone_id is None:
            return None
        row = await info.context.zones.load(self.row.zone_id)
        return PriceZone(
            id=global_id("PriceZone", row.id),
            province_code=row.province_code,
            province_name=row.province_name,
            code=row.code,
            name=row.name,
        )

    @strawberry.field
    async def prices(self, info: Info) -> list[Price]:
        if self.row.zone_id is None:
            return []
        return [price(row) for row in await info.context.prices.load(self.row.zone_id)]


def station(row: StationRow) -> Station:
    return Station(
        row=row,
        id=global_id("Station", row.id),
        name=row.name,
        brand=row.brand,
        address=row.address,
        province=row.province,
        city=row.city,
        district=row.district,
        location=Location(latitude=row.latitude, longitude=row.longitude),
    )


@strawberry.type
class PageInfo:
    has_next_page: bool


@strawberry.type
class StationEdge:
    distance: int
    node: Station


@strawberry.type
class StationConnection:
    edges: list[StationEdge]
    page_info: PageInfo


@strawberry.type
class Card:
    id: strawberry.ID
    brand: CardBrand
    masked_number: str


@strawberry.type
class Order:
    card_id: strawberry.Private[UUID]
    id: strawberry.ID
    state: OrderState
    amount: Money
    failure_kind: FailureKind | None
    refund_state: RefundState
    pay_deadline_at: DateTime
    created_at: DateTime

    @strawberry.field
    async def card(self, info: Info) -> Card:
        row = await info.context.cards.load(self.card_id)
        return Card(id=global_id("Card", row.id), brand=row.brand, masked_number=f"**** {row.number_tail}")


def order(row: RechargeOrder) -> Order:
    return Order(
        card_id=row.card_id,
        id=global_id("Order", row.id),
        state=row.state,
        amount=money(row.amount_fen),
        failure_kind=row.failure_kind,
        refund_state=row.refund_state,
        pay_deadline_at=DateTime(row.pay_deadline_at),
        created_at=DateTime(row.created_at),
    )


@strawberry.type
class OrderEdge:
    node: Order


@strawberry.type
class OrderConnection:
    edges: list[OrderEdge]
    page_info: PageInfo


@strawberry.type
class Profile:
    id: strawberry.ID
    display_name: str
    registered_at: DateTime


@strawberry.type
class Wallet:
    balance: Money


@strawberry.type
class Viewer:
    user_id: strawberry.Private[UUID]
    profile: Profile

    @strawberry.field
    async def wallet(self) -> Wallet:
        return Wallet(balance=money(await records.balance_fen_of(self.user_id)))

    @strawberry.field
    async def orders(self, first: int = 20) -> OrderConnection:
        rows, has_more = await records.orders_of(self.user_id, first)
        return OrderConnection(
            edges=[OrderEdge(node=order(row)) for row in rows], page_info=PageInfo(has_next_page=has_more)
        )


@strawberry.type
class Query:
    @strawberry.field
    async def station(self, id: strawberry.ID) -> Station | None:
        row = await records.station_by_id(id)
        return station(row) if row else None

    @strawberry.field
    async def stations(self, near: LocationInput, radius: int = 5_000, first: int = 20) -> StationConnection:
        nearest = await records.nearest(latitude=near.latitude, longitude=near.longitude, radius_m=radius, first=first)
        return StationConnection(
            edges=[StationEdge(distance=distance, node=station(row)) for distance, row in nearest.found],
            page_info=PageInfo(has_next_page=nearest.has_more),
        )

    @strawberry.field
    async def viewer(self, info: Info) -> Viewer | None:
        row = await records.user_by_id(info.context.user_id)
        if row is None:
            return None
        profile = Profile(
            id=global_id("Profile", row.id), display_name=row.display_name, registered_at=DateTime(row.created_at)
        )
        return Viewer(user_id=row.id, profile=profile)
