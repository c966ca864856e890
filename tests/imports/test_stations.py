"""Importing stations from GeoJSON."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.events.streams import STATIONS
from domain.pricing.records import Change
from domain.stations import operations
from domain.stations.records import ADDRESS_LENGTH_MAX, NAME_LENGTH_MAX, REGION_LENGTH_MAX
from jobs import import_batches, import_report
from jobs.import_reader import Malformed
from jobs.import_report import Report
from jobs.import_stations import import_stations
from kernel.states import StationBrand
from models.events import Event
from models.stations import Station
from tests.imports.support import collection, feature, write

pytestmark = pytest.mark.usefixtures("database")

NOW = datetime(2026, 5, 1, 4, tzinfo=UTC)


async def load(folder: Path, text: str | bytes) -> Report:
    report = Report("file.json")
    await import_stations(write(folder, text), report=report, clock=lambda: NOW)
    return report


def counts(report: Report) -> tuple[int, int, int, int]:
    of = report.counts.get("stations", Counter())
    return of[Change.CREATED], of[Change.UPDATED], of[Change.UNCHANGED], of[Change.REFUSED]


async def changed_ids() -> list[set[str]]:
    payloads: Any = await Event.filter(stream=STATIONS).order_by("position").values_list("payload", flat=True)
    return [set(payload["station_ids"]) for payload in payloads]


async def test_a_station_is_created_as_its_source_gives_it(tmp_path: Path) -> None:
    assert counts(await load(tmp_path, collection(feature(address=" 示例路1号 ")))) == (1, 0, 0, 0)
    station = await Station.get()
    assert (station.name, station.address, station.brand) == ("中国石化(1号站)", "示例路1号", StationBrand.SINOPEC)
    assert (station.province, station.city, station.district) == ("上海市", "上海市", "黄浦区")
    assert (station.longitude, station.latitude) == (121.47, 31.23)
    assert (station.zone_id, station.created_at, station.updated_at) == (None, NOW, NOW)
    assert await changed_ids() == [{str(station.id)}]


async def test_the_same_file_again_changes_nothing_and_says_nothing(tmp_path: Path) -> None:
    text = collection(*(feature(number) for number in range(5)))
    assert counts(await load(tmp_path, text)) == (5, 0, 0, 0)
    before = await Station.all().order_by("id").values()
    assert counts(await load(tmp_path, text)) == (0, 0, 5, 0)
    assert await Station.all().order_by("id").values() == before
    assert len(await changed_ids()) == 1


async def test_only_what_changed_is_written_and_told_of(tmp_path: Path) -> None:
    await load(tmp_path, collection(feature(1), feature(2), feature(3)))
    moved = {"type": "Point", "coordinates": [121.48, 31.24]}
    assert counts(await load(tmp_path, collection(feature(1), feature(2, geometry=moved), feature(4)))) == (1, 1, 1, 0)
    stations = {station.name: station for station in await Station.all()}
    assert stations["中国石化(2号站)"].longitude == 121.48
    changed = {str(stations["中国石化(2号站)"].id), str(stations["中国石化(4号站)"].id)}
    assert (await changed_ids())[1:] == [changed]


async def test_two_imports_at_once_create_once(tmp_path: Path) -> None:
    text = collection(*(feature(number) for number in range(40)))
    reports = await asyncio.gather(*(load(tmp_path, text) for _ in range(3)))
    assert sorted(counts(report) for report in reports) == [(0, 0, 40, 0), (0, 0, 40, 0), (40, 0, 0, 0)]
    assert len(await changed_ids()) == 1


async def test_an_id_of_the_source_lets_a_station_change_its_name(tmp_path: Path) -> None:
    await load(tmp_path, collection(feature(1, id="a"), feature(2, id=7)))
    renamed = collection(feature(1, id="a", name="壳牌(1号站)"), feature(2, id=7, name="加油站"))
    assert counts(await load(tmp_path, renamed)) == (0, 2, 0, 0)
    assert {station.brand for station in await Station.all()} == {StationBrand.SHELL, StationBrand.OTHER}


BAD: list[tuple[Any, str]] = [
    ("7", "the feature is not an object"),
    ("null", "the feature is missing"),
    ("[]", "the feature is not an object"),
    ('"Feature"', "the feature is not an object"),
    ({**feature(), "type": "feature"}, '"type" is not "Feature"'),
    (feature(geometry=None), "geometry is missing"),
    (feature(geometry=[121, 31]), "geometry is not an object"),
    (feature(geometry={"type": "Polygon", "coordinates": [[[1, 2]]]}), "geometry is not a Point"),
    (feature(geometry={"type": "Point"}), "coordinates is missing"),
    (feature(geometry={"type": "Point", "coordinates": "121,31"}), "coordinates is not an array"),
    (feature(geometry={"type": "Point", "coordinates": [121.4]}), "coordinates are not two numbers"),
    (feature(geometry={"type": "Point", "coordinates": ["121.4", "31.2"]}), "coordinates are not two numbers"),
    (feature(geometry={"type": "Point", "coordinates": [True, 31.2]}), "coordinates are not two numbers"),
    (feature(geometry={"type": "Point", "coordinates": [121.4, None]}), "coordinates are not two numbers"),
    (feature(geometry={"type": "Point", "coordinates": [31.2, 121.4]}), "the coordinates are swapped"),
    (feature(geometry={"type": "Point", "coordinates": [40.0, 80.0]}), "the coordinates are swapped"),
    (feature(geometry={"type": "Point", "coordinates": [121.4, 91]}), "latitude 91 is not from -90 to 90"),
    (feature(geometry={"type": "Point", "coordinates": [-180.5, 31]}), "longitude -180.5 is not from"),
    (json.dumps(feature()).replace("31.23", "1e400"), "latitude inf is not from"),
    (json.dumps(feature()).replace("31.23", "9" * 900), "beyond all measure"),
    (feature(properties=None), "properties is missing"),
    (feature(name=None), "name is missing"),
    (feature(name=""), "name is empty"),
    (feature(name=" \u3000 "), "name is empty"),
    (feature(name=["中国石化"]), "name is not text"),
    (feature(name="站" * (NAME_LENGTH_MAX + 1)), "name has 129 characters, more than 128"),
    (feature(name="中国\x00石化"), "control characters"),
    (feature(name="中国\n石化"), "control characters"),
    (feature(name="\x1b[31m中国石化"), "control characters"),
    (feature(address="路" * (ADDRESS_LENGTH_MAX + 1)), "address has 257 characters"),
    (feature(address=5), "address is not text"),
    (feature(province="省" * (REGION_LENGTH_MAX + 1)), "province has 33 characters"),
    (feature(id={}), '"id" is neither text nor a number'),
    (feature(id=True), '"id" is neither text nor a number'),
    (feature(id=""), '"id" is neither text nor a number'),
    (json.dumps(feature()).replace('"name":', '"name": "x", "name":'), '"name" occurs twice'),
    (json.dumps(feature()).replace('"geometry":', '"geometry": null, "geometry":'), '"geometry" occurs twice'),
    (feature(unused=["z" * 1_000] * 1_300), "larger than 1048576 bytes"),
]


async def test_one_bad_record_never_loses_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_report, "REFUSALS_PRINTED_MAX", 100)
    mixed = [one for number, (bad, _) in enumerate(BAD) for one in (feature(1_000 + number), bad)]
    report = await load(tmp_path, collection(*mixed))
    assert counts(report) == (len(BAD), 0, 0, len(BAD))
    for number, ((_, reason), refusal) in enumerate(zip(BAD, report.refusals, strict=True)):
        assert refusal.startswith(f"record {2 * number + 2} (line {2 * number + 4}): ")
        assert reason in refusal
    expected = {f"中国石化({1_000 + number}号站)" for number in range(len(BAD))}
    assert {station.name for station in await Station.all()} == expected


@pytest.mark.parametrize("bad", [b"\xff\xfe", b"\x00", "\ufffd".encode()])
async def test_bytes_that_are_no_text_refuse_their_record_alone(tmp_path: Path, bad: bytes) -> None:
    text = collection(feature(1), feature(2), feature(3)).encode().replace("2号站".encode(), bad + "2号站".encode())
    report = await load(tmp_path, b"\xef\xbb\xbf" + text)
    assert counts(report) == (2, 0, 0, 1)
    assert "bytes that are not UTF-8" in report.refusals[0]


async def test_what_a_source_may_leave_out_is_empty(tmp_path: Path) -> None:
    bare = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [-179.5, -16.5, 12.0]},
        "properties": {"name": "Fiji", "city": None},
    }
    assert counts(await load(tmp_path, collection(bare))) == (1, 0, 0, 0)
    station = await Station.get()
    assert (station.address, station.province, station.city, station.longitude) == ("", "", "", -179.5)


async def test_repetitions_are_unchanged_and_contradictions_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = feature(1, geometry={"type": "Point", "coordinates": [121.5, 31.2]})
    text = collection(feature(1), feature(1), moved, feature(2), feature(1))
    for size, expected in ((500, (2, 0, 2, 1)), (1, (0, 0, 4, 1))):
        monkeypatch.setattr(import_batches, "RECORDS_PER_TRANSACTION_MAX", size)
        report = await load(tmp_path, text)
        assert counts(report) == expected
        assert report.refusals == ["record 3 (line 5): contradicts record 1 (line 3)"]
    assert (await Station.get(name="中国石化(1号站)")).longitude == 121.47


async def test_many_records_go_in_several_transactions_with_bounded_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_batches, "RECORDS_PER_TRANSACTION_MAX", 20)
    monkeypatch.setattr(operations, "STATIONS_PER_EVENT_MAX", 8)
    assert counts(await load(tmp_path, collection(*(feature(number) for number in range(50))))) == (50, 0, 0, 0)
    assert [len(ids) for ids in await changed_ids()] == [8, 8, 4, 8, 8, 4, 8, 2]
    assert set().union(*await changed_ids()) == {str(station.id) for station in await Station.all()}


@pytest.mark.parametrize(
    ("cut", "place"),
    [
        (lambda text: text[: text.index("2号站")], "record 3, line 5"),
        (lambda text: text.replace("\n]}", "\n]"), "record 4, line 7"),
    ],
)
async def test_a_file_that_breaks_off_keeps_what_stands_before(tmp_path: Path, cut: Any, place: str) -> None:
    text = cut(collection(feature(0), feature(1), feature(2)))
    with pytest.raises(Malformed, match=place):
        await load(tmp_path, text)
    assert await Station.all().count() == (2 if "2号站" not in text else 3)


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "Feature", "features": []}',
        '{"features": [], "type": "Topology"}',
        '{"features": []}',
        json.dumps({"features": [feature()]}),
        '{"type": "FeatureCollection"}',
        "",
    ],
)
async def test_what_is_no_feature_collection_is_malformed(tmp_path: Path, text: str) -> None:
    with pytest.raises(Malformed):
        await load(tmp_path, text)


async def test_refusals_are_all_counted_and_some_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_report, "REFUSALS_PRINTED_MAX", 3)
    report = await load(tmp_path, collection(*["7"] * 10, feature()))
    assert list(report.lines()) == [
        "file.json",
        "  stations: 1 created, 0 updated, 0 unchanged, 10 refused",
        "  refused record 1 (line 3): the feature is not an object",
        "  refused record 2 (line 4): the feature is not an object",
        "  refused record 3 (line 5): the feature is not an object",
        "  … and 7 more that were refused",
    ]
