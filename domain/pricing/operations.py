"""Writing zones, regions and prices, and telling of prices that changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.events.operations import append
from domain.events.streams import PRICES, EventType
from domain.pricing.queries import ZonePrice, current
from domain.pricing.records import (
    CREATED,
    UNCHANGED,
    UPDATED,
    Change,
    Outcome,
    PriceRecord,
    RegionRecord,
    ZoneRecord,
)
from domain.pricing.statements import hold
from domain.work.operations import Kind, schedule
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.states import Product
from models.database import transactional
from models.events import Event
from models.pricing import Price, PriceRegion, PriceZone

ROWS_PER_UPDATE_MAX = 100
MOMENT = timedelta(microseconds=1)

ZoneKey = tuple[str, str]
# Thousandths of a yuan per litre, by zone and product.
Amounts = dict[tuple[UUID, Product], int]


class PricesNotYetEffective(YoukaError):
    code = "PRICES_NOT_YET_EFFECTIVE"
    messages = {
        "zh-CN": "{effective_from}的价格尚未生效",
        "en": "The prices of {effective_from} are not in force yet",
    }


@transactional
async def load_zones(*, zones: Sequence[ZoneRecord]) -> list[Outcome]:
    """Write price zones, each at most once per call, and return what became of each."""
    await hold(PRICES)
    provinces = {record.province_code for record in zones}
    known = {(row.province_code, row.code): row for row in await PriceZone.filter(province_code__in=provinces)}
    outcomes: list[Outcome] = []
    created: list[PriceZone] = []
    for record in zones:
        row = known.get((record.province_code, record.code))
        if row is None:
            created.append(
                PriceZone(
                    id=new_id(),
                    province_code=record.province_code,
                    province_name=record.province_name,
                    code=record.code,
                    name=record.name,
                )
            )
            outcomes.append(CREATED)
        elif (row.province_name, row.name) != (record.province_name, record.name):
            row.province_name, row.name = record.province_name, record.name
            await row.save(update_fields=["province_name", "name"])
            outcomes.append(UPDATED)
        else:
            outcomes.append(UNCHANGED)
    if created:
        await PriceZone.bulk_create(created)
    return outcomes


@transactional
async def load_prices(
    *, prices: Sequence[PriceRecord], effective_from: datetime, clock: Callable[[], datetime]
) -> list[Outcome]:
    """Write prices, each (zone, product) at most once per call; those in unknown zones are refused.

    An event goes out for each price in force that is another than before. Prices that are yet to come are announced by
    a job at that moment. The clock is read when it is this call's turn to write: a moment read before the wait could
    lie on the other side of `effective_from`, and neither the call nor the job would tell of the price.
    """
    await hold(PRICES)
    now = clock()
    ids = await _zone_ids((record.province_code, record.zone_code) for record in prices)
    before = await current(zone_ids=ids.values(), now=now)
    outcomes = await _write_prices(prices, ids, effective_from, now)
    if effective_from <= now:
        after = await current(zone_ids=ids.values(), now=now)
        await _tell(_all(after), previous=_amounts(before), now=now)
    elif any(outcome.change is not Change.UNCHANGED for outcome in outcomes):
        moment = effective_from.isoformat()
        await schedule(
            kind=Kind.ANNOUNCE_PRICES,
            key=moment,
            payload={"effective_from": moment},
            due_at=effective_from,
            now=now,
        )
    return outcomes


@transactional
async def load_regions(*, regions: Sequence[RegionRecord]) -> list[Outcome]:
    """Write which region lies in which zone, each region at most once per call. Unknown zones are refused."""
    await hold(PRICES)
    ids = await _zone_ids((record.province_code, record.zone_code) for record in regions)
    known = {row.region: row for row in await PriceRegion.filter(region__in=[record.region for record in regions])}
    outcomes: list[Outcome] = []
    created: list[PriceRegion] = []
    changed: list[PriceRegion] = []
    for record in regions:
        zone_id = ids.get((record.province_code, record.zone_code))
        row = known.get(record.region)
        if zone_id is None:
            outcomes.append(_unknown_zone(record))
        elif row is None:
            created.append(
                PriceRegion(id=new_id(), region=record.region, province_code=record.province_code, zone_id=zone_id)
            )
            outcomes.append(CREATED)
        elif (row.zone_id, row.province_code) != (zone_id, record.province_code):
            row.zone_id, row.province_code = zone_id, record.province_code
            changed.append(row)
            outcomes.append(UPDATED)
        else:
            outcomes.append(UNCHANGED)
    if created:
        await PriceRegion.bulk_create(created)
    if changed:
        await PriceRegion.bulk_update(changed, ["zone_id", "province_code"], batch_size=ROWS_PER_UPDATE_MAX)
    return outcomes


@transactional
async def announce(*, effective_from: datetime, now: datetime) -> int:
    """Tell of the prices that came into force at a moment, each once, and return how many were told of now.

    Where another notice has replaced them since, its price is told of instead: compared with the replaced one alone it
    might seem unchanged. Prices that equal what was told of last are not told of. Raises PricesNotYetEffective where
    the moment has not come.
    """
    if effective_from > now:
        raise PricesNotYetEffective(effective_from=effective_from.isoformat())
    await hold(PRICES)
    zone_ids = set(await Price.filter(effective_from=effective_from).values_list("zone_id", flat=True))
    in_force = _all(await current(zone_ids=zone_ids, now=now))  # type: ignore[arg-type]
    new = [price for price in in_force if price.effective_from >= effective_from]
    before = await current(zone_ids={price.zone_id for price in new}, now=effective_from - MOMENT)
    return await _tell(new, previous=_amounts(before) | await _told_since(effective_from), now=now)


async def _zone_ids(keys: Iterable[ZoneKey]) -> dict[ZoneKey, UUID]:
    wanted = set(keys)
    rows = await PriceZone.filter(province_code__in={province_code for province_code, _ in wanted})
    found = {(row.province_code, row.code): row.id for row in rows}
    return {key: found[key] for key in wanted if key in found}


async def _write_prices(
    records: Sequence[PriceRecord], ids: dict[ZoneKey, UUID], effective_from: datetime, now: datetime
) -> list[Outcome]:
    rows = await Price.filter(zone_id__in=list(ids.values()), effective_from=effective_from)
    known = {(row.zone_id, row.product): row for row in rows}
    outcomes: list[Outcome] = []
    created: list[Price] = []
    changed: list[Price] = []
    for record in records:
        zone_id = ids.get((record.province_code, record.zone_code))
        if zone_id is None:
            outcomes.append(_unknown_zone(record))
            continue
        row = known.get((zone_id, record.product))
        if row is None:
            row = Price(id=new_id(), zone_id=zone_id, product=record.product, effective_from=effective_from)
            row.created_at = row.updated_at = now
            created.append(row)
            outcomes.append(CREATED)
        elif _differs(row, record):
            row.updated_at = now
            changed.append(row)
            outcomes.append(UPDATED)
        else:
            outcomes.append(UNCHANGED)
        row.milliyuan_per_litre, row.source, row.source_url = record.milliyuan, record.source, record.source_url
    if created:
        await Price.bulk_create(created)
    if changed:
        columns = ["milliyuan_per_litre", "source", "source_url", "updated_at"]
        await Price.bulk_update(changed, columns, batch_size=ROWS_PER_UPDATE_MAX)
    return outcomes


def _unknown_zone(record: PriceRecord | RegionRecord) -> Outcome:
    return Outcome(Change.REFUSED, f"province {record.province_code} has no price zone {record.zone_code!r}")


def _differs(row: Price, record: PriceRecord) -> bool:
    mine = (row.milliyuan_per_litre, row.source, row.source_url)
    return mine != (record.milliyuan, record.source, record.source_url)


def _all(prices: dict[UUID, list[ZonePrice]]) -> list[ZonePrice]:
    return [price for of_zone in prices.values() for price in of_zone]


def _amounts(prices: dict[UUID, list[ZonePrice]]) -> Amounts:
    return {(price.zone_id, price.product): price.milliyuan for price in _all(prices)}


async def _tell(prices: Collection[ZonePrice], *, previous: Amounts, now: datetime) -> int:
    """Append an event for each price that is another than the previous one of its zone and product."""
    told = 0
    for price in prices:
        previous_milliyuan = previous.get((price.zone_id, price.product))
        if previous_milliyuan == price.milliyuan:
            continue
        payload = {
            "price_id": str(price.id),
            "zone_id": str(price.zone_id),
            "product": price.product.value,
            "milliyuan": price.milliyuan,
            "previous_milliyuan": previous_milliyuan,
            "effective_from": price.effective_from.isoformat(),
            "source": price.source,
            "source_url": price.source_url,
        }
        await append(stream=PRICES, type=EventType.PRICE_CHANGED, payload=payload, now=now)
        told += 1
    return told


async def _told_since(moment: datetime) -> Amounts:
    """Return what was told of last, since the moment."""
    rows = Event.filter(stream=PRICES, type=EventType.PRICE_CHANGED.value, occurred_at__gte=moment).order_by("position")
    payloads: list[dict[str, Any]] = await rows.values_list("payload", flat=True)  # type: ignore[assignment]
    return {(UUID(payload["zone_id"]), Product(payload["product"])): int(payload["milliyuan"]) for payload in payloads}
