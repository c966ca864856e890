"""What fits a station, and whose sign it carries."""

from __future__ import annotations

from typing import Any

import pytest

from domain.stations.records import ADDRESS_LENGTH_MAX, NAME_LENGTH_MAX, REGION_LENGTH_MAX, brand_of, source_key_of
from kernel.states import StationBrand
from models.stations import Station


@pytest.mark.parametrize(
    ("name", "brand"),
    [
        ("中国石化(康健加油站)", StationBrand.SINOPEC),
        ("中石化加油站", StationBrand.SINOPEC),
        ("中国石油加油站(华浦站)", StationBrand.PETROCHINA),
        ("上海中国海油示例站", StationBrand.CNOOC),
        ("壳牌加油站(中国石油路店)", StationBrand.SHELL),
        ("中国石油(壳牌路店)", StationBrand.PETROCHINA),
        ("中能石化加油站", StationBrand.OTHER),
        ("4毛加油", StationBrand.OTHER),
    ],
)
def test_the_brand_is_read_from_the_name(name: str, brand: StationBrand) -> None:
    assert brand_of(name) is brand


def test_the_limits_are_those_of_the_table() -> None:
    fields: Any = Station._meta.fields_map
    assert [fields[name].max_length for name in ("name", "address", "province", "city", "district")] == [
        NAME_LENGTH_MAX,
        ADDRESS_LENGTH_MAX,
        REGION_LENGTH_MAX,
        REGION_LENGTH_MAX,
        REGION_LENGTH_MAX,
    ]


def test_a_source_key_tells_sources_apart_and_fits_its_column() -> None:
    keys = {
        source_key_of(feature_id="a", name="x", address="y"),
        source_key_of(feature_id="b", name="x", address="y"),
        source_key_of(feature_id=None, name="x", address="y"),
        source_key_of(feature_id=None, name="x\0y", address=""),
        source_key_of(feature_id=None, name="xy", address=""),
        source_key_of(feature_id=None, name="a" * 10_000, address="\ud800"),
    }
    assert len(keys) == 6
    fields: Any = Station._meta.fields_map
    assert {len(key) for key in keys} == {fields["source_key"].max_length}
    # The same words always give the same key, or a second import would create everything again.
    assert source_key_of(feature_id="a", name="x", address="y").startswith("2223a034d3ae2f48")
    assert source_key_of(feature_id=None, name="x", address="y").startswith("fdc7f9caa344a0d5")
