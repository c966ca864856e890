"""Importing official prices and regions."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.events.streams import PRICES, STATIONS
from domain.pricing.records import Change
from domain.stations import operations as stations
from jobs import import_batches
from jobs.import_prices import import_prices, import_regions
from jobs.import_reader import Malformed
from jobs.import_report import Report
from jobs.import_stations import import_stations
from jobs.imports import load_prices
from kernel.states import Product
from models.events import Event
from models.jobs import Job
from models.pricing import Price, PriceRegion, PriceZone
from models.stations import Station
from tests.imports.support import collection, feature, notice, province, write, zone

pytestmark = pytest.mark.usefixtures("database")

NOW = datetime(2026, 5, 1, 4, tzinfo=UTC)
APRIL = datetime(2026, 4, 21, 16, tzinfo=UTC)


async def load(folder: Path, text: str | bytes, *, now: datetime = NOW) -> Report:
    report = Report("file.json")
    await import_prices(write(folder, text), report=report, clock=lambda: now)
    return report


def counts(report: Report, kind: str = "prices") -> tuple[int, int, int, int]:
    of = report.counts.get(kind, Counter())
    return of[Change.CREATED], of[Change.UPDATED], of[Change.UNCHANGED], of[Change.REFUSED]


async def stored() -> dict[tuple[str, str, str], int]:
    rows = await Price.all().prefetch_related("zone")
    return {(row.zone.province_code, row.zone.code, row.product.value): row.milliyuan_per_litre for row in rows}


async def test_prices_are_stored_exactly_with_zone_moment_and_first_source(tmp_path: Path) -> None:
    text = notice(province("310000", "上海市", zone(p92=8.46, p95=9.013, p0=8, p98=10.1)))
    report = await load(tmp_path, text)
    assert (counts(report, "zones"), counts(report)) == ((1, 0, 0, 0), (4, 0, 0, 0))
    assert await stored() == {
        ("310000", "default", "92"): 8460,
        ("310000", "default", "95"): 9013,
        ("310000", "default", "0"): 8000,
        ("310000", "default", "98"): 10_100,
    }
    price = await Price.get(product=Product.GASOLINE_92)
    assert (price.effective_from, price.source, price.source_url) == (APRIL, "发改委", "https://example.com/a")
    zone_row = await PriceZone.get()
    assert (zone_row.province_name, zone_row.name) == ("上海市", "默认价区")


async def test_the_same_file_again_changes_nothing_and_says_nothing(tmp_path: Path) -> None:
    text = notice(province("310000", "上海市", zone(p92=8.46, p95=9.01)))
    await load(tmp_path, text)
    assert await Event.filter(stream=PRICES).count() == 2
    report = await load(tmp_path, text)
    assert (counts(report, "zones"), counts(report)) == ((0, 0, 1, 0), (0, 0, 2, 0))
    assert await Event.filter(stream=PRICES).count() == 2
    assert await Job.all().count() == 0


async def test_a_notice_of_tomorrow_is_scheduled(tmp_path: Path) -> None:
    text = notice(province("310000", "上海市", zone(p92=8.46)), effective_from="2026-05-02T00:00:00+08:00")
    assert counts(await load(tmp_path, text)) == (1, 0, 0, 0)
    assert await Event.filter(stream=PRICES).count() == 0
    assert (await Job.get()).due_at == datetime(2026, 5, 1, 16, tzinfo=UTC)


async def test_what_says_when_may_stand_behind_the_prices(tmp_path: Path) -> None:
    whole = json.loads(notice(province("310000", "上海市", zone(p92=8.46))))
    turned = {"provinces": whole.pop("provinces"), **whole}
    assert counts(await load(tmp_path, json.dumps(turned))) == (1, 0, 0, 0)


BAD_PRICES: list[tuple[Any, str]] = [
    (-8.46, "over 0"),
    (0, "over 0"),
    (0.0, "over 0"),
    (846, "at most 100 yuan"),
    (1e300, "at most 100 yuan"),
    (8.4601, "finer than a thousandth"),
    ("8.46", "not a number"),
    ("NaN", "not a number"),
    (None, "not a number"),
    (True, "not a number"),
    ([8.46], "not a number"),
    ({"price": 8.46}, "not a number"),
]


async def test_one_bad_price_never_loses_the_others(tmp_path: Path) -> None:
    provinces = [
        province(f"{310_000 + number}", "省", zone(p92=8.46, p95=bad, p0=8.2))
        for number, (bad, _) in enumerate(BAD_PRICES)
    ]
    text = notice(*provinces)
    report = await load(tmp_path, text)
    assert counts(report) == (2 * len(BAD_PRICES), 0, 0, len(BAD_PRICES))
    assert counts(report, "zones") == (len(BAD_PRICES), 0, 0, 0)
    assert {key[2] for key in await stored()} == {"92", "0"}
    lines = [number for number, line in enumerate(text.splitlines(), 1) if '"95"' in line]
    for number, ((_, reason), refusal) in enumerate(zip(BAD_PRICES, report.refusals, strict=True)):
        where = f"record {number + 1} (line {lines[number]}), province {310_000 + number}, zone default, 95: "
        assert refusal.startswith(where)
        assert reason in refusal


async def test_literals_that_are_not_json_end_the_file(tmp_path: Path) -> None:
    text = notice(province("310000", "上海市", zone(p92=8.46)), province("110000", "北京市", zone(p92=7.77)))
    for literal in ("NaN", "Infinity", "-Infinity"):
        with pytest.raises(Malformed, match="record 2"):
            await load(tmp_path, text.replace("7.77", literal))
    assert set(await stored()) == {("310000", "default", "92")}


async def test_an_unknown_product_is_refused(tmp_path: Path) -> None:
    unknown = ["93", "", "92 ", "GASOLINE_92", "-10", "00"]
    items = {"zone_code": "default", "zone_name": "默认价区", "items": {**dict.fromkeys(unknown, 8.1), "92": 8.2}}
    report = await load(tmp_path, notice(province("310000", "上海市", items)))
    assert counts(report) == (1, 0, 0, len(unknown))
    assert all("the product is none of 89, 92, 95, 98, 0" in refusal for refusal in report.refusals)


async def test_a_price_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    text = notice(province("310000", "上海市", zone(p92=8.46, p95=9.01))).replace('"92":', '"92": 8.47, "92":')
    report = await load(tmp_path, text)
    assert counts(report) == (1, 0, 0, 1)
    assert '"92" occurs twice' in report.refusals[0]
    assert set(await stored()) == {("310000", "default", "95")}


BAD_PROVINCES: list[tuple[Any, str, str]] = [
    (7, "provinces", "not an object"),
    (None, "provinces", "missing"),
    (province("31000", "上海市", zone(p92=8.1)), "zones", "six digits"),
    (province("上海上海上海", "上海市", zone(p92=8.1)), "zones", "six digits"),
    (province(310000, "上海市", zone(p92=8.1)), "provinces", "province_code is not text"),  # type: ignore[arg-type]
    (province("310000", "上" * 33, zone(p92=8.1)), "zones", "33 characters"),
    (province("310000", "\0", zone(p92=8.1)), "zones", "control characters"),
    (province("310000", "上海市", zones={}), "provinces", "zones is not an array"),
    (province("310000", "上海市", zones=None), "provinces", "zones is missing"),
    (province("310000", "上海市", "zone"), "zones", "the zone is not an object"),
    (province("310000", "上海市", zone("z" * 33, p92=8.1)), "zones", "33 characters"),
    (province("310000", "上海市", zone("", p92=8.1)), "zones", "zone_code is empty"),
    (province("310000", "上海市", {"zone_code": "a", "zone_name": "b"}), "zones", "items is missing"),
    (province("310000", "上海市", {"zone_code": "a", "zone_name": "b", "items": [8]}), "zones", "not an object"),
    (province("310000", "上海市", zone(p92=8.1), sources=[]), "prices", "the source is missing"),
    (province("310000", "上海市", zone(p92=8.1), sources=None), "prices", "sources is missing"),
    (province("310000", "上海市", zone(p92=8.1), sources=[{"name": "x"}]), "prices", "url is missing"),
    (
        province("310000", "上海市", zone(p92=8.1), sources=[{"name": "x", "url": "javascript:alert(1)"}]),
        "prices",
        "not an http or https address",
    ),
    (
        province("310000", "上海市", zone(p92=8.1), sources=[{"name": "x" * 129, "url": "https://example.com"}]),
        "prices",
        "129 characters",
    ),
]


async def test_one_bad_province_never_loses_the_others(tmp_path: Path) -> None:
    good = [province(f"{110_000 + number}", "省", zone(p92=8.5)) for number in range(len(BAD_PROVINCES))]
    mixed = [one for number, (bad, _, _) in enumerate(BAD_PROVINCES) for one in (good[number], bad)]
    report = await load(tmp_path, notice(*mixed))
    assert report.refused == len(BAD_PROVINCES)
    assert {kind: counts(report, kind)[3] for kind in report.counts} == Counter(kind for _, kind, _ in BAD_PROVINCES)
    for number, ((_, _, reason), refusal) in enumerate(zip(BAD_PROVINCES, report.refusals, strict=True)):
        assert refusal.startswith(f"record {2 * number + 2} (line ")
        assert reason in refusal
    assert {key[0] for key in await stored()} == {one["province_code"] for one in good}


async def test_repetitions_are_unchanged_and_contradictions_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = zone(p92=8.46), zone(p92=8.47)
    text = notice(
        province("310000", "上海市", one, one),
        province("310000", "上海市", other),
        province("310000", "沪", zone(p95=9)),
    )
    report = await load(tmp_path, text)
    assert (counts(report, "zones"), counts(report)) == ((1, 0, 2, 1), (2, 0, 1, 1))
    assert "contradicts record 1" in report.refusals[0]
    assert (await stored())["310000", "default", "92"] == 8460
    assert (await PriceZone.get()).province_name == "上海市"
    monkeypatch.setattr(import_batches, "RECORDS_PER_TRANSACTION_MAX", 1)
    again = await load(tmp_path, text)
    assert (counts(again, "zones"), counts(again)) == ((0, 0, 3, 1), (0, 0, 3, 1))


BAD_HEADERS: list[tuple[dict[str, Any], str]] = [
    ({"effective_from": None}, "effective_from"),
    ({"effective_from": "2026-04-22"}, "effective_from"),
    ({"effective_from": "2026-04-22T00:00:00"}, "effective_from"),
    ({"effective_from": "2026-13-22T00:00:00+08:00"}, "effective_from"),
    ({"effective_from": "2026-04-22T00:00:00+99:00"}, "effective_from"),
    ({"effective_from": "0001-01-01T00:00:00+08:00"}, "effective_from"),
    ({"effective_from": 20260422}, "effective_from"),
    ({"unit": "CNY/t"}, "unit"),
    ({"unit": None}, "unit"),
]


async def test_a_notice_that_does_not_say_when_or_in_what_loads_nothing(tmp_path: Path) -> None:
    for changes, reason in BAD_HEADERS:
        with pytest.raises(Malformed, match=reason):
            await load(tmp_path, notice(province("310000", "上海市", zone(p92=8.46)), **changes))
    assert await stored() == {}


class TestRegions:
    async def load(self, folder: Path, *items: Any) -> Report:
        report = Report("regions.json")
        await import_regions(write(folder, json.dumps({"count": 1, "items": items}), "regions.json"), report=report)
        return report

    async def test_regions_are_created_moved_repeated_and_refused(self, tmp_path: Path) -> None:
        zones = [zone(code, code, p92=8.1) for code in ("yunnan-1", "yunnan-2")]
        await load(tmp_path, notice(province("530000", "云南省", *zones)))

        def region(name: Any, code: Any) -> dict[str, Any]:
            return {"region": name, "province_code": "530000", "zone_code": code, "locality": "x"}

        report = await self.load(
            tmp_path,
            region("云南", "yunnan-1"),
            region("云南", "yunnan-1"),
            region("云南临沧", "yunnan-2"),
            region("云南临沧", "yunnan-1"),
            region("云南大理", "yunnan-9"),
            region("云南大理", "yunnan-9"),
            region("", "yunnan-1"),
            region(None, "yunnan-1"),
            region("云" * 65, "yunnan-1"),
            [],
        )
        assert counts(report, "regions") == (2, 0, 1, 7)
        assert "contradicts record 3 (line 1)" in " ".join(report.refusals)
        assert len([one for one in report.refusals if "no price zone 'yunnan-9'" in one]) == 2
        assert counts(await self.load(tmp_path, region("云南临沧", "yunnan-1")), "regions") == (0, 1, 0, 0)
        rows = await PriceRegion.all().prefetch_related("zone")
        assert {row.region: row.zone.code for row in rows} == {"云南": "yunnan-1", "云南临沧": "yunnan-1"}


async def test_stations_find_their_zones_whatever_comes_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = collection(
        feature(1),
        feature(2, province="云南省", city="临沧市", district="临翔区"),
        feature(3, province="云南省", city="昆明市", district="五华区"),
        feature(4, province="无此省"),
    )
    report = Report("stations")
    await import_stations(write(tmp_path, text, "s.geojson"), report=report, clock=lambda: NOW)
    prices = notice(
        province("310000", "上海市", zone(p92=8.46)),
        province("530000", "云南省", zone("yunnan-1", "一价区", p92=8.6), zone("yunnan-5", "五价区", p92=8.9)),
    )
    regions = {
        "items": [
            {"region": "云南", "province_code": "530000", "zone_code": "yunnan-1"},
            {"region": "云南临沧", "province_code": "530000", "zone_code": "yunnan-5"},
        ]
    }
    paths = write(tmp_path, prices), write(tmp_path, json.dumps(regions), "regions.json")
    before = await Event.filter(stream=STATIONS).count()
    assert await load_prices(*paths, clock=lambda: NOW + timedelta(hours=1)) == 0
    assert "3 in another zone now" in capsys.readouterr().out
    found = {row.name: row.zone.code if row.zone else None for row in await Station.all().prefetch_related("zone")}
    assert found == {
        "中国石化(1号站)": "default",
        "中国石化(2号站)": "yunnan-5",
        "中国石化(3号站)": "yunnan-1",
        "中国石化(4号站)": None,
    }
    assert await Event.filter(stream=STATIONS).count() == before + 1
    assert await load_prices(*paths, clock=lambda: NOW + timedelta(hours=2)) == 0
    assert "0 in another zone now" in capsys.readouterr().out
    assert await Event.filter(stream=STATIONS).count() == before + 1


async def test_zones_are_found_again_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stations, "STATIONS_PER_BATCH_MAX", 3)
    text = collection(*(feature(number) for number in range(8)))
    await import_stations(write(tmp_path, text, "s.geojson"), report=Report("s"), clock=lambda: NOW)
    await load(tmp_path, notice(province("310000", "上海市", zone(p92=8.46))))
    assert await stations.assign_zones(now=NOW) == 8
    assert await stations.assign_zones(now=NOW) == 0
    assert await Station.filter(zone_id__isnull=True).count() == 0
