"""Stations together with what is shown of the zone that they lie in, by one statement where PostgreSQL can.

Its first station of each zone brings that zone's part, as JSON with texts for what is only shown: twenty stations near
each other lie in few zones, and each further statement costs more than everything that is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import orjson

from domain.pricing.queries import PRODUCTS, NamedZone, PriceFacts, ZonePrice, current, zones_by_ids
from domain.pricing.rules import PRODUCT_ORDER
from domain.stations.facts import BRANDS, FACTS, StationFacts
from domain.stations.queries import by_ids
from kernel.states import Product
from models.lean import Statement, fetch, in_one_statement
from models.moments import shown

PRICED = f"p.id, p.product, p.milliyuan_per_litre, {shown('p.effective_from')}, p.source, p.source_url"
KINDS = ", ".join(f"('{product.value}', {PRODUCT_ORDER[product]})" for product in Product)
# One seek in the unique index of (zone, product, moment) for each product, however many prices there have been. A join
# with the newest one's id would leave it to the planner, which takes all of a small table.
PRICES = (
    f"(SELECT json_agg(json_build_array({PRICED}) ORDER BY kind.place) "  # noqa: S608 - names of our own
    f"FROM (VALUES {KINDS}) AS kind(product, place) CROSS JOIN LATERAL (SELECT * FROM price q "
    "WHERE q.zone_id = s.zone_id AND q.product = kind.product AND q.effective_from <= $2 "
    "ORDER BY q.effective_from DESC LIMIT 1) p)"
)
ZONE = (
    "(SELECT json_build_array(z.province_code, z.province_name, z.code, z.name) FROM price_zone z "
    "WHERE z.id = s.zone_id)"
)
COLUMNS = ", ".join(f"s.{column}" for column in FACTS.split(", "))


class Surroundings(NamedTuple):
    """A station and what is shown of its zone; None for a zone that it does not have, or that was not asked for."""

    station: StationFacts
    zone: NamedZone | None
    prices: Sequence[ZonePrice | PriceFacts]


# The id of a zone, and what is shown of it.
_Zone: TypeAlias = tuple[UUID | None, NamedZone | None, Sequence[PriceFacts]]


# A list costs as much to send as the rest of the statement, and most who ask alone ask for one station.
MANY, ONE = "unnest($1::uuid[]) WITH ORDINALITY", "(VALUES ($1::uuid, 1))"


def _statement(zone: str, asked: str) -> Statement:
    return Statement(
        postgres=f"SELECT {COLUMNS}, CASE WHEN s.zone_id IS NOT NULL "  # noqa: S608 - names of our own
        "AND row_number() OVER (PARTITION BY s.zone_id ORDER BY asked.place) = 1 "
        f"THEN json_build_array({zone}, {PRICES}) END FROM {asked} AS asked (id, place) "
        "LEFT JOIN station s ON s.id = asked.id ORDER BY asked.place",
        sqlite="",
    )


PRICED_STATIONS, WHOLE_STATIONS = ((_statement(zone, MANY), _statement(zone, ONE)) for zone in ("NULL", ZONE))


async def priced(station_ids: Sequence[UUID], *, now: datetime) -> list[Surroundings | None]:
    """Return the stations in the order of their ids with the prices in force there, None where there is none."""
    if in_one_statement():
        return await _together(PRICED_STATIONS, station_ids, now)
    return await _one_by_one(station_ids, now, zones=False)


async def whole(station_ids: Sequence[UUID], *, now: datetime) -> list[Surroundings | None]:
    """As `priced`, with the zones themselves."""
    if in_one_statement():
        return await _together(WHOLE_STATIONS, station_ids, now)
    return await _one_by_one(station_ids, now, zones=True)


async def _together(
    statements: tuple[Statement, Statement], station_ids: Sequence[UUID], now: datetime
) -> list[Surroundings | None]:
    many, one = statements
    found: list[Surroundings | None] = []
    zones: dict[UUID | None, _Zone] = {None: (None, None, ())}
    for row in await (fetch(many, station_ids, now) if len(station_ids) != 1 else fetch(one, station_ids[0], now)):
        station_id, name, brand, address, province, city, district, latitude, longitude, zone_id, part = row
        if station_id is None:
            found.append(None)
            continue
        known = zones.get(zone_id)
        if known is None:
            known = zones[zone_id] = _read(zone_id, *orjson.loads(part))
        # Stations of a zone have one id of it, so that whoever compares the ids finds the same object.
        zone_id, zone, prices = known
        station = StationFacts(
            station_id, name, BRANDS[brand], address, province, city, district, latitude, longitude, zone_id
        )
        found.append(Surroundings(station, zone, prices))
    return found


def _read(zone_id: UUID, zone: list[Any] | None, prices: list[list[Any]] | None) -> _Zone:
    return (
        zone_id,
        NamedZone(zone_id, *zone) if zone else None,
        [
            PriceFacts(price_id, zone_id, PRODUCTS[product], milliyuan, effective_from, source, source_url)
            for price_id, product, milliyuan, effective_from, source, source_url in prices or ()
        ],
    )


async def _one_by_one(station_ids: Sequence[UUID], now: datetime, *, zones: bool) -> list[Surroundings | None]:
    stations = await by_ids(station_ids)
    zone_ids = list({station.zone_id for station in stations if station and station.zone_id})
    prices = await current(zone_ids=zone_ids, now=now)
    named = dict(zip(zone_ids, await zones_by_ids(zone_ids), strict=True)) if zones and zone_ids else {}
    return [
        station and Surroundings(station, named.get(station.zone_id), prices.get(station.zone_id, ()))  # type: ignore[arg-type]
        for station in stations
    ]
