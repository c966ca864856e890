"""Reading zones and prices. The current price is the latest one whose `effective_from` is not after `now`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from domain.pricing.records import PROVINCE_CODE
from domain.pricing.rules import PRODUCT_ORDER, Region, Zone, ZoneMap
from domain.pricing.statements import Statement
from kernel.errors import YoukaError
from kernel.states import Product
from models.lean import Row, fetch, read_moment, read_uuid
from models.lean import Statement as LeanStatement
from models.pricing import Price, PriceRegion, PriceZone

COLUMNS = "p.id, p.zone_id, p.product, p.milliyuan_per_litre, p.effective_from, p.source, p.source_url"
NAMES = tuple(column.removeprefix("p.") for column in COLUMNS.split(", "))
ZONE_COLUMNS = "id, province_code, province_name, code, name"
PRODUCTS: dict[str, Product] = {product.value: product for product in Product}
PRODUCT_NAMES = list(PRODUCTS)
# PostgreSQL takes 32,767 values in a statement, and each page brings two.
PAGES_PER_STATEMENT_MAX = 1_000
# Behind every price there is: a page that starts nowhere in particular starts here.
END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)


class ProvinceInvalid(YoukaError):
    code = "PROVINCE_INVALID"
    messages = {
        "zh-CN": "省级代码须为六位数字，如310000",
        "en": "A province is named by six digits, such as 310000",
    }


class ZonePrice(NamedTuple):
    """What one row of the price table says, in thousandths of a yuan per litre."""

    id: UUID
    zone_id: UUID
    product: Product
    milliyuan: int
    effective_from: datetime
    source: str
    source_url: str


class PriceFacts(NamedTuple):
    """As `ZonePrice`, with texts for what is only shown: the id, and the moment as `kernel.clock.written` writes it."""

    id: str
    zone_id: UUID
    product: Product
    milliyuan: int
    effective_from: str
    source: str
    source_url: str


class NamedZone(NamedTuple):
    """What one row of the table of zones says."""

    id: UUID
    province_code: str
    province_name: str
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class PricePlace:
    """Where a current price stands in the list of all of them."""

    province_code: str
    zone_code: str
    product: Product


@dataclass(frozen=True, slots=True)
class ListedPrice:
    place: PricePlace
    price: ZonePrice


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A request for up to `limit` prices of a product in a zone, newest first, from before a moment."""

    zone_id: UUID
    product: Product
    before: datetime
    limit: int


def _price(row: Row) -> ZonePrice:
    return ZonePrice(
        read_uuid(row[0]), read_uuid(row[1]), PRODUCTS[row[2]], row[3], read_moment(row[4]), row[5], row[6]
    )


def _named_price(row: Mapping[str, Any]) -> ZonePrice:
    return _price([row[name] for name in NAMES])


def _products(products: Iterable[Product]) -> str:
    """Return the rows of a VALUES list; what stands in it comes from an enum, not from a client."""
    return ", ".join(f"('{product.value}', {PRODUCT_ORDER[product]})" for product in products)


def _latest(statement: Statement, zone: str, product: str, now: datetime) -> str:
    """Return a subquery for the id of the price in force: one seek in the unique index of (zone, product, moment)."""
    return (
        f"(SELECT q.id FROM price q WHERE q.zone_id = {zone} AND q.product = {product} "  # noqa: S608 - no input
        f"AND q.effective_from <= {statement.moment(now)} ORDER BY q.effective_from DESC LIMIT 1)"
    )


async def next_change(*, now: datetime) -> datetime | None:
    """Return when the next price that is known already comes into force, anywhere; None where none is known."""
    row = await Price.filter(effective_from__gt=now).order_by("effective_from").first().only("id", "effective_from")
    return row.effective_from if row else None


# One seek in the unique index of (zone, product, moment) for each zone and product.
_CURRENT = (
    f"kind(product, place) AS (VALUES {_products(Product)}) "  # noqa: S608 - no input
    f"SELECT {COLUMNS} FROM zone CROSS JOIN kind JOIN price p ON p.id = (SELECT q.id FROM price q "
    "WHERE q.zone_id = zone.zone_id AND q.product = kind.product AND q.effective_from <= {now} "
    "ORDER BY q.effective_from DESC LIMIT 1) WHERE kind.product {wanted} ORDER BY zone.zone_id, kind.place"
)
CURRENT = LeanStatement(
    postgres="WITH zone(zone_id) AS (SELECT unnest($1::uuid[])), "
    + _CURRENT.format(now="$2::timestamptz", wanted="= ANY($3::text[])"),
    sqlite="WITH zone(zone_id) AS (SELECT value FROM json_each(?1)), "  # noqa: S608 - no input
    + _CURRENT.format(now="?2", wanted="IN (SELECT value FROM json_each(?3))"),
)
ZONES_BY_IDS = LeanStatement(
    postgres=f"SELECT {ZONE_COLUMNS} FROM price_zone WHERE id = ANY($1::uuid[]) ORDER BY id",  # noqa: S608 - no input
    sqlite=f"SELECT {ZONE_COLUMNS} FROM price_zone "  # noqa: S608 - no input
    "WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id",
)


