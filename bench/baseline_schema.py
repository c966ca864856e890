"""The baseline's types and queries: what a competent newcomer writes with the libraries' own documentation at hand.

The same subset of the schema with the same answers. There are data loaders where the documentation asks for them and no
caches; nothing here knows how Youka does it.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from math import cos, radians
from typing import Any, NewType, TypeVar
from uuid import UUID

import strawberry
from strawberry.dataloader import DataLoader

from domain.stations.geo import distance_m
from kernel.clock import utc_now
from kernel.money import Money as Amount
from kernel.states import CardBrand, FailureKind, OrderState, Product, RefundState, StationBrand
from models.cards import FuelCard
from models.identity import User
from models.ledger import LedgerAccount
from models.orders import RechargeOrder
from models.pricing import Price as PriceRow
from models.pricing import PriceZone as ZoneRow
from models.stations import Station as StationRow

METRES_PER_DEGREE = 111_000

for enum in (CardBrand, FailureKind, OrderState, Product, RefundState, StationBrand):
    strawberry.enum(enum)


def serialize(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


DateTime = NewType("DateTime", datetime)
Yuan = NewType("Yuan", Decimal)
SCALARS: dict[object, Any] = {
    DateTime: strawberry.scalar(name="DateTime", serialize=serialize, parse_value=datetime.fromisoformat),
    Yuan: strawberry.scalar(name="Yuan", serialize=str, parse_value=Decimal),
}


def global_id(name: str, key: UUID) -> strawberry.ID:
    return strawberry.ID(base64.urlsafe_b64encode(f"{name}:{key}".encode()).decode().rstrip("="))


def key_of(value: str) -> UUID:
    return UUID(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode().partition(":")[2])


class Context:
    """What `get_context` makes for each request: who asks, and fresh loaders."""

    def __init__(self, user_id: UUID | None) -> None:
        self.user_id = user_id
        self.zones = DataLoader(load_fn=load_zones)
        self.prices = DataLoader(load_fn=load_prices)
        self.cards = DataLoader(load_fn=load_cards)


Info = strawberry.Info[Context, None]
Row = TypeVar("Row", ZoneRow, FuelCard)


def in_order(rows: list[Row], keys: list[UUID]) -> list[Row]:
    found = {row.id: row for row in rows}
    return [found[key] for key in keys]


async def load_zones(keys: list[UUID]) -> list[ZoneRow]:
    return in_order(await ZoneRow.filter(id__in=keys), keys)


async def load_cards(keys: list[UUID]) -> list[FuelCard]:
    return in_order(await FuelCard.filter(id__in=keys), keys)


async def load_prices(zone_ids: list[UUID]) -> list[list[PriceRow]]:
    rows = await PriceRow.filter(zone_id__in=zone_ids, effective_from__lte=utc_now()).order_by("effective_from")
    latest: dict[UUID, dict[Product, PriceRow]] = defaultdict(dict)
    for row in rows:
        latest[row.zone_id][row.product] = row
    return [[latest[zone_id][product] for product in Product if product in latest[zone_id]] for zone_id in zone_ids]


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
    yuan = f"{row.milliyuan_per_litre / 1000:.3f}"
    yuan = yuan.removesuffix("0")
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
        account = await LedgerAccount.get_or_none(code=f"customer_prepaid:{self.user_id}")
        return Wallet(balance=money(-account.balance_fen if account else 0))

    @strawberry.field
    async def orders(self, first: int = 20) -> OrderConnection:
        rows = await RechargeOrder.filter(user_id=self.user_id).order_by("-id").limit(first + 1)
        return OrderConnection(
            edges=[OrderEdge(node=order(row)) for row in rows[:first]],
            page_info=PageInfo(has_next_page=len(rows) > first),
        )


@strawberry.type
class Query:
    @strawberry.field
    async def station(self, id: strawberry.ID) -> Station | None:
        row = await StationRow.get_or_none(id=key_of(id))
        return station(row) if row else None

    @strawberry.field
    async def stations(self, near: LocationInput, radius: int = 5_000, first: int = 20) -> StationConnection:
        height = radius / METRES_PER_DEGREE
        width = height / cos(radians(near.latitude))
        rows = await StationRow.filter(
            latitude__gte=near.latitude - height,
            latitude__lte=near.latitude + height,
            longitude__gte=near.longitude - width,
            longitude__lte=near.longitude + width,
        )
        found = []
        for row in rows:
            distance = distance_m(near.latitude, near.longitude, row.latitude, row.longitude)
            if distance <= radius:
                found.append((round(distance * 1000), row.id, row))
        found.sort(key=lambda one: one[:2])
        return StationConnection(
            edges=[
                StationEdge(distance=round(distance / 1000), node=station(row)) for distance, _, row in found[:first]
            ],
            page_info=PageInfo(has_next_page=len(found) > first),
        )

    @strawberry.field
    async def viewer(self, info: Info) -> Viewer | None:
        row = await User.get_or_none(id=info.context.user_id) if info.context.user_id else None
        if row is None:
            return None
        profile = Profile(
            id=global_id("Profile", row.id), display_name=row.display_name, registered_at=DateTime(row.created_at)
        )
        return Viewer(user_id=row.id, profile=profile)
