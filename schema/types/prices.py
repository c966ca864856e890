"""Official retail prices as clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import strawberry

from domain.pricing.queries import HistoryPage, ListedPrice, NamedZone, PriceFacts, PricePlace, ZonePrice
from domain.pricing.records import PROVINCE_CODE, ZONE_CODE_LENGTH_MAX
from schema.types import caching, columns, costs
from schema.types.enums import Product
from schema.types.money import UnitPrice
from schema.types.relations import relation
from schema.types.relay import Connection, Edge, Node, Placed, decode_cursor, global_id
from schema.types.rows import Made, OfRow
from schema.types.scalars import DateTime


@strawberry.type(
    directives=[caching.AS_ITS_PARENT],
    description="Part of a province in which every station has the same official price.",
)
class PriceZone(OfRow[NamedZone], Node):
    province_code: str = strawberry.field(description="Six digits (GB/T 2260), such as `310000`.")
    province_name: str = strawberry.field(description="Such as `上海市`.")
    code: str = strawberry.field(description="Names the zone within its province, such as `yunnan-1`.")
    name: str = strawberry.field(description="Such as `一价区`.")

    readers = {"id": lambda row: global_id("PriceZone", row.id)}
    columns = {
        **columns.global_id("PriceZone"),
        **columns.texts("province_code", "province_name", "code", "name"),
    }


@strawberry.type(
    directives=[caching.AS_ITS_PARENT],
    description="The official retail price of a product in a zone, from one moment on.",
)
class Price(OfRow[ZonePrice | PriceFacts], Node):
    product: Product = strawberry.field(description="What it is the price of.")
    unit_price: UnitPrice = strawberry.field(description="The price per litre.")
    effective_from: DateTime = strawberry.field(description="Since when it is in force.")
    source: str = strawberry.field(description="Who published it.")
    source_url: str = strawberry.field(description="Where it was published.")

    readers = {
        "id": lambda row: global_id("Price", row.id),
        "unit_price": Made(UnitPrice, "milliyuan"),
    }
    columns = {
        **columns.global_id("Price"),
        **columns.member("product", Product),
        **columns.texts("source", "source_url"),
        **columns.moment("effective_from", "effective_from"),
    }

    @relation(
        lambda loaders: loaders.zones,
        by="zone_id",
        public=True,
        directives=[costs.READ],
        description="Where it is the price.",
    )
    @staticmethod
    def zone(row: NamedZone | None) -> PriceZone:
        assert row is not None, "a price cannot outlive its zone"
        return PriceZone.of(row)


PriceConnection = Connection[Price]


def listed_after(cursor: str | None) -> PricePlace | None:
    """Raises CursorMalformed."""
    return PricePlace(*decode_cursor(cursor, _province_code, _zone_code, Product)) if cursor is not None else None


def listed_page(rows: Sequence[ListedPrice], *, first: int, after: str | None) -> PriceConnection:
    edges: list[Edge[Price]] = [
        Edge.of(Placed((row.place.province_code, row.place.zone_code, row.place.product.value), Price.of(row.price)))
        for row in rows[:first]
    ]
    return PriceConnection.of(edges, has_next_page=len(rows) > first, after=after)


def history_after(cursor: str | None) -> datetime | None:
    """Raises CursorMalformed."""
    return decode_cursor(cursor, _moment)[0] if cursor is not None else None


def history_page(rows: Sequence[ZonePrice], *, page: HistoryPage | None, after: str | None) -> PriceConnection:
    """The page asked for one row more than it shows; without one there was nothing to ask for."""
    first = page.limit - 1 if page else 0
    edges: list[Edge[Price]] = [
        Edge.of(Placed((row.effective_from.isoformat(),), Price.of(row))) for row in rows[:first]
    ]
    return PriceConnection.of(edges, has_next_page=len(rows) > first, after=after)


def _province_code(part: Any) -> str:
    if not isinstance(part, str) or not PROVINCE_CODE.fullmatch(part):
        raise ValueError("not a province code")
    return part


def _zone_code(part: Any) -> str:
    if not isinstance(part, str) or len(part) > ZONE_CODE_LENGTH_MAX or "\0" in part:
        raise ValueError("not a zone code")
    return part


def _moment(part: Any) -> datetime:
    moment = datetime.fromisoformat(part)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    return moment.astimezone(UTC)


First = Annotated[int, strawberry.argument(description="How many rows, from 1 to 100.")]
After = Annotated[str | None, strawberry.argument(description="The `endCursor` of the page before.")]