async def current(
    *, zone_ids: Collection[UUID], now: datetime, product: Product | None = None
) -> dict[UUID, list[ZonePrice]]:
    """Return the prices in force by zone, in the order of products; zones without any are left out. One statement."""
    if not zone_ids:
        return {}
    wanted = [product.value] if product else PRODUCT_NAMES
    found: dict[UUID, list[ZonePrice]] = {}
    for row in await fetch(CURRENT, list(dict.fromkeys(zone_ids)), now, wanted):
        price = _price(row)
        found.setdefault(price.zone_id, []).append(price)
    return found


async def listed(
    *, province_code: str | None, product: Product | None, after: PricePlace | None, limit: int, now: datetime
) -> list[ListedPrice]:
    """Return up to `limit` prices in force behind a place, by province code, zone code and product.

    Raises ProvinceInvalid.
    """
    if province_code is not None and not PROVINCE_CODE.fullmatch(province_code):
        raise ProvinceInvalid
    statement = Statement()
    conditions = ["TRUE"]
    if province_code is not None:
        conditions.append(f"z.province_code = {statement.text(province_code)}")
    by_codepoint = statement.by_codepoint
    place = f"z.province_code {by_codepoint}, z.code {by_codepoint}, kind.place"
    if after:
        conditions.append(
            f"({place}) > ({statement.text(after.province_code)}, {statement.text(after.zone_code)}, "
            f"{statement.number(PRODUCT_ORDER[after.product])})"
        )
    where = " AND ".join(conditions)
    latest = _latest(statement, "z.id", "kind.product", now)
    rows = await statement.rows(
        f"WITH kind(product, place) AS (VALUES {_products([product] if product else Product)}) "  # noqa: S608
        f"SELECT {COLUMNS}, z.province_code, z.code FROM price_zone z CROSS JOIN kind "
        f"JOIN price p ON p.id = {latest} WHERE {where} ORDER BY {place} LIMIT {statement.number(limit)}"
    )
    return [
        ListedPrice(PricePlace(row["province_code"], row["code"], Product(row["product"])), _named_price(row))
        for row in rows
    ]


async def histories(pages: Sequence[HistoryPage], *, now: datetime) -> list[list[ZonePrice]]:
    """Return each page's prices, newest first, without those that are yet to come. Pages that are alike are read once.

    One statement for each PAGES_PER_STATEMENT_MAX different pages.
    """
    found: dict[HistoryPage, list[ZonePrice]] = {}
    different = list(dict.fromkeys(pages))
    for start in range(0, len(different), PAGES_PER_STATEMENT_MAX):
        batch = different[start : start + PAGES_PER_STATEMENT_MAX]
        found.update(zip(batch, await _histories(batch, now), strict=True))
    return [found[page] for page in pages]


async def _histories(pages: Sequence[HistoryPage], now: datetime) -> list[list[ZonePrice]]:
    statement = Statement()
    wanted = ", ".join(
        f"({number}, {statement.uuid(page.zone_id)}, '{page.product.value}', {statement.moment(page.before)}, "
        f"{int(page.limit)})"
        for number, page in enumerate(pages)
    )
    rows = await statement.rows(
        "WITH page(number, zone_id, product, before, size) AS "  # noqa: S608 - placeholders, enum values and integers
        f"(VALUES {wanted}), ranked AS (SELECT page.number, page.size, {COLUMNS}, "
        "ROW_NUMBER() OVER (PARTITION BY page.number ORDER BY p.effective_from DESC) AS place "
        "FROM page JOIN price p ON p.zone_id = page.zone_id AND p.product = page.product "
        f"AND p.effective_from < page.before AND p.effective_from <= {statement.moment(now)}) "
        "SELECT * FROM ranked WHERE place <= size ORDER BY number, place"
    )
    found: list[list[ZonePrice]] = [[] for _ in pages]
    for row in rows:
        found[row["number"]].append(_named_price(row))
    return found


async def prices_by_ids(price_ids: Sequence[UUID]) -> list[ZonePrice | None]:
    """Return the prices in the order of their ids, None where there is none."""
    found = {
        row.id: ZonePrice(
            id=row.id,
            zone_id=row.zone_id,
            product=row.product,
            milliyuan=row.milliyuan_per_litre,
            effective_from=row.effective_from,
            source=row.source,
            source_url=row.source_url,
        )
        for row in await Price.filter(id__in=set(price_ids))
    }
    return [found.get(price_id) for price_id in price_ids]


async def zones_by_ids(zone_ids: Sequence[UUID]) -> list[NamedZone | None]:
    """Return the zones in the order of their ids, None where there is none."""
    rows = await fetch(ZONES_BY_IDS, list(zone_ids))
    found = {zone.id: zone for zone in (NamedZone(read_uuid(row[0]), *row[1:5]) for row in rows)}
    return [found.get(zone_id) for zone_id in zone_ids]


async def priced_zones(*, product: Product, now: datetime) -> set[UUID]:
    """Return the zones in which the product has a price now."""
    zone_ids = await PriceZone.all().values_list("id", flat=True)
    return set(await current(zone_ids=list(zone_ids), now=now, product=product))  # type: ignore[arg-type]


async def any_zone() -> bool:
    return await PriceZone.all().exists()


async def zone_map() -> ZoneMap:
    """Read every zone and region, some thousands of rows, for finding the zones of many stations."""
    zones = await PriceZone.all().values_list("id", "province_code", "province_name")
    regions = await PriceRegion.all().values_list("region", "province_code", "zone_id")
    return ZoneMap(zones=(Zone(*zone) for zone in zones), regions=(Region(*region) for region in regions))
