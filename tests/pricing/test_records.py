"""What fits zones, regions and prices."""

from __future__ import annotations

from typing import Any

from domain.pricing import records
from models.pricing import Price, PriceRegion, PriceZone


def test_the_limits_are_those_of_the_tables() -> None:
    zone_fields: Any = PriceZone._meta.fields_map
    price_fields: Any = Price._meta.fields_map
    region_fields: Any = PriceRegion._meta.fields_map
    assert [
        zone_fields["province_name"].max_length,
        zone_fields["code"].max_length,
        zone_fields["name"].max_length,
        price_fields["source"].max_length,
        price_fields["source_url"].max_length,
        region_fields["region"].max_length,
    ] == [
        records.PROVINCE_NAME_LENGTH_MAX,
        records.ZONE_CODE_LENGTH_MAX,
        records.ZONE_NAME_LENGTH_MAX,
        records.SOURCE_LENGTH_MAX,
        records.SOURCE_URL_LENGTH_MAX,
        records.REGION_LENGTH_MAX,
    ]
