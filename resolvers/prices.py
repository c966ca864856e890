"""Official retail prices."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from domain.pricing import queries
from schema.types.context import Info
from schema.types.enums import Product
from schema.types.prices import After, First, Price, PriceConnection, PriceZone, listed_after, listed_page
from schema.types.refusals import refusals
from schema.types.relay import page_size


async def prices(
    info: Info,
    province: Annotated[
        str | None, strawberry.argument(description="Only this province, by its six digits (GB/T 2260): `310000`.")
    ] = None,
    product: Annotated[Product | None, strawberry.argument(description="Only this product.")] = None,
    first: First = 50,
    after: After = None,
) -> PriceConnection:
    limit = page_size(first, maximum=info.context.services.settings.page_size_max) + 1
    with refusals(info):
        rows = await queries.listed(
            province_code=province, product=product, after=listed_after(after), limit=limit, now=info.context.now
        )
    return listed_page(rows, first=first, after=after)


async def price_by_key(info: Info, key: UUID) -> Price | None:
    row = await info.context.loaders.prices.load(key)
    # One that is yet to come is in no list either.
    return Price.of(row) if row and row.effective_from <= info.context.now else None


async def zone_by_key(info: Info, key: UUID) -> PriceZone | None:
    row = await info.context.loaders.zones.load(key)
    return PriceZone.of(row) if row else None
