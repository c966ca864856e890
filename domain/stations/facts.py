"""Stations as clients are shown them, read without the ORM."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from kernel.states import StationBrand
from models.lean import Row, read_uuid

FACTS = "id, name, brand, address, province, city, district, latitude, longitude, zone_id"
BRANDS: dict[str, StationBrand] = {brand.value: brand for brand in StationBrand}


class StationFacts(NamedTuple):
    """What clients are shown of one row of the table of stations, which has the same names for it."""

    id: UUID
    name: str
    brand: StationBrand
    address: str
    province: str
    city: str
    district: str
    latitude: float
    longitude: float
    zone_id: UUID | None


def facts_of(row: Row) -> StationFacts:
    zone_id = row[9]
    return StationFacts(
        read_uuid(row[0]), row[1], BRANDS[row[2]], row[3], row[4], row[5], row[6], row[7], row[8],
        read_uuid(zone_id) if zone_id else None,
    )  # fmt: skip
