"""Official prices by province and zone from a price notice's JSON, and the regions of the zones."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from domain.pricing import operations as pricing
from domain.pricing.records import Outcome, PriceRecord, RecordRefused, RegionRecord, ZoneRecord
from domain.pricing.rules import milliyuan_of
from jobs.import_batches import Batch, Item, load_all, seen
from jobs.import_reader import (
    JsonObject,
    Record,
    RecordReader,
    expect_list,
    expect_object,
    header_of,
    member,
    text_member,
)
from jobs.import_report import Report
from kernel.states import Product

UNIT = "CNY/L"
PRODUCTS = {product.value: product for product in Product}
# RFC 3339, section 5.6, with the offset that a moment cannot do without.
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class _Province:
    number: int
    code: str
    name: str
    sources: JsonObject


@dataclass(slots=True)
class Notice:
    """What one province's record holds, good and bad."""

    zones: list[Item[ZoneRecord]] = field(default_factory=list)
    prices: list[Item[PriceRecord]] = field(default_factory=list)
    refusals: list[tuple[str, str, str]] = field(default_factory=list)


async def import_prices(path: Path, *, report: Report, clock: Callable[[], datetime]) -> None:
    """Load a price notice into the database; running it again changes nothing.

    Raises Unreadable and Malformed; what stands before the place where the file stops being JSON is loaded.
    """
    effective_from = _effective_from(path)

    async def write_zones(zones: list[ZoneRecord]) -> list[Outcome]:
        return await pricing.load_zones(zones=zones)

    async def write_prices(prices: list[PriceRecord]) -> list[Outcome]:
        return await pricing.load_prices(prices=prices, effective_from=effective_from, clock=clock)

    with seen() as known_zones, seen() as known_prices:
        zones = Batch("zones", write=write_zones, seen=known_zones, report=report)
        prices = Batch("prices", write=write_prices, seen=known_prices, report=report)

        def take(record: Record) -> None:
            notice = notice_of(record)
            for refusal in notice.refusals:
                report.refuse(*refusal)
            for zone in notice.zones:
                zones.add(zone)
            for price in notice.prices:
                prices.add(price)

        await load_all(RecordReader(path, "provinces"), take=take, batches=(zones, prices))


async def import_regions(path: Path, *, report: Report) -> None:
    """Load which region lies in which zone; running it again changes nothing. The zones must be there already.

    Raises Unreadable and Malformed; what stands before the place where the file stops being JSON is loaded.
    """

    async def write(regions: list[RegionRecord]) -> list[Outcome]:
        return await pricing.load_regions(regions=regions)

    with seen() as known:
        batch = Batch("regions", write=write, seen=known, report=report)

        def take(record: Record) -> None:
            where = f"record {record.number} (line {record.line})"
            try:
                region = region_of(record)
            except RecordRefused as refusal:
                report.refuse(batch.kind, where, refusal.reason)
            else:
                batch.add(Item((region.region,), where, region))

        await load_all(RecordReader(path, "items"), take=take, batches=(batch,))


def _effective_from(path: Path) -> datetime:
    """Return the moment of the notice. Raises Unreadable, and Malformed where the file does not say it."""
    reader, header = RecordReader(path, "provinces"), header_of(path, "provinces", {"effective_from", "unit"})
    if header.get("unit") != UNIT:
        raise reader.malformed(f'"unit" is not "{UNIT}"')
    moment = header.get("effective_from")
    if not isinstance(moment, str) or not MOMENT.fullmatch(moment):
        raise reader.malformed('"effective_from" is not a moment with an offset, such as 2026-04-22T00:00:00+08:00')
    try:
        return datetime.fromisoformat(moment).astimezone(UTC)
    except (ValueError, OverflowError):
        raise reader.malformed('"effective_from" is not a moment that exists') from None


def region_of(record: Record) -> RegionRecord:
    """Read one region. Raises RecordRefused."""
    if record.problem:
        raise RecordRefused(reason=record.problem)
    region = expect_object(record.value, "the region")
    return RegionRecord(
        region=text_member(region, "region"),
        province_code=text_member(region, "province_code"),
        zone_code=text_member(region, "zone_code"),
    )


def notice_of(record: Record) -> Notice:
    """Read one province with its zones and prices; what is bad is refused as narrowly as it can be."""
    notice = Notice()
    try:
        if record.problem:
            raise RecordRefused(reason=record.problem)
        value = expect_object(record.value, "the province")
        province = _Province(
            number=record.number,
            code=text_member(value, "province_code"),
            name=text_member(value, "province_name"),
            sources=value,
        )
        zones = expect_list(member(value, "zones"), "zones")
    except RecordRefused as refusal:
        notice.refusals.append(("provinces", f"record {record.number} (line {record.line})", refusal.reason))
        return notice
    for zone in zones:
        _read_zone(notice, province, zone, zone.line if isinstance(zone, JsonObject) else record.line)
    return notice


def _read_zone(notice: Notice, province: _Province, value: Any, line: int) -> None:
    where = f"record {province.number} (line {line}), province {province.code}"
    try:
        zone = expect_object(value, "the zone")
        record = ZoneRecord(
            province.code, province.name, text_member(zone, "zone_code"), text_member(zone, "zone_name")
        )
        items = expect_object(member(zone, "items"), "items")
    except RecordRefused as refusal:
        notice.refusals.append(("zones", where, refusal.reason))
        return
    notice.zones.append(Item((record.province_code, record.code), where, record))
    for code in items:
        where = (
            f"record {province.number} (line {items.lines[code]}), province {province.code}, zone {record.code}, {code}"
        )
        try:
            price = _price(province, record, items, code)
        except RecordRefused as refusal:
            notice.refusals.append(("prices", where, refusal.reason))
        else:
            notice.prices.append(Item((record.province_code, record.code, code), where, price))


def _price(province: _Province, zone: ZoneRecord, items: JsonObject, code: str) -> PriceRecord:
    if code not in PRODUCTS:
        raise RecordRefused(reason=f"the product is none of {', '.join(PRODUCTS)}")
    milliyuan = milliyuan_of(member(items, code))
    sources = expect_list(member(province.sources, "sources"), "sources")
    source = expect_object(sources[0] if sources else None, "the source")
    return PriceRecord(
        province_code=zone.province_code,
        zone_code=zone.code,
        product=PRODUCTS[code],
        milliyuan=milliyuan,
        source=text_member(source, "name"),
        source_url=text_member(source, "url"),
    )
