"""The real files load completely, and the stations nearest to People's Square cost what Shanghai's notice says."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.events.streams import PRICES, STATIONS
from domain.pricing import queries as pricing
from domain.stations import queries as stations
from domain.stations.geo import Location
from domain.stations.index import StationIndex
from jobs.imports import load_prices, load_stations
from kernel.states import Product, StationBrand
from models.events import Event
from models.pricing import Price, PriceRegion, PriceZone
from models.stations import Station
from tests.imports.support import shared_data

pytestmark = pytest.mark.usefixtures("database")

NOW = datetime(2026, 4, 23, 4, tzinfo=UTC)


async def load_all() -> int:
    folder = shared_data()
    codes = [
        await load_stations(folder / "stations-shanghai.geojson", clock=lambda: NOW),
        await load_prices(folder / "prices-2026-04-21.json", folder / "price-zone-regions.json", clock=lambda: NOW),
    ]
    return max(codes)


async def test_everything_loads_and_loads_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert await load_all() == 0
    told = capsys.readouterr().out
    for line in (
        "stations: 412 created, 0 updated, 0 unchanged, 0 refused",
        "zones: 45 created, 0 updated, 0 unchanged, 0 refused",
        "prices: 175 created, 0 updated, 0 unchanged, 0 refused",
        "regions: 3090 created, 0 updated, 3 unchanged, 0 refused",
        "412 in another zone now",
    ):
        assert line in told
    assert [await model.all().count() for model in (Station, PriceZone, Price, PriceRegion)] == [412, 45, 175, 3090]
    assert len(set(await PriceZone.all().values_list("province_code", flat=True))) == 31
    assert await Event.filter(stream=PRICES).count() == 175
    events = await Event.filter(stream=STATIONS).count()

    assert await load_all() == 0
    told = capsys.readouterr().out
    for line in (
        "stations: 0 created, 0 updated, 412 unchanged, 0 refused",
        "zones: 0 created, 0 updated, 45 unchanged, 0 refused",
        "prices: 0 created, 0 updated, 175 unchanged, 0 refused",
        "regions: 0 created, 0 updated, 3093 unchanged, 0 refused",
        "0 in another zone now",
    ):
        assert line in told
    assert await Event.filter(stream=PRICES).count() == 175
    assert await Event.filter(stream=STATIONS).count() == events


async def test_every_stored_price_is_the_one_in_the_file() -> None:
    await load_all()
    expected: dict[tuple[str, str, str], str] = {}
    text = (shared_data() / "prices-2026-04-21.json").read_text()
    for province in json.loads(text, parse_float=str, parse_int=str)["provinces"]:
        for zone in province["zones"]:
            for product, price in zone["items"].items():
                whole, _, places = price.partition(".")
                expected[province["province_code"], zone["zone_code"], product] = f"{whole}{places:0<3}"
    found = {
        (row.zone.province_code, row.zone.code, row.product.value): str(row.milliyuan_per_litre)
        for row in await Price.all().prefetch_related("zone")
    }
    assert found == expected


async def test_the_three_nearest_to_peoples_square_with_their_price() -> None:
    await load_all()
    found = await stations.nearest(
        index=StationIndex(),
        near=Location(31.2304, 121.4737),
        radius_m=5_000,
        radius_max_m=50_000,
        product=Product.GASOLINE_92,
        after=None,
        limit=3,
        now=NOW,
    )
    assert [(one.station.name, round(one.spot.distance_mm / 1000)) for one in found] == [
        ("中国石化加油站(大田路站)", 1089),
        ("中国石化加油站(延安中路站)", 1107),
        ("中国石油加油站(光复路站)", 2036),
    ]
    zone_id = found[0].station.zone_id
    assert zone_id is not None
    assert {one.station.zone_id for one in found} == {zone_id}
    prices: Any = await pricing.current(zone_ids=[zone_id], now=NOW, product=Product.GASOLINE_92)
    assert [price.milliyuan for price in prices[zone_id]] == [8420]


async def test_the_brands_are_read() -> None:
    await load_all()
    brands = Counter([station.brand for station in await Station.all()])
    assert brands[StationBrand.SINOPEC] > 300
    assert brands[StationBrand.PETROCHINA] > 50
    assert brands[StationBrand.CNOOC] > 10
    assert brands[StationBrand.SHELL] >= 1


PLACES = [
    ("云南省", "昆明市", "五华区", "yunnan-1"),
    ("云南省", "曲靖市", "麒麟区", "yunnan-2"),
    ("云南省", "红河哈尼族彝族自治州", "河口瑶族自治县", "yunnan-3"),
    ("云南省", "普洱市", "西盟佤族自治县", "yunnan-4"),
    ("云南省", "西双版纳傣族自治州", "景洪市", "yunnan-5"),
    ("云南省", "临沧市", "双江拉祜族佤族布朗族傣族自治县", "yunnan-5"),
    ("内蒙古自治区", "兴安盟", "科尔沁右翼前旗", "east"),
    ("内蒙古自治区", "呼伦贝尔市", "莫力达瓦达斡尔族自治旗", "east"),
    ("内蒙古自治区", "阿拉善盟", "额济纳旗", "west"),
    ("四川省", "甘孜藏族自治州", "康定市", "sichuan-3"),
    ("青海省", "海南藏族自治州", "共和县", "qinghai-2"),
    ("西藏自治区", "阿里地区", "噶尔县", "xizang-ali"),
    ("广东省", "深圳市", "福田区", "default"),
    ("海南省", "省直辖县级行政区划", "万宁市", "yunnan-1"),
    ("新疆维吾尔自治区", "伊犁哈萨克自治州", "察布查尔锡伯自治县", "default"),
]


async def test_places_lie_in_the_zones_of_the_file() -> None:
    await load_all()
    zones = {zone.id: zone for zone in await PriceZone.all()}
    zone_map = await pricing.zone_map()
    for province, city, district, code in PLACES:
        zone_id = zone_map.zone_of(province=province, city=city, district=district)
        assert zone_id is not None, (province, city, district)
        assert (zones[zone_id].province_name, zones[zone_id].code) == (province, code)
