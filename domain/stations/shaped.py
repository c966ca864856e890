"""Stations as the database writes them: what is selected of each, its zone and its prices among it, as JSON.

A shape has the station by the name `s`, its zone by `z`, and each of its `prices` by `p`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from domain.stations.along import KINDS, MANY
from kernel.shapes import SHAPES_KNOWN_MAX, Shape, Written
from models.lean import Statement, fetch

ZONE = "LEFT JOIN price_zone z ON z.id = s.zone_id"


def _prices(item: str, zone: str) -> str:
    """The newest price of each product, in the products' order, by one seek in the index for each."""
    return (
        f"SELECT count(*)::int AS count, string_agg({item}, ',' ORDER BY kind.place) AS json "  # noqa: S608
        f"FROM (VALUES {KINDS}) AS kind(product, place) CROSS JOIN LATERAL (SELECT q.id, q.product, "
        "q.milliyuan_per_litre AS milliyuan, q.effective_from, q.source, q.source_url FROM price q "
        f"WHERE q.zone_id = {zone} AND q.product = kind.product AND q.effective_from <= $2 "
        "ORDER BY q.effective_from DESC LIMIT 1) p"
    )


@lru_cache(maxsize=SHAPES_KNOWN_MAX)
def _one(shape: Shape) -> Statement:
    item = dict(shape.items).get("prices")
    prices = f" LEFT JOIN LATERAL ({_prices(item, 's.zone_id')}) prices ON TRUE" if item else ""
    return Statement(
        postgres=f"SELECT s.id, {shape.columns} FROM station s {ZONE}{prices} WHERE s.id = $1",  # noqa: S608
        sqlite="",
    )


@lru_cache(maxsize=SHAPES_KNOWN_MAX)
def _many(shape: Shape) -> Statement:
    """Prices are written once for each zone, however many of its stations are asked for."""
    item = dict(shape.items).get("prices")
    listed = joined = ""
    if item:
        listed = (
            ", prices AS MATERIALIZED (SELECT zones.zone_id, listed.* "  # noqa: S608 - names of our own
            "FROM (SELECT DISTINCT zone_id FROM s WHERE zone_id IS NOT NULL) zones "
            f"CROSS JOIN LATERAL ({_prices(item, 'zones.zone_id')}) listed)"
        )
        joined = " LEFT JOIN prices ON prices.zone_id = s.zone_id"
    stations = f"SELECT s.*, asked.place FROM {MANY} AS asked (id, place) JOIN station s ON s.id = asked.id"  # noqa: S608
    return Statement(
        postgres=f"WITH s AS MATERIALIZED ({stations}){listed} "  # noqa: S608 - names of our own
        f"SELECT s.id, {shape.columns} FROM s {ZONE}{joined} ORDER BY s.place",
        sqlite="",
    )


async def shaped(asked: Sequence[tuple[UUID, Shape]], *, now: datetime) -> list[Written | None]:
    """Return the stations as they are now, None where there is none, by one statement for all that are shown alike.

    Only PostgreSQL can, outside of transactions (`models.lean.in_one_statement`).
    """
    found: list[Written | None] = [None] * len(asked)
    alike: dict[Shape, list[int]] = {}
    for place, (_, shape) in enumerate(asked):
        alike.setdefault(shape, []).append(place)
    for shape, places in alike.items():
        ids, moment = [asked[place][0] for place in places], (now,) if shape.items else ()
        rows = await (fetch(_many(shape), ids, *moment) if len(ids) > 1 else fetch(_one(shape), ids[0], *moment))
        written = {row[0]: shape.written(*row) for row in rows}
        for place, station_id in zip(places, ids, strict=True):
            found[place] = written.get(station_id)
    return found
